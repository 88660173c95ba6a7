"""The newest predictions and the newest judged flights, kept up to date from the two streams.

Only what is new is read each time, so that a look every few seconds costs little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import redis
from numpy.typing import NDArray

from src.monitoring import outcomes
from src.monitoring.outcomes import Judged, Predicted

Key = tuple[str, str]  # flight_id, version


class Ledger:
    """What the streams under `prefix` hold, seen through windows of `window` flights.

    `newest` are the predictions that came last, `landed` how many landings were told. The client
    must not decode answers.
    """

    def __init__(self, client: redis.Redis, prefix: str, window: int) -> None:
        self.client, self.prefix, self.window = client, prefix, window
        self.newest: deque[Predicted] = deque(maxlen=window)
        self.landed = 0
        self._said: dict[Key, Predicted] = {}
        self._versions: dict[str, set[str]] = {}
        self._truth: dict[str, float] = {}
        self._judged: dict[Key, Judged] = {}
        self._read: dict[str, bytes] = {}

    def refresh(self) -> None:
        """Read what is new; errors of redis-py are the caller's to handle."""
        for fields in self._new(outcomes.predictions_key(self.prefix)):
            self._predicted(outcomes.predicted(fields))
        for fields in self._new(outcomes.landed_key(self.prefix)):
            self.landed += 1
            flight_id = fields[b"flight_id"].decode()
            self._truth.pop(flight_id, None)
            self._truth[flight_id] = float(fields[b"actual_delay_minutes"])
            for version in self._versions.get(flight_id, ()):
                self._judge((flight_id, version))
        self._forget()

    def _new(self, stream: str) -> list[dict[bytes, bytes]]:
        found = list(outcomes.entries(self.client, stream, self._read.get(stream, b"-")))
        if found:
            self._read[stream] = b"(" + found[-1][0]
        return [fields for _, fields in found]

    def _predicted(self, made: Predicted) -> None:
        self.newest.append(made)
        if not made.flight_id:
            return
        key = made.flight_id, made.version
        self._said.pop(key, None)
        self._said[key] = made._replace(inputs=b"")
        self._versions.setdefault(made.flight_id, set()).add(made.version)
        if made.flight_id in self._truth:
            self._judge(key)

    def _judge(self, key: Key) -> None:
        self._judged.pop(key, None)
        self._judged[key] = outcomes.judge(self._said[key], self._truth[key[0]])

    def _forget(self) -> None:
        """Drop the oldest of what is more than the streams themselves keep."""
        while len(self._said) > outcomes.KEEP:
            flight_id, version = key = next(iter(self._said))
            del self._said[key]
            self._versions[flight_id].discard(version)
            if not self._versions[flight_id]:
                del self._versions[flight_id]
        for kept, most in ((self._truth, outcomes.KEEP), (self._judged, self.window)):
            for old in list(kept)[: max(0, len(kept) - most)]:
                del kept[old]

    def judged(self) -> Sequence[Judged]:
        """The flights that were judged last, the oldest first."""
        return list(self._judged.values())

    def seen(self) -> tuple[NDArray[np.float32], NDArray[np.datetime64]]:
        """What the model saw of the newest flights (n, inputs), and when they leave (n)."""
        rows = [row for row in self.newest if len(row.inputs) == outcomes.WIDTH]
        departures = np.array([int(row.departure) for row in rows], dtype="M8[s]")
        return outcomes.matrix(rows), departures
