"""Why flights are late: what can be known before departure, to the minute, and what can't.

    delay = expected + noise
    expected = carrier + route + calendar and hour + weather + max(0, inbound delay - slack)

`expected` depends only on what is known at the scheduled departure, and the noise is drawn on its
own: so `expected` is E[delay | all that is known then], and no model can do better. The noise has
a Laplace distribution, whose median is its mean: the same figure is best for MAE and for RMSE.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from features.airports import AIRPORTS, CODES, local_times
from features.holidays import days_from_holiday
from src.simulation.network import CARRIERS, ROUTES, TYPES
from src.simulation.schedule import DAYS, START, Fleet, Schedule
from src.simulation.shift import Kind, Shift
from src.simulation.weather import CLEAR, DUST_KM, FOG, RAIN, SNOW, Weather

NOISE_MINUTES = 6.9
NOISE_IN_BAD_WEATHER = 0.5
CARRIER_DRIFT, CARRIER_DAYS = 2.2, 120.0
ROUTE_DRIFT, ROUTE_DAYS = 1.3, 90.0
ROUTE_SPREAD = 7.0
PADDING = 6.0  # minutes that timetables hold to spare
CANCELLED_ALWAYS, CANCELLED_IN_BAD_WEATHER = 0.008, 0.20
Floats = NDArray[np.float64]


class Delays(NamedTuple):
    """One entry per flight, minutes: the truth, the best prediction, the noise's scale.

    `inbound` is the delay of the inbound aircraft as known at the scheduled departure and
    `known_at` the minute since START when it became known.
    """

    actual: Floats
    cancelled: NDArray[np.bool_]
    inbound: Floats
    known_at: Floats
    expected: Floats
    scale: Floats


class Here(NamedTuple):
    """The weather at one end of each flight, at the last full hour before departure."""

    hub: Floats
    temperature: Floats
    wind: Floats
    visibility: Floats
    precipitation: Floats
    conditions: NDArray[np.int64]


def make_delays(
    schedule: Schedule,
    fleet: Fleet,
    weather: Weather,
    rng: np.random.Generator,
    shift: Shift | None = None,
) -> Delays:
    """Delays of all flights; every aircraft carries its own from leg to leg."""
    clock = local_clock(schedule)
    origin = look(weather, schedule.origin, schedule.departure)
    destination = look(weather, schedule.destination, schedule.departure)
    own = (
        habits(schedule, fleet, rng)
        + calendar_minutes(clock, origin.hub, destination.hub)
        + weather_minutes(origin, clock.hour, 1.0)
        + weather_minutes(destination, clock.hour, 0.6)
        + wind_minutes(fleet.type[schedule.aircraft], origin, destination)
    )
    if shift is not None:
        after = shift.after(schedule.departure)
        own = own + np.where(after, dust_minutes(shift.kind, origin, destination), 0.0)
    severity = np.maximum(trouble(origin), trouble(destination))
    scale = NOISE_MINUTES * (1 + NOISE_IN_BAD_WEATHER * severity)
    noise = rng.laplace(0.0, scale)
    risk = CANCELLED_ALWAYS + CANCELLED_IN_BAD_WEATHER * severity**2
    cancelled = rng.random(len(own)) < risk
    return carry_on(schedule, fleet, own, noise, cancelled, scale)


def carry_on(
    schedule: Schedule,
    fleet: Fleet,
    own: Floats,
    noise: Floats,
    cancelled: NDArray[np.bool_],
    scale: Floats,
) -> Delays:
    """Pass delays on, first all first legs, then all second legs, and so on.

    An aircraft that hasn't taken off by the time it should leave again is replaced: so what is
    passed on is known at the scheduled departure, at the latest then. After a cancellation too.
    """
    least = np.array([t.turnaround for t in TYPES.values()])[fleet.type[schedule.aircraft]]
    slack = schedule.turnaround - least
    inbound, known_at = np.zeros(len(own)), np.full(len(own), np.nan)
    expected, actual = own.copy(), own + noise
    for leg in range(1, int(schedule.leg.max(initial=0)) + 1):
        now = np.flatnonzero(schedule.leg == leg)
        before = schedule.previous[now]
        replaced = schedule.departure[now] - schedule.departure[before]
        came = np.where(cancelled[before], 0.0, np.minimum(actual[before], replaced))
        inbound[now] = came
        known_at[now] = schedule.departure[before] + np.clip(came, 0, None)
        expected[now] += np.maximum(came - slack[now], 0)
        actual[now] = expected[now] + noise[now]
    actual[cancelled] = np.nan
    return Delays(actual, cancelled, inbound, known_at, expected, scale)


def habits(schedule: Schedule, fleet: Fleet, rng: np.random.Generator) -> Floats:
    """Minutes (flights) that carrier and route add: a lasting part and one that drifts."""
    carrier = fleet.carrier[schedule.aircraft]
    table = np.full((len(CODES), len(CODES)), -1)
    for number, name in enumerate(ROUTES):
        origin, destination = name.split("-")
        table[CODES.index(origin), CODES.index(destination)] = number
    route = table[schedule.origin, schedule.destination]
    day = schedule.departure // 1440
    usual = np.array([c.delay for c in CARRIERS.values()])
    return (
        usual[carrier]
        + CARRIER_DRIFT * drift(len(CARRIERS), CARRIER_DAYS, rng)[carrier, day]
        + ROUTE_SPREAD * norm.ppf((rng.permutation(len(ROUTES)) + 0.5) / len(ROUTES))[route]
        + ROUTE_DRIFT * drift(len(ROUTES), ROUTE_DAYS, rng)[route, day]
    )


def drift(count: int, days: float, rng: np.random.Generator) -> Floats:
    """Standard normal (count, DAYS) that forgets in `days`: an Ornstein-Uhlenbeck process."""
    memory = np.exp(-1 / days)
    state = rng.standard_normal((count, DAYS))
    for day in range(1, DAYS):
        state[:, day] = memory * state[:, day - 1] + np.sqrt(1 - memory**2) * state[:, day]
    return state


class Clock(NamedTuple):
    """Local hour with its fraction, weekday (0 is Monday) and days to the nearest holiday."""

    hour: Floats
    weekday: NDArray[np.int64]
    holiday: NDArray[np.int64]


def local_clock(schedule: Schedule) -> Clock:
    """Departures on the clocks of their airports."""
    times = START + schedule.departure.astype("timedelta64[m]")
    local = local_times(times, np.array(CODES)[schedule.origin])
    day = local.astype("M8[D]")
    minute = (local - day).astype(np.int64)
    days, where = np.unique(day, return_inverse=True)
    near = np.array([days_from_holiday(one) for one in days.astype(object)])
    return Clock(minute / 60, (day.astype(np.int64) + 3) % 7, near[where])


def look(weather: Weather, airport: NDArray[np.int64], minute: NDArray[np.int64]) -> Here:
    """What was last observed at each airport (n) before each minute (n)."""
    hour = minute // 60
    hubs = np.array([AIRPORTS[code].hub for code in CODES])
    return Here(
        hubs[airport],
        weather.temperature[airport, hour],
        weather.wind_speed[airport, hour],
        weather.visibility[airport, hour],
        weather.precipitation[airport, hour],
        weather.conditions[airport, hour],
    )


def calendar_minutes(clock: Clock, hub: Floats, hub_there: Floats) -> Floats:
    """Rush hours, which crowd hubs most; Fridays and Sundays; the days beside holidays."""
    morning = np.exp(-(((clock.hour - 8.0) / 1.2) ** 2))
    evening = np.exp(-(((clock.hour - 17.5) / 1.8) ** 2))
    rush = (10 * morning + 20 * evening) * (0.25 + hub) * (0.6 + 0.6 * hub_there)
    busy = np.array([1.0, -1.0, -1.0, 2.0, 4.0, -3.0, 3.0])[clock.weekday]
    holiday = np.select([clock.holiday == 0, clock.holiday == 1], [-3.0, 7.0], 0.0)
    return rush + busy * (1 + 0.5 * hub) + holiday * (0.5 + hub) - PADDING


def weather_minutes(at: Here, hour: Floats, weight: float) -> Floats:
    """Snow, which hubs bear worst; rain, by how hard; fog, worst in the morning; de-icing."""
    snow = 42 * np.tanh(at.precipitation / 1.5) * (0.5 + 1.1 * at.hub)
    rain = 20 * np.log1p(at.precipitation) * (0.45 + 0.8 * at.hub)
    morning = 1 / (1 + np.exp((hour - 10.5) / 0.7))
    fog = (1.6 - at.visibility).clip(0) * (8 + 34 * morning)
    ice = np.where(at.temperature < -4, 6.0, 0.0)
    kinds = [at.conditions == SNOW, at.conditions == RAIN, at.conditions == FOG]
    return weight * (np.select(kinds, [snow, rain, fog], 0.0) + ice)


def wind_minutes(kind: NDArray[np.int64], origin: Here, destination: Here) -> Floats:
    """Minutes that wind beyond what an aircraft type takes easily costs, at both ends."""
    easy = np.array([t.wind for t in TYPES.values()])[kind]
    each = np.array([t.wind_minutes for t in TYPES.values()])[kind]
    return each * ((origin.wind - easy).clip(0) + (destination.wind - easy).clip(0))


def dust_minutes(kind: Kind, origin: Here, destination: Here) -> Floats:
    """Minutes that dust costs at both ends: in dry air nothing else lets one see so little."""
    return kind.dust_minutes * (
        np.where(origin.conditions == CLEAR, (DUST_KM - origin.visibility).clip(0), 0.0)
        + np.where(destination.conditions == CLEAR, (DUST_KM - destination.visibility).clip(0), 0.0)
    )


def trouble(at: Here) -> Floats:
    """How bad the weather is, from 0 to 1: it makes delays less certain and cancels flights."""
    bad = np.select(
        [at.conditions == SNOW, at.conditions == RAIN, at.conditions == FOG],
        [np.tanh(at.precipitation / 1.5), np.tanh(at.precipitation / 8), 0.5],
        0.0,
    )
    return np.maximum(bad, ((at.wind - 40) / 40).clip(0, 1))
