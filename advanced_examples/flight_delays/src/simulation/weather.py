"""Hourly weather for every airport: seasons, hours, fronts that last and neighbours that share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import norm

from features.airports import AIRPORTS, CODES, local_times, miles
from src.simulation.schedule import DAYS, START
from src.simulation.shift import Shift

HOURS = DAYS * 24
CONDITIONS = ("clear", "rain", "snow", "fog")
CLEAR, RAIN, SNOW, FOG = range(4)
FOG_KM = 1.5
SNOW_BELOW = 0.5
NEIGHBOUR_MILES = 350.0
DUST_KM = 8.0  # without rain, snow, fog or dust one sees at least as far
THIN_DUST_KM, THICK_DUST_KM = 6.5, 2.0
SUMMER_PEAK_DAY, SEASON_DAYS = 200, 365.25
Floats = NDArray[np.float64]


class Climate(NamedTuple):
    """Mean temperature (C), half of summer minus winter, and shares of hours with each trouble.

    `rain` holds all year; `storms` are the share of summer afternoons; `fog` of mornings.
    """

    mean: float
    swing: float
    rain: float
    storms: float
    fog: float


CLIMATES: dict[str, Climate] = {
    "ATL": Climate(17, 9, 0.08, 0.22, 0.05),
    "BOS": Climate(11, 12, 0.10, 0.09, 0.06),
    "CLT": Climate(16, 9, 0.08, 0.17, 0.05),
    "DEN": Climate(9, 13, 0.08, 0.18, 0.02),
    "DFW": Climate(19, 11, 0.06, 0.15, 0.03),
    "DTW": Climate(9, 14, 0.11, 0.11, 0.05),
    "IAH": Climate(21, 8, 0.08, 0.20, 0.07),
    "JFK": Climate(12, 12, 0.09, 0.14, 0.06),
    "LAS": Climate(20, 12, 0.02, 0.04, 0.00),
    "LAX": Climate(18, 4, 0.04, 0.00, 0.10),
    "MCO": Climate(23, 6, 0.06, 0.32, 0.05),
    "MIA": Climate(25, 4, 0.06, 0.32, 0.02),
    "MSP": Climate(7, 17, 0.10, 0.11, 0.03),
    "ORD": Climate(9, 14, 0.11, 0.16, 0.05),
    "PHL": Climate(13, 12, 0.09, 0.13, 0.05),
    "PHX": Climate(24, 10, 0.02, 0.06, 0.00),
    "SAN": Climate(18, 4, 0.03, 0.00, 0.12),
    "SEA": Climate(11, 7, 0.17, 0.02, 0.08),
    "SFO": Climate(15, 4, 0.06, 0.00, 0.15),
    "SLC": Climate(11, 14, 0.08, 0.06, 0.05),
}


class Weather(NamedTuple):
    """Hourly observations (airports, hours): C, %, km/h, km, mm an hour, row of CONDITIONS."""

    temperature: Floats
    humidity: Floats
    wind_speed: Floats
    visibility: Floats
    precipitation: Floats
    conditions: NDArray[np.int64]


def make_weather(rng: np.random.Generator, shift: Shift | None = None) -> Weather:
    """Weather of three years; what the conditions say agrees with the numbers, hour by hour.

    A shift changes the climate from its day on, and nothing before it.
    """
    climate = np.array([CLIMATES[code] for code in CODES])
    mean, swing, rain, storms, fog = climate.T[:, :, None]
    season, hour = calendar()
    temperature = (
        mean
        + swing * season
        + 4.5 * np.cos((hour - 15) / 24 * 2 * np.pi)
        + 4.0 * lasting(0.985, rng)
    )
    front = lasting(0.93, rng)
    steady = np.maximum(front - norm.isf(rain * (1 - 0.3 * season)), 0)
    sun = np.clip(season, 0, None) * np.exp(-(((hour - 17) / 3.0) ** 2))
    storm = np.maximum(lasting(0.8, rng) - norm.isf(np.clip(storms * sun, 1e-9, 0.5)), 0)
    precipitation = np.round(2.2 * steady + 9.0 * storm, 1)
    temperature = np.round(temperature - 1.5 * (precipitation > 0), 1)

    mist = lasting(0.9, rng) - norm.isf(
        np.clip(fog * 2.5 * np.exp(-(((hour - 6) / 3.0) ** 2)), 1e-9, 0.5)
    )
    foggy = (mist > 0) & (precipitation == 0)
    snowy = (precipitation > 0) & (temperature <= SNOW_BELOW)
    conditions = np.where(
        precipitation > 0, np.where(snowy, SNOW, RAIN), np.where(foggy, FOG, CLEAR)
    )

    falling = 16 / (1 + np.where(snowy, 2.5, 0.25) * precipitation)
    clear = np.clip(14 + 1.5 * rng.standard_normal(falling.shape), 8, 16)
    fog_km = np.clip(1.4 - 0.9 * np.maximum(mist, 0), 0.1, 1.4)
    visibility = np.where(foggy, fog_km, np.minimum(clear, np.maximum(falling, 0.3)))
    humidity = 58 + 9 * front - 10 * np.cos((hour - 15) / 24 * 2 * np.pi) + 6 * (fog > 0.04)
    humidity = np.where(precipitation > 0, np.maximum(humidity, 82), humidity)
    humidity = np.where(foggy, np.maximum(humidity, 95), humidity)
    gusts = np.exp(2.5 + 0.42 * lasting(0.95, rng) + 0.12 * np.maximum(front, 0) - 0.1 * season)
    wind = gusts + 10 * np.minimum(storm, 1.5)
    if shift is not None:
        after = shift.after(np.arange(HOURS) * 60)
        wind = wind * np.where(after, shift.kind.wind, 1.0)
        dust = np.where(after, lasting(0.97, rng) - norm.isf(shift.kind.dust), 0)
        dusty = (dust > 0) & (conditions == CLEAR)
        visibility = np.where(dusty, (THIN_DUST_KM - 1.5 * dust).clip(THICK_DUST_KM), visibility)
    return Weather(
        temperature,
        np.round(np.clip(humidity, 15, 100), 0),
        np.round(np.clip(wind, 0, 110), 1),
        np.round(visibility, 1),
        precipitation,
        conditions.astype(np.int64),
    )


def calendar() -> tuple[Floats, Floats]:
    """Season (hours; 1 in July, -1 in January) and local hour (airports, hours)."""
    times = START + np.arange(HOURS) * np.timedelta64(60, "m")
    day = np.arange(HOURS) / 24
    season = np.cos((day - SUMMER_PEAK_DAY) / SEASON_DAYS * 2 * np.pi)
    clocks = [local_times(times, np.full(HOURS, code)) for code in CODES]
    hours = np.stack([(clock.astype("M8[h]").astype(np.int64) % 24) for clock in clocks])
    return season, hours.astype(np.float64)


def lasting(memory: float, rng: np.random.Generator) -> Floats:
    """Standard normal (airports, hours), each hour `memory` of the one before, neighbours alike.

    An AR(1) process; its shocks are correlated as exp(-distance / NEIGHBOUR_MILES).
    """
    apart = np.array([[miles(a, b) for b in AIRPORTS] for a in AIRPORTS])
    shocks = np.linalg.cholesky(np.exp(-apart / NEIGHBOUR_MILES)) @ rng.standard_normal(
        (len(CODES), HOURS)
    )
    fresh = np.sqrt(1 - memory**2)
    shocks[:, 1:] *= fresh
    return lfilter([1.0], [1.0, -memory], shocks, axis=1)
