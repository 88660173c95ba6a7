"""What the calendar and the clock say about a departure: computed on demand, stored nowhere.

Pure functions of the time and the origin. The model's input, Feast's on-demand view and the
service all call these, so that they can't disagree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.airports import AIRPORTS, local_times
from features.holidays import days_from_holiday

NAMES = ("hour_of_day", "day_of_week", "is_holiday", "is_peak_hour", "season")
MORE_NAMES = ("clock", "days_from_holiday")
SEASONS = ("winter", "spring", "summer", "autumn")
PEAK_HOURS = (7, 8, 16, 17, 18, 19)
THURSDAY = 3  # 1 January 1970


def temporal(
    departure_time: NDArray[np.datetime64], origin: NDArray[Any]
) -> dict[str, NDArray[np.float64]]:
    """Features (n) of UTC departures (n) on the clocks of their origins (n).

    `hour_of_day` 0 to 23; `day_of_week` 0 (Monday) to 6; `is_holiday` and `is_peak_hour` 0 or 1;
    `season` a place in SEASONS; `clock` the hour with its fraction; `days_from_holiday` 0 to 7.
    An airport that features/airports.py doesn't list keeps UTC. NaT is refused.

    Raises:
        ValueError: a departure time is missing.
    """
    times = np.asarray(departure_time, dtype="datetime64[s]")
    if np.isnat(times).any():
        raise ValueError("departure_time is missing: without it there are no temporal features.")
    known = np.array([code in AIRPORTS for code in origin], dtype=bool)
    local = times.copy()
    if known.any():
        local[known] = local_times(times[known], np.asarray(origin)[known].astype(str))
    day = local.astype("M8[D]")
    seconds = (local - day).astype(np.int64)
    hour = seconds // 3600
    month = day.astype("M8[M]").astype(np.int64) % 12
    days, where = np.unique(day, return_inverse=True)
    near = np.array([days_from_holiday(one) for one in days.tolist()], dtype=np.float64)[where]
    return {
        "hour_of_day": hour.astype(np.float64),
        "day_of_week": ((day.astype(np.int64) + THURSDAY) % 7).astype(np.float64),
        "is_holiday": (near == 0).astype(np.float64),
        "is_peak_hour": np.isin(hour, PEAK_HOURS).astype(np.float64),
        "season": ((month + 1) % 12 // 3).astype(np.float64),
        "clock": seconds / 3600,
        "days_from_holiday": near,
    }
