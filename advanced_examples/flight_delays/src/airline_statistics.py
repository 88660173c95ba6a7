"""The airlines' daily record, from flights: what anyone could have read in the morning."""

from __future__ import annotations

import numpy as np
import pandas as pd

ON_TIME_MINUTES = 15.0
DAYS_BACK = 30
COLUMNS = ["airline", "day", "on_time_percentage", "historical_average_delay", "reliability_score"]


def airline_statistics(flights: pd.DataFrame) -> pd.DataFrame:
    """One row per airline and day, known at 00:00 UTC of the day.

    A flight counts from the first midnight after it landed (a cancelled one: after it should
    have). `on_time_percentage` is the share of the day before's flights less than 15 minutes
    late, the usual rule of the field, `historical_average_delay` the mean delay of all flights
    so far, `reliability_score` (0 to 100) the share on time among all flights planned in 30 days,
    where a cancelled one counts as late. Days without a flight to tell of are NaN.
    """
    landed = flights["arrival_time"] + pd.to_timedelta(
        flights["actual_delay_minutes"].fillna(0.0), unit="min"
    )
    table = pd.DataFrame(
        {
            "airline": flights["airline"],
            "day": landed.dt.floor("D") + pd.Timedelta(days=1),
            "flights": 1.0,
            "flown": (~flights["cancelled"]).astype(float),
            "on_time": (flights["actual_delay_minutes"] < ON_TIME_MINUTES).astype(float),
            "minutes": flights["actual_delay_minutes"].fillna(0.0),
        }
    )
    sums = table.groupby(["airline", "day"]).sum()
    first, last = flights["departure_time"].min().floor("D"), table["day"].max()
    days = pd.date_range(first, last, freq="D", name="day")
    airlines = sorted(flights["airline"].unique())
    grid = pd.MultiIndex.from_product([airlines, days], names=["airline", "day"])
    daily = sums.reindex(grid, fill_value=0.0)
    by_airline = daily.groupby(level="airline")
    so_far = by_airline.cumsum()
    recent = by_airline.rolling(DAYS_BACK, min_periods=1).sum().droplevel(0)
    with np.errstate(invalid="ignore"):
        daily["on_time_percentage"] = 100 * daily["on_time"] / daily["flown"]
        daily["historical_average_delay"] = so_far["minutes"] / so_far["flown"]
        daily["reliability_score"] = 100 * recent["on_time"] / recent["flights"]
    rounded = daily.reset_index()[COLUMNS]
    return rounded.round(dict.fromkeys(COLUMNS[2:], 3))
