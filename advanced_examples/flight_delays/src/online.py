"""Read the features of flights from Redis, with one MGET, as the columns that the model wants.

It needs Redis and numpy, not Feast: this is the part of the feature store that the service has.
What can't be read is NaN, and the answer says which view that was and why.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import redis
import redis.asyncio
from numpy.typing import NDArray

from features import aircraft_features, airline_features, route_features, weather_features
from features.views import View, key, unpack
from src.packed import PREFIX, freshness_key

STALE_AFTER = timedelta(hours=2)
FOUND, MISSING, TOO_OLD, TOO_NEW = "found", "missing", "too old", "too new"


class Flight(NamedTuple):
    """What a request says of a flight; a `departure_time` without a zone is UTC."""

    route: str
    airline: str
    departure_time: datetime
    aircraft_type: str
    tail_number: str | None = None


class Source(NamedTuple):
    """One row that a flight needs: of which view, under which name, its columns named how."""

    view: View
    name: str
    prefix: str


SOURCES = (
    Source(route_features.VIEW, "route", ""),
    Source(airline_features.VIEW, "airline", ""),
    Source(weather_features.VIEW, "origin_weather", "origin_"),
    Source(weather_features.VIEW, "destination_weather", "destination_"),
    Source(aircraft_features.VIEW, "aircraft", ""),
)


class Features(NamedTuple):
    """What was read for n flights.

    `columns` are for `features.vector.as_matrix`. `status` says for each flight, by source, FOUND,
    MISSING, TOO_OLD (past the TTL at departure) or TOO_NEW (known only after it). `age` is how long
    ago, in seconds, the oldest row that was used was written; NaN if none was.
    """

    columns: dict[str, NDArray[Any]]
    status: list[dict[str, str]]
    age: float

    @property
    def stale(self) -> bool:
        """Whether a row that was used has not been refreshed for 2 hours."""
        return self.age > STALE_AFTER.total_seconds()

    def lacking(self, flight: int = 0) -> list[str]:
        """The sources that could not be used for one of the flights."""
        return [name for name, found in self.status[flight].items() if found != FOUND]


class Freshness(NamedTuple):
    """When a view was last written: time of the newest values, seconds since, rows."""

    as_of: float
    age: float
    rows: int

    @property
    def stale(self) -> bool:
        """Whether that is longer ago than 2 hours."""
        return self.age > STALE_AFTER.total_seconds()


def entities(flight: Flight) -> tuple[str, ...]:
    """The entity of each of SOURCES for one flight; an unknown tail number is empty."""
    origin, _, destination = flight.route.partition("-")
    return (flight.route, flight.airline, origin, destination, flight.tail_number or "")


def keys(flights: Sequence[Flight], prefix: str = PREFIX) -> list[str]:
    """The Redis keys of all rows, flight by flight, in the order of SOURCES."""
    return [
        key(prefix, source.view, entity)
        for flight in flights
        for source, entity in zip(SOURCES, entities(flight), strict=True)
    ]


def read(client: redis.Redis, flights: Sequence[Flight], prefix: str = PREFIX) -> Features:
    """The features of `flights`. Connection errors of redis-py are the caller's to handle."""
    return decode(flights, client.mget(keys(flights, prefix)))


async def read_async(
    client: redis.asyncio.Redis, flights: Sequence[Flight], prefix: str = PREFIX
) -> Features:
    """The same with an asynchronous client; neither client may decode responses."""
    return decode(flights, await client.mget(keys(flights, prefix)))


def without_store(flights: Sequence[Flight]) -> Features:
    """The columns when the store is away: all is missing that isn't in the request."""
    return decode(flights, [None] * (len(flights) * len(SOURCES)))


def decode(
    flights: Sequence[Flight], values: Sequence[bytes | None], now: float | None = None
) -> Features:
    """Columns from packed `values` in the order of `keys`.

    A row counts as in training: not newer than the departure, not older than its TTL then.

    Raises:
        ValueError: a value was written by another version of its view.
    """
    now = time.time() if now is None else now
    departures = [instant(flight.departure_time) for flight in flights]
    table = np.full((len(flights), WIDTH), np.nan, dtype=np.float64)
    status: list[dict[str, str]] = []
    oldest = np.nan
    for row, departure in enumerate(departures):
        found: dict[str, str] = {}
        for place, source in enumerate(SOURCES):
            value = values[row * len(SOURCES) + place]
            if value is None:
                found[source.name] = MISSING
                continue
            packed = unpack(source.view, value)
            found[source.name] = fits(source.view, packed.as_of, departure)
            if found[source.name] == FOUND:
                start = STARTS[place]
                table[row, start : start + len(packed.values)] = packed.values
                oldest = np.fmin(oldest, packed.written)
        status.append(found)
    columns = request_columns(flights, departures) | stored_columns(table)
    return Features(columns, status, float(now - oldest))


def instant(departure: datetime) -> float:
    """Seconds since 1970; a time without a zone is UTC."""
    return (departure if departure.tzinfo else departure.replace(tzinfo=UTC)).timestamp()


def fits(view: View, as_of: float, departure: float) -> str:
    """Whether a row of `as_of` was valid at `departure`; both ends count."""
    if as_of > departure:
        return TOO_NEW
    return FOUND if departure - as_of <= view.ttl.total_seconds() else TOO_OLD


def request_columns(
    flights: Sequence[Flight], departures: Sequence[float]
) -> dict[str, NDArray[Any]]:
    """The columns that the request itself holds."""
    return {
        "route": np.array([flight.route for flight in flights]),
        "airline": np.array([flight.airline for flight in flights]),
        "aircraft_type": np.array([flight.aircraft_type for flight in flights]),
        "departure_time": (np.array(departures) * 1e6).round().astype("M8[us]"),
    }


def stored_columns(table: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """The columns of the views, from rows that lie side by side; text as words again."""
    columns: dict[str, NDArray[Any]] = {}
    for place, (name, words) in enumerate(COLUMNS):
        numbers = table[:, place]
        if words is None:
            columns[name] = numbers
        else:
            known = np.where(np.isnan(numbers), len(words), numbers).astype(int)
            columns[name] = np.array((*words, ""))[known]
    return columns


def freshness(
    client: redis.Redis, prefix: str = PREFIX, now: float | None = None
) -> dict[str, Freshness]:
    """When each view was last written, by name; a view that never was isn't there."""
    now = time.time() if now is None else now
    notes: Mapping[bytes, bytes] = client.hgetall(freshness_key(prefix))
    answer = {}
    for name, text in notes.items():
        note = json.loads(text)
        answer[name.decode()] = Freshness(note["as_of"], now - note["written"], note["rows"])
    return answer


# All columns of SOURCES side by side, and where each source begins.
COLUMNS = tuple(
    (source.prefix + column, source.view.categories.get(column))
    for source in SOURCES
    for column in source.view.columns
)
WIDTH = len(COLUMNS)
STARTS = tuple(
    sum(len(source.view.columns) for source in SOURCES[:place]) for place in range(len(SOURCES))
)
