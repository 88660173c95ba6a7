"""From flights to predictions: features read, vector built, models asked, each step once for all.

Requests that wait at the same moment are answered together. With 32 clients, one read of Redis
and one run of the models serve a dozen of them; a lone request leaves at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import aircraft_features, airline_features, route_features
from features.vector import INPUTS, as_matrix
from features.weather_features import ENDS
from src import online
from src.bundle import Bundle
from src.service.contract import Flight
from src.service.metrics import Metrics
from src.service.model import Models
from src.service.store import Store

TOGETHER = 64  # more flights than this hold the event loop up for too long: a thread takes them
KEYS_A_FLIGHT = len(online.VIEWS)

SENTENCES: Mapping[str, str] = {
    "route": "no history of this route: usual values instead",
    "airline": "no history of this airline: usual values instead",
    "origin_weather": "no observation at the origin: weather_condition, or usual weather, instead",
    "destination_weather": "no observation at the destination: usual weather instead",
    "aircraft": "no inbound delay of this aircraft: the usual one instead",
}
STORE_AWAY = "the feature store does not answer: usual values stand in for everything it holds"


def observed_at(end: str, name: str) -> bool:
    """Whether an input is the weather at an `end` of the flight."""
    return name.startswith(f"{end}_") and name != f"{end}_hub"


# The model's inputs that rest on each view.
RESTS_ON: Mapping[str, frozenset[str]] = {
    "route": frozenset(route_features.VIEW.columns),
    "airline": frozenset(airline_features.VIEW.columns),
    "aircraft": frozenset((*aircraft_features.VIEW.columns, "inbound_beyond_turnaround")),
    **{
        f"{end}_weather": frozenset(name for name in INPUTS if observed_at(end, name))
        for end in ENDS
    },
}


class NoModelError(Exception):
    """There is no model to answer."""


class Outcome(NamedTuple):
    """A prediction for one flight, in minutes."""

    delay: float
    low: float
    high: float
    confidence: float
    version: str
    features_used: int
    degraded: tuple[str, ...]


class Seen(NamedTuple):
    """What the models are shown of some flights: (n, len(INPUTS)), and what was missing of each."""

    matrix: NDArray[np.float32]
    missing: Sequence[tuple[str, ...]]
    store_away: bool


class Predictor:
    """Predictions for one flight (`one`) or many (`many`), and why (`why`)."""

    def __init__(self, models: Models, store: Store, metrics: Metrics) -> None:
        self.models, self.store, self.metrics = models, store, metrics
        self._waiting: list[tuple[Flight, asyncio.Future[Outcome]]] = []
        self._trips: asyncio.Task[None] | None = None

    async def one(self, flight: Flight) -> Outcome:
        """The prediction for `flight`, made together with those that wait at this moment.

        Raises:
            NoModelError: nothing is loaded.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((flight, answer))
        if self._trips is None:
            self._trips = asyncio.create_task(self._travel())
        return await answer

    async def many(self, flights: Sequence[Flight]) -> list[Outcome]:
        """Predictions for `flights`, in their order."""
        bundle = self.champion()
        values = await self.values(flights)
        if len(flights) > TOGETHER:
            return await asyncio.to_thread(self.predict, bundle, flights, values)
        return self.predict(bundle, flights, values)

    async def why(self, flight: Flight) -> tuple[Outcome, NDArray[np.float64]]:
        """The prediction and what each input added to it, the usual delay last (inputs + 1)."""
        bundle = self.champion()
        values = await self.values([flight])
        seen = self.seen([flight], values)
        return self.outcomes(bundle, seen)[0], np.asarray(bundle.explain(seen.matrix))[0]

    async def _travel(self) -> None:
        """Answer who waits, until nobody does; who comes meanwhile goes with the next round."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                # Those who gave up, at the time limit or by closing the connection, are left out.
                await self._answer([(f, answer) for f, answer in waiting if not answer.done()])
        finally:
            self._trips = None

    async def _answer(self, waiting: Sequence[tuple[Flight, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self.many([flight for flight, _ in waiting])
        except Exception as error:  # every one who waits is told, each in its own request
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), outcome in zip(waiting, outcomes, strict=True):
            if not answer.done():
                answer.set_result(outcome)

    def champion(self) -> Bundle:
        """The model that answers; NoModelError without one."""
        if self.models.current is None:
            raise NoModelError
        return self.models.current

    async def values(self, flights: Sequence[Flight]) -> Sequence[bytes | None] | None:
        """What the feature store has for `flights`; None when it is away."""
        began = time.perf_counter()
        values = await self.store.read([key for flight in flights for key in online.keys(flight)])
        self.metrics.step_seconds.labels("read").observe(time.perf_counter() - began)
        return values

    def predict(
        self, bundle: Bundle, flights: Sequence[Flight], values: Sequence[bytes | None] | None
    ) -> list[Outcome]:
        """Predictions from what was read."""
        return self.outcomes(bundle, self.seen(flights, values))

    def seen(self, flights: Sequence[Flight], values: Sequence[bytes | None] | None) -> Seen:
        """The models' input for `flights`."""
        began = time.perf_counter()
        read = values if values is not None else [None] * (KEYS_A_FLIGHT * len(flights))
        found = online.columns(flights, read, time.time())
        matrix = as_matrix(found.columns)
        for view, age in found.age_seconds.items():
            self.metrics.age.labels(view).set(age)
        self.metrics.step_seconds.labels("vector").observe(time.perf_counter() - began)
        return Seen(matrix, found.missing, values is None)

    def outcomes(self, bundle: Bundle, seen: Seen) -> list[Outcome]:
        """What the models say to their input."""
        began = time.perf_counter()
        said = bundle.predict(seen.matrix)
        numbers = zip(
            said.delay_minutes.tolist(), said.low.tolist(), said.high.tolist(),
            said.confidence.tolist(), seen.missing, strict=True,
        )  # fmt: skip
        made = [
            Outcome(
                delay, low, high, confidence, bundle.version,
                features_used(missing), sentences(missing, seen.store_away),
            )
            for delay, low, high, confidence, missing in numbers
        ]  # fmt: skip
        self.metrics.step_seconds.labels("models").observe(time.perf_counter() - began)
        self.metrics.together.observe(len(made))
        self.count(made, seen.missing)
        return made

    def count(self, outcomes: Sequence[Outcome], missing: Sequence[tuple[str, ...]]) -> None:
        """Count predictions, and what was missing."""
        for outcome, views in zip(outcomes, missing, strict=True):
            kind = "degraded" if outcome.degraded else "all"
            self.metrics.predictions.labels(outcome.version, kind).inc()
            self.metrics.delay.observe(outcome.delay)
            self.metrics.confidence.observe(outcome.confidence)
            for view in views:
                self.metrics.missing.labels(view).inc()


@lru_cache
def features_used(missing: tuple[str, ...]) -> int:
    """How many of the model's inputs have a known value when these views are missing."""
    return len(INPUTS) - len(
        frozenset(INPUTS).intersection(*[frozenset().union(*(RESTS_ON[v] for v in missing))])
    )


@lru_cache
def sentences(missing: tuple[str, ...], store_away: bool) -> tuple[str, ...]:
    """What was missing and what stood in for it, in words."""
    said = tuple(SENTENCES[view] for view in missing)
    return (STORE_AWAY, *said) if store_away else said
