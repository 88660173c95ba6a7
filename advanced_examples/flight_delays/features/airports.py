"""The airports of this project: where they lie, which time their clocks show, how busy they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray


class Airport(NamedTuple):
    """One airport; `hub` is how crowded it gets, from 0 (never) to 1 (a major hub)."""

    zone: str
    latitude: float
    longitude: float
    hub: float


AIRPORTS: dict[str, Airport] = {
    "ATL": Airport("America/New_York", 33.64, -84.43, 1.0),
    "BOS": Airport("America/New_York", 42.36, -71.01, 0.5),
    "CLT": Airport("America/New_York", 35.21, -80.94, 0.7),
    "DEN": Airport("America/Denver", 39.86, -104.67, 0.9),
    "DFW": Airport("America/Chicago", 32.90, -97.04, 0.9),
    "DTW": Airport("America/Detroit", 42.21, -83.35, 0.4),
    "IAH": Airport("America/Chicago", 29.98, -95.34, 0.6),
    "JFK": Airport("America/New_York", 40.64, -73.78, 0.9),
    "LAS": Airport("America/Los_Angeles", 36.08, -115.15, 0.4),
    "LAX": Airport("America/Los_Angeles", 33.94, -118.41, 0.8),
    "MCO": Airport("America/New_York", 28.43, -81.31, 0.4),
    "MIA": Airport("America/New_York", 25.79, -80.29, 0.5),
    "MSP": Airport("America/Chicago", 44.88, -93.22, 0.4),
    "ORD": Airport("America/Chicago", 41.98, -87.90, 1.0),
    "PHL": Airport("America/New_York", 39.87, -75.24, 0.5),
    "PHX": Airport("America/Phoenix", 33.43, -112.01, 0.4),
    "SAN": Airport("America/Los_Angeles", 32.73, -117.19, 0.2),
    "SEA": Airport("America/Los_Angeles", 47.45, -122.31, 0.6),
    "SFO": Airport("America/Los_Angeles", 37.62, -122.38, 0.7),
    "SLC": Airport("America/Denver", 40.79, -111.98, 0.3),
}
CODES: tuple[str, ...] = tuple(AIRPORTS)
PARTS_OF_THE_DAY = ("night", "morning", "afternoon", "evening")
PARTS_BEGIN = (5, 12, 17, 22)  # local hours; the night goes on until 5
EARTH_RADIUS_MILES = 3958.8
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local(time: datetime, airport: str) -> datetime:
    """`time` (with a zone; a naive one counts as UTC) on the clocks of `airport`.

    Raises:
        KeyError: `airport` is none of ours.
    """
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.astimezone(ZoneInfo(AIRPORTS[airport].zone))


@cache
def offset(airport: str, hour: int) -> int:
    """Hours from UTC to the clocks of `airport` at `hour`, hours since 1970."""
    shift = local(EPOCH + timedelta(hours=hour), airport).utcoffset()
    return round(shift / timedelta(hours=1)) if shift is not None else 0


@cache
def offsets(airport: str, first: int, last: int) -> NDArray[np.int64]:
    """`offset` of each hour of the days `first` to `last`, days since 1970."""
    hours: list[int] = []
    for day in range(first, last + 1):
        ends = offset(airport, 24 * day), offset(airport, 24 * day + 24)
        one_day = range(24 * day, 24 * day + 24)
        hours += [ends[0]] * 24 if ends[0] == ends[1] else [offset(airport, h) for h in one_day]
    return np.array(hours, dtype=np.int64)


def local_times(
    times: NDArray[np.datetime64], airports: NDArray[np.str_]
) -> NDArray[np.datetime64]:
    """UTC `times` (n) on the clocks of `airports` (n), as naive local times (n).

    The same as `local`, for a million flights at once: it asks the calendar once a day and
    airport, and once an hour on the days that change the clocks.
    """
    hours = times.astype("datetime64[h]").astype(np.int64)
    names, where = np.unique(airports, return_inverse=True)
    first, last = int(hours.min()) // 24, int(hours.max()) // 24
    table = np.stack([offsets(str(name), first, last) for name in names])
    return times + table[where, hours - 24 * first].astype("timedelta64[h]")


def time_of_day(times: NDArray[np.datetime64], airports: NDArray[np.str_]) -> NDArray[np.str_]:
    """The part of the day of UTC `times` (n) on the clocks of `airports` (n)."""
    hours = local_times(times, airports).astype("M8[h]").astype(np.int64) % 24
    return np.array(PARTS_OF_THE_DAY)[np.searchsorted(PARTS_BEGIN, hours, side="right") % 4]


def miles(origin: str, destination: str) -> float:
    """Great-circle distance between two airports (haversine formula)."""
    a, b = AIRPORTS[origin], AIRPORTS[destination]
    lat_a, lat_b = np.radians(a.latitude), np.radians(b.latitude)
    half_lat = (lat_b - lat_a) / 2
    half_lon = np.radians(b.longitude - a.longitude) / 2
    chord = np.sin(half_lat) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin(half_lon) ** 2
    return float(2 * EARTH_RADIUS_MILES * np.arcsin(np.sqrt(chord)))
