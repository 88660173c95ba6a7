"""From columns to the model's input: one piece of code for training and for the service.

Training hands over whole columns, the service arrays of length 1. That is why a prediction online
equals the one offline: there is no second way to build the vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import aircraft_features, airline_features, route_features, weather_features
from features.airports import AIRPORTS
from features.temporal_features import MORE_NAMES, NAMES, temporal

AIRLINES = ("AA", "UA", "DL", "SW", "B6", "AS", "NK", "F9")
AIRCRAFT = ("A320", "A321", "B737", "B738", "E175")
HISTORY = (*route_features.VIEW.columns, *airline_features.VIEW.columns)
# Humidity is in the view, and no cause of delay: the model does without it.
WEATHER = ("temperature", "wind_speed", "visibility", "precipitation")
BAD_WEATHER = ("rain", "snow", "fog")
UNKNOWN_HUB = 0.5

# What stands in for a value that is missing: near the middle of what is usual.
DEFAULTS: Mapping[str, float] = {
    "avg_delay_7d": 10.0,
    "std_delay_7d": 20.0,
    "on_time_percentage_7d": 65.0,
    "volume_7d": 14.0,
    "own_delay_365d": 0.0,
    "airline_avg_delay_30d": 10.0,
    "airline_reliability_score": 65.0,
    "airline_cancellation_rate": 0.015,
    "temperature": 14.0,
    "humidity": 60.0,
    "wind_speed": 13.0,
    "visibility": 14.0,
    "precipitation": 0.0,
    "inbound_delay_minutes": 8.0,
    "turnaround_minutes": 60.0,
}

INPUTS: tuple[str, ...] = (
    *(f"airline_{code}" for code in AIRLINES),
    *(f"aircraft_{kind}" for kind in AIRCRAFT),
    "origin_hub",
    "destination_hub",
    *HISTORY,
    *(f"{end}_{name}" for end in weather_features.ENDS for name in (*WEATHER, *BAD_WEATHER)),
    *NAMES,
    *MORE_NAMES,
    *aircraft_features.VIEW.columns,
    "inbound_beyond_turnaround",
    "history_missing",
    "weather_missing",
    "inbound_missing",
)

# The columns that as_matrix reads.
RAW: tuple[str, ...] = (
    "airline",
    "route",
    "aircraft_type",
    "departure_time",
    *HISTORY,
    *(f"{end}_{name}" for end in weather_features.ENDS for name in (*WEATHER, "conditions")),
    *aircraft_features.VIEW.columns,
)
PLACE: Mapping[str, int] = {name: place for place, name in enumerate(INPUTS)}


def as_matrix(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """The model's input (n, len(INPUTS)) from raw columns (n each), named in RAW.

    `departure_time` is datetime64 in UTC, `conditions` and categories are text. A number that is
    missing is NaN: its default takes its place, and the `..._missing` input of its group is 1.
    A category that isn't listed is all zeros.

    Raises:
        ValueError: a column is missing, or a departure time is.
    """
    absent = [name for name in RAW if name not in columns]
    if absent:
        raise ValueError(f"as_matrix needs the columns {', '.join(absent)}.")
    size = len(columns["airline"])
    matrix = np.zeros((size, len(INPUTS)), dtype=np.float32)
    ends = [str(route).partition("-") for route in columns["route"]]
    one_hot(matrix, columns["airline"], "airline_", AIRLINES)
    one_hot(matrix, columns["aircraft_type"], "aircraft_", AIRCRAFT)
    for end, codes in zip(weather_features.ENDS, (0, 2), strict=True):
        matrix[:, PLACE[f"{end}_hub"]] = [hub(parts[codes]) for parts in ends]
        one_hot(matrix, columns[f"{end}_conditions"], f"{end}_", BAD_WEATHER)
        for name in WEATHER:
            matrix[:, PLACE[f"{end}_{name}"]] = filled(columns[f"{end}_{name}"], DEFAULTS[name])
    for name in (*HISTORY, *aircraft_features.VIEW.columns):
        matrix[:, PLACE[name]] = filled(columns[name], DEFAULTS[name])
    matrix[:, PLACE["inbound_beyond_turnaround"]] = (
        matrix[:, PLACE["inbound_delay_minutes"]] - matrix[:, PLACE["turnaround_minutes"]]
    )
    for name, values in temporal(columns["departure_time"], [parts[0] for parts in ends]).items():
        matrix[:, PLACE[name]] = values
    matrix[:, PLACE["history_missing"]] = missing(columns, "avg_delay_7d", "airline_avg_delay_30d")
    matrix[:, PLACE["weather_missing"]] = missing(
        columns, "origin_temperature", "destination_temperature"
    )
    matrix[:, PLACE["inbound_missing"]] = missing(columns, "inbound_delay_minutes")
    return matrix


def one_hot(
    matrix: NDArray[np.float32], values: NDArray[Any], prefix: str, categories: tuple[str, ...]
) -> None:
    """Set `prefix + category` to 1 in each row whose value is that category."""
    values = np.asarray(values)
    for category in categories:
        matrix[:, PLACE[prefix + category]] = values == category


def hub(code: str) -> float:
    """How crowded an airport gets, 0 to 1."""
    airport = AIRPORTS.get(code)
    return UNKNOWN_HUB if airport is None else airport.hub


def filled(values: NDArray[Any], default: float) -> NDArray[np.float64]:
    """`values` as float, `default` for NaN."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(numbers), default, numbers)


def missing(columns: Mapping[str, NDArray[Any]], *names: str) -> NDArray[np.bool_]:
    """Where any of the named columns is NaN."""
    return np.isnan(np.array([columns[name] for name in names], dtype=np.float64)).any(axis=0)
