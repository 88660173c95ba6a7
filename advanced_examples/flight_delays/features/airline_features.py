"""How an airline has been doing over thirty days, day by day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from features.route_features import by_day, next_midnight, rolled
from features.views import View

if TYPE_CHECKING:
    import pandas as pd

VIEW = View(
    "airline",
    "airline",
    ("airline_avg_delay_30d", "airline_reliability_score", "airline_cancellation_rate"),
    timedelta(days=2),
    {},
)


def daily(flights: pd.DataFrame, airlines: pd.DataFrame, days: int = 30) -> pd.DataFrame:
    """The airline view: one row per airline and day, at 00:00 UTC of the day.

    A flight counts from the first midnight after it landed (a cancelled one: after it should
    have). Mean delay in minutes and share of flights cancelled (0 to 1) over `days`; the
    reliability score (0 to 100) is that of the airlines' daily record. NaN where there is nothing.
    """
    import pandas as pd

    counts = pd.DataFrame(
        {
            "airline": flights["airline"],
            "event_timestamp": next_midnight(flights),
            "planned": 1.0,
            "cancelled": flights["cancelled"].astype(float),
            "flown": flights["actual_delay_minutes"].notna().astype(float),
            "minutes": flights["actual_delay_minutes"].fillna(0.0),
        }
    )
    table = by_day(counts, "airline", flights)
    recent = rolled(table, days)
    record = airlines.set_index(["airline", "day"])["reliability_score"]
    record.index = record.index.set_names(["airline", "event_timestamp"])
    view = pd.DataFrame(
        {
            "airline_avg_delay_30d": recent["minutes"]
            / recent["flown"].where(recent["flown"] > 0.5),
            "airline_reliability_score": record.reindex(table.index),
            "airline_cancellation_rate": recent["cancelled"].clip(lower=0)
            / recent["planned"].where(recent["planned"] > 0.5),
        }
    ).reset_index()
    view["created"] = view["event_timestamp"]
    return view[["airline", "event_timestamp", "created", *VIEW.columns]]
