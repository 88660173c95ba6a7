"""The journal of predictions: noted in memory while answering, written to Redis soon after.

Who asks never waits for it. It has room for some seconds of a Redis that is away; what comes beyond
is dropped and counted, since answers are worth more than notes about them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError

from src.monitoring.outcomes import Predicted, log_prediction
from src.service.contract import Flight
from src.service.metrics import Metrics
from src.service.outcome import Outcome

ROOM = 10_000  # predictions: some seconds at full load
EVERY = 0.2  # seconds between two rounds of writing
AT_ONCE = 16  # predictions a write: more of them would hold up the answers for a millisecond


class Journal:
    """Notes of predictions on their way to the stream in Redis."""

    def __init__(self, redis: Redis, prefix: str, metrics: Metrics) -> None:
        self.redis, self.prefix = redis, prefix
        self._written = metrics.logged.labels("written")
        self._dropped = metrics.logged.labels("dropped")
        self._waiting: deque[tuple[Flight, Outcome, bytes, float]] = deque()

    def note(
        self, flights: Sequence[Flight], outcomes: Sequence[Outcome], matrix: NDArray[np.float32]
    ) -> None:
        """Keep what was said of `flights` (n) to `matrix` (n, inputs), as far as there is room."""
        now = time.time()
        free = max(0, ROOM - len(self._waiting))
        for row, (flight, outcome) in enumerate(zip(flights[:free], outcomes[:free], strict=True)):
            self._waiting.append((flight, outcome, matrix[row].tobytes(), now))
        if len(flights) > free:
            self._dropped.inc(len(flights) - free)

    async def keep_writing(self) -> None:
        """Write what was noted, again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.write()

    async def write(self) -> None:
        """Write what waits; stop at the first failure, and leave the rest for the next round.

        What a failed write held is not tried again: some of it may have arrived, and a prediction
        that is missing does less harm than one that counts twice.
        """
        while self._waiting:
            notes = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            pipe = self.redis.pipeline(transaction=False)
            for note in notes:
                log_prediction(pipe, self.prefix, entry(*note))
            try:
                await pipe.execute()
            except (RedisError, OSError, TimeoutError):
                self._dropped.inc(len(notes))
                return
            self._written.inc(len(notes))


def entry(flight: Flight, outcome: Outcome, inputs: bytes, at: float) -> Predicted:
    """A note as it goes to the stream."""
    return Predicted(
        flight.flight_id or "", at, outcome.version, flight.airline, flight.route,
        outcome.delay, outcome.low, outcome.high, outcome.confidence, outcome.features_used,
        flight.departure_time.timestamp(), inputs,
    )  # fmt: skip
