"""What an aircraft brings along: the delay it comes in with, and how long it stands before it goes.

These rows arrive as a stream, one for each departure to come. The time of a row is when its content
is known, and that takes care: the delay of a flight must never be there to predict itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from features.views import View

if TYPE_CHECKING:
    import pandas as pd

VIEW = View(
    "aircraft",
    "tail_number",
    ("inbound_delay_minutes", "turnaround_minutes"),
    timedelta(hours=12),
    {},
)
HEARD_AFTER = timedelta(minutes=1)
READY_BEFORE = timedelta(hours=3)


def departures(flights: pd.DataFrame) -> pd.DataFrame:
    """The aircraft view: one row per departure of each aircraft, at the time it was known.

    After a rest nothing comes in, which is known 3 hours before the first departure. Otherwise
    `inbound_known_at` counts, but never before one minute after the previous departure: a flight
    that arrives early is known to do so from the minute it takes off, and a row of that very
    minute would be found by the flight itself.
    """
    rows = flights.loc[
        flights["tail_number"].notna(),
        ["tail_number", "departure_time", "inbound_known_at", *VIEW.columns],
    ].sort_values(["tail_number", "departure_time"], kind="stable")
    before = rows.groupby("tail_number", sort=False)["departure_time"].shift() + HEARD_AFTER
    rested = (rows["departure_time"] - READY_BEFORE).where(rows["inbound_known_at"].isna())
    known = rows["inbound_known_at"].fillna(rested)
    known = known.where(before.isna() | (known >= before), before)
    # A departure that was told of too late is told of at the last moment.
    known = known.where(known <= rows["departure_time"], rows["departure_time"])
    rows = rows.assign(event_timestamp=known, created=known)
    rows = rows.sort_values(["event_timestamp", "tail_number"], kind="stable", ignore_index=True)
    return rows[["tail_number", "event_timestamp", "created", *VIEW.columns]]
