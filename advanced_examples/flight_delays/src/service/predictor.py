"""From flights to predictions: features read, vector built, models asked, each step once for all.

Requests that wait at the same moment are answered together. With 32 clients, one read of Redis
and one run of the models serve a dozen of them; a lone request leaves at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.vector import BAD_WEATHER, INPUTS, as_matrix
from features.weather_features import TYPICAL
from src import online
from src.bundle import Bundle
from src.service.contract import Flight
from src.service.journal import Journal
from src.service.metrics import Metrics
from src.service.model import Models
from src.service.outcome import Outcome
from src.service.store import Store, Values

TOGETHER = 64  # more flights than this hold the event loop up for too long: a thread takes them
STEPS = ("read", "vector", "models")
NOT_NAMED = "not named"  # no tail number: the store was not asked for it, so it lacks nothing
SUBJECTS: Mapping[str, str] = {
    "route": "the history of this route",
    "airline": "the history of this airline",
    "origin_weather": "the weather at the origin",
    "destination_weather": "the weather at the destination",
    "aircraft": "the inbound delay of this aircraft",
    "turnaround": "the time on the ground of this aircraft",
}
REASONS: Mapping[str, str] = {
    online.MISSING: "is not in the feature store",
    NOT_NAMED: "is not in the feature store",
    online.TOO_OLD: "in the feature store is too old for this departure",
    online.TOO_NEW: "in the feature store is of a time after this departure",
}
STORE_AWAY = "the feature store does not answer: usual values stand in for what it holds"
USUAL, TOLD = "a usual value stands in", "weather_condition stands in"


def rests_on(source: online.Source) -> frozenset[str]:
    """The model's inputs that can't be known without a source."""
    columns = [source.prefix + column for column in source.view.columns]
    if source.name == "aircraft":
        columns.append("inbound_beyond_turnaround")
    if source.prefix:  # weather: its words are inputs of their own
        columns += [source.prefix + word for word in BAD_WEATHER]
    return frozenset(columns) & frozenset(INPUTS)


RESTS_ON = {source.name: rests_on(source) for source in online.SOURCES}
RESTS_ON["turnaround"] = RESTS_ON["aircraft"] - {"inbound_delay_minutes"}


class NoModelError(Exception):
    """There is no model to answer."""


Gap = tuple[str, str, str]  # which source, why it has nothing, what stands in


class Seen(NamedTuple):
    """What the models are shown of some flights: (n, len(INPUTS)), and what was missing of each."""

    matrix: NDArray[np.float32]
    gaps: Sequence[tuple[Gap, ...]]
    store_away: bool


class Predictor:
    """Predictions for one flight (`one`) or many (`many`), and why (`why`)."""

    def __init__(self, models: Models, store: Store, metrics: Metrics, journal: Journal) -> None:
        self.models, self.store, self.metrics, self.journal = models, store, metrics, journal
        self._read, self._vector, self._said = map(metrics.step_seconds.labels, STEPS)
        for source in online.SOURCES:  # a counter that begins with its first gap hides that one
            metrics.missing.labels(source.name, online.MISSING)
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

    async def values(self, flights: Sequence[Flight]) -> Values | None:
        """What the feature store has for `flights`; None when it is away."""
        began = time.perf_counter()
        values = await self.store.read(online.keys(flights, self.store.prefix))
        self._read.observe(time.perf_counter() - began)
        return values

    def predict(
        self, bundle: Bundle, flights: Sequence[Flight], values: Values | None
    ) -> list[Outcome]:
        """Predictions from what was read, noted in the journal."""
        seen = self.seen(flights, values)
        made = self.outcomes(bundle, seen)
        self.journal.note(flights, made, seen.matrix)
        return made

    def seen(self, flights: Sequence[Flight], values: Values | None) -> Seen:
        """The models' input for `flights`."""
        began = time.perf_counter()
        found = self.decoded(flights, values)
        gaps = [fill(found, row, flight) for row, flight in enumerate(flights)]
        matrix = as_matrix(found.columns)
        if found.age == found.age:  # not NaN: something was read
            self.metrics.age.set(found.age)
        self._vector.observe(time.perf_counter() - began)
        return Seen(matrix, gaps, values is None)

    def decoded(self, flights: Sequence[Flight], values: Values | None) -> online.Features:
        """The columns of `flights`; not the store's when it is away or can't be read."""
        if values is None:
            return online.without_store(flights)
        try:
            return online.decode(flights, values)
        except ValueError as error:
            self.store.unreadable(error)
            return online.without_store(flights)

    def outcomes(self, bundle: Bundle, seen: Seen) -> list[Outcome]:
        """What the models say to their input."""
        began = time.perf_counter()
        said = bundle.predict(seen.matrix)
        numbers = zip(
            said.delay_minutes.tolist(), said.low.tolist(), said.high.tolist(),
            said.confidence.tolist(), seen.gaps, strict=True,
        )  # fmt: skip
        made = [
            Outcome(
                delay, low, high, confidence, bundle.version,
                features_used(gaps), sentences(gaps, seen.store_away),
            )
            for delay, low, high, confidence, gaps in numbers
        ]  # fmt: skip
        self._said.observe(time.perf_counter() - began)
        self.metrics.together.observe(len(made))
        self.count(made, seen.gaps)
        return made

    def count(self, outcomes: Sequence[Outcome], gaps: Sequence[tuple[Gap, ...]]) -> None:
        """Count predictions, and what was missing of them."""
        for outcome in outcomes:
            self.metrics.delay.observe(outcome.delay)
            self.metrics.confidence.observe(outcome.confidence)
        kinds = Counter("degraded" if outcome.degraded else "all" for outcome in outcomes)
        for kind, number in kinds.items():
            self.metrics.predictions.labels(outcomes[0].version, kind).inc(number)
        for (source, why, _), number in Counter(chain.from_iterable(gaps)).items():
            self.metrics.missing.labels(source, why).inc(number)


