"""The weather at both ends of a flight: the last observation of the hour, or what someone told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.views import View

if TYPE_CHECKING:
    import pandas as pd

CONDITIONS = ("clear", "rain", "snow", "fog")
NUMBERS = ("temperature", "humidity", "wind_speed", "visibility", "precipitation")
ENDS = ("origin", "destination")
VIEW = View(
    "weather", "airport", (*NUMBERS, "conditions"), timedelta(hours=2), {"conditions": CONDITIONS}
)
# Visibility (km) and precipitation (mm an hour) in the middle of what each word stands for.
TYPICAL: Mapping[str, tuple[float, float]] = {
    "clear": (14.0, 0.0),
    "rain": (11.0, 1.5),
    "snow": (4.0, 1.2),
    "fog": (0.8, 0.0),
}
COLD = -1.0  # degrees: snow that someone tells of doesn't fall at 20


def hourly(weather: pd.DataFrame) -> pd.DataFrame:
    """The weather view: one row per airport and hour, known at the full hour it describes."""
    table = weather.rename(columns={"time": "event_timestamp"})
    table = table.assign(created=table["event_timestamp"])
    return table[["airport", "event_timestamp", "created", *VIEW.columns]]


def told(columns: Mapping[str, NDArray[Any]], condition: str) -> dict[str, NDArray[Any]]:
    """`columns` with the weather at the origin as `condition` says, where it differs.

    Only what contradicts the word is replaced, by what is typical of it; the observation stays
    where it already agrees.

    Raises:
        ValueError: `condition` is none of CONDITIONS.
    """
    if condition not in TYPICAL:
        raise ValueError(f"weather_condition must be one of {', '.join(CONDITIONS)}.")
    visibility, precipitation = TYPICAL[condition]
    differs = np.asarray(columns["origin_conditions"]) != condition
    told_columns = dict(columns)
    told_columns["origin_conditions"] = np.where(differs, condition, columns["origin_conditions"])
    for name, typical in (("visibility", visibility), ("precipitation", precipitation)):
        observed = np.asarray(columns[f"origin_{name}"], dtype=np.float64)
        told_columns[f"origin_{name}"] = np.where(differs, typical, observed)
    if condition == "snow":
        observed = np.asarray(columns["origin_temperature"], dtype=np.float64)
        colder = np.where(observed > COLD, COLD, observed)
        told_columns["origin_temperature"] = np.where(differs, colder, observed)
    return told_columns
