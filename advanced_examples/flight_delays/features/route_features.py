"""How a route has been doing: the last seven days, and in the long run, day by day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from features.views import View

if TYPE_CHECKING:
    import pandas as pd

ON_TIME_MINUTES = 15.0
LONG_DAYS = 365
FEW_FLIGHTS = 10.0
LEAST_TURNAROUND = 35.0
VIEW = View(
    "route",
    "route",
    (
        "avg_delay_7d",
        "std_delay_7d",
        "on_time_percentage_7d",
        "volume_7d",
        "own_delay_365d",
    ),
    timedelta(days=2),
    {},
)


def daily(flights: pd.DataFrame, days: int = 7) -> pd.DataFrame:
    """The route view: one row per route and day, at 00:00 UTC of the day.

    A flight counts from the first midnight after it landed. Over the `days` before: mean and
    standard deviation of the delay (minutes), share less than 15 minutes late (0 to 100), flights.
    `own_delay_365d` is the mean over a year of what the route itself seems to add: the delay less
    what came in with the aircraft, less what is usual for the airline; drawn towards the mean of
    all routes while flights are few. NaN where there is nothing to tell.
    """
    import numpy as np
    import pandas as pd

    flown = flights[flights["actual_delay_minutes"].notna()]
    delay = flown["actual_delay_minutes"]
    counts = pd.DataFrame(
        {
            "route": flown["route"],
            "event_timestamp": next_midnight(flown),
            "flights": 1.0,
            "minutes": delay,
            "squares": delay**2,
            "on_time": (delay < ON_TIME_MINUTES).astype(float),
            "own": own_delay(flown),
        }
    )
    table = by_day(counts, "route", flights)
    recent, long = rolled(table, days), rolled(table, LONG_DAYS)
    n = recent["flights"].where(recent["flights"] > 0.5)
    mean = recent["minutes"] / n
    variance = (recent["squares"] - n * mean**2).clip(lower=0) / (n - 1).where(n > 1.5)
    all_routes = long.groupby(level="event_timestamp").sum()
    usual = (all_routes["own"] / all_routes["flights"].where(all_routes["flights"] > 0.5)).reindex(
        table.index, level="event_timestamp"
    )
    view = pd.DataFrame(
        {
            "avg_delay_7d": mean,
            "std_delay_7d": np.sqrt(variance),
            "on_time_percentage_7d": 100 * recent["on_time"] / n,
            "volume_7d": recent["flights"].round(),
            "own_delay_365d": (long["own"] + FEW_FLIGHTS * usual) / (long["flights"] + FEW_FLIGHTS),
        }
    ).reset_index()
    view["created"] = view["event_timestamp"]
    return view[["route", "event_timestamp", "created", *VIEW.columns]]


def own_delay(flown: pd.DataFrame) -> pd.Series:
    """Each flight's delay less what came in with the aircraft and what is usual for the airline.

    Usual is the mean of all the airline's flights that count by the midnight at which this one
    does, so that no row of the view knows more than it may.
    """
    import pandas as pd

    brought = flown["inbound_delay_minutes"] - (flown["turnaround_minutes"] - LEAST_TURNAROUND)
    minutes = flown["actual_delay_minutes"] - brought.clip(lower=0).fillna(0.0)
    counts = pd.DataFrame(
        {
            "airline": flown["airline"],
            "event_timestamp": next_midnight(flown),
            "flights": 1.0,
            "minutes": minutes,
        }
    )
    so_far = by_day(counts, "airline", flown).groupby(level="airline").cumsum()
    usual = so_far["minutes"] / so_far["flights"]
    when = pd.MultiIndex.from_frame(counts[["airline", "event_timestamp"]])
    return minutes - usual.reindex(when).to_numpy()


def next_midnight(flights: pd.DataFrame) -> pd.Series:
    """The first midnight (UTC) after each flight landed, or should have where it never flew."""
    import pandas as pd

    late = pd.to_timedelta(flights["actual_delay_minutes"].fillna(0.0), unit="min")
    return (flights["arrival_time"] + late).dt.floor("D") + pd.Timedelta(days=1)


def by_day(counts: pd.DataFrame, entity: str, flights: pd.DataFrame) -> pd.DataFrame:
    """Sums per entity and day, with a row for every day from the first departure on."""
    import pandas as pd

    first = flights["departure_time"].min().floor("D")
    last = counts["event_timestamp"].max()
    calendar = pd.date_range(first, last, freq="D").as_unit("us")
    everyone = sorted(flights[entity].unique())
    grid = pd.MultiIndex.from_product([everyone, calendar], names=[entity, "event_timestamp"])
    return counts.groupby([entity, "event_timestamp"]).sum().reindex(grid, fill_value=0.0)


def rolled(table: pd.DataFrame, days: int) -> pd.DataFrame:
    """Sums over each entity's last `days` rows, that is days."""
    entity = table.index.names[0]
    return table.groupby(level=entity).rolling(days, min_periods=1).sum().droplevel(0)