def fill(found: online.Features, row: int, flight: Flight) -> tuple[Gap, ...]:
    """Put what the request tells into the columns, and return what is still missing.

    What is told of the inbound aircraft wins over the store. `weather_condition` is for departures
    of which there is no observation: where there is one, it knows better.
    """
    status, columns = found.status[row], found.columns
    gaps = []
    for name in ("inbound_delay_minutes", "turnaround_minutes"):
        if (told := getattr(flight, name)) is not None:
            columns[name][row] = told
    for source, state in status.items():
        if state == online.FOUND:
            continue
        if source == "aircraft" and flight.inbound_delay_minutes is not None:
            if flight.turnaround_minutes is not None:
                continue
            source = "turnaround"  # noqa: PLW2901  half of the source is told
        if source in ("aircraft", "turnaround") and flight.tail_number is None:
            state = NOT_NAMED  # noqa: PLW2901
        instead = USUAL
        if source == "origin_weather" and flight.weather_condition is not None:
            visibility, precipitation = TYPICAL[flight.weather_condition]
            columns["origin_conditions"][row] = flight.weather_condition
            columns["origin_visibility"][row] = visibility
            columns["origin_precipitation"][row] = precipitation
            instead = TOLD
        gaps.append((source, state, instead))
    return tuple(gaps)


@lru_cache(maxsize=4096)
def features_used(gaps: tuple[Gap, ...]) -> int:
    """How many of the model's inputs have a known value in spite of `gaps`."""
    lost = [RESTS_ON[source] for source, _, _ in gaps]
    return sum(not any(name in inputs for inputs in lost) for name in INPUTS)


@lru_cache(maxsize=4096)
def sentences(gaps: tuple[Gap, ...], store_away: bool) -> tuple[str, ...]:
    """What was missing, why, and what stood in for it, in words."""
    if store_away:
        return (STORE_AWAY,)
    return tuple(f"{SUBJECTS[source]} {REASONS[why]}: {instead}" for source, why, instead in gaps)
