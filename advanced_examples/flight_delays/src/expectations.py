"""What the data must look like: a pandera schema for each table, every rule in words.

A rule's words are what the report shows, so they say what is right, not what is wrong.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from pandera.pandas import Check, Column, DataFrameSchema

from features.airports import CODES, PARTS_OF_THE_DAY
from features.vector import AIRCRAFT
from src.preprocess import SPLITS

NO_TYPE = "unknown"  # as in files that know an aircraft by its tail number only
CONDITIONS = ("clear", "rain", "snow", "fog")
FEWEST_FLIGHTS = 1_000
LEAST_MEAN, MOST_MEAN = -15.0, 60.0  # minutes; outside, the column holds something else
TIME, TEXT, NUMBER = "datetime64[us, UTC]", "object", "float64"


def among(values: tuple[str, ...]) -> Check:
    """One of `values`."""
    return Check.isin(values, error=f"is one of {', '.join(values)}")


def between(low: float, high: float, unit: str) -> Check:
    """A number in a range, its ends included; missing ones are the business of `nullable`."""
    return Check.in_range(low, high, error=f"is between {low:g} and {high:g} {unit}")


def shaped(pattern: str, example: str) -> Check:
    """A text of one form."""
    return Check.str_matches(pattern, error=f"looks like {example}")


def flights_schema(shortest: float, longest: float) -> DataFrameSchema:
    """Flights as preprocess.py leaves them; delays from `shortest` to `longest` minutes."""
    delay = between(shortest, longest, "minutes")
    return DataFrameSchema(
        {
            "flight_id": Column(TEXT, shaped(r"^F\d{8}$", "F00000001"), unique=True),
            "airline": Column(TEXT, shaped(r"^[A-Z0-9]{2}$", "AA")),
            "departure_time": Column(TIME),
            "arrival_time": Column(TIME),
            "actual_delay_minutes": Column(NUMBER, delay),
            "cancelled": Column("bool", Check.eq(False, error="is not cancelled")),
            "route": Column(TEXT),
            "origin": Column(TEXT, among(CODES)),
            "destination": Column(TEXT, among(CODES)),
            "aircraft_type": Column(TEXT, among((*AIRCRAFT, NO_TYPE))),
            "tail_number": Column(TEXT, nullable=True),
            "time_of_day": Column(TEXT, among(PARTS_OF_THE_DAY)),
            "scheduled_minutes": Column(NUMBER, between(10, 1440, "minutes")),
            "inbound_delay_minutes": Column(NUMBER, delay),
            "inbound_known_at": Column(TIME, nullable=True),
            "turnaround_minutes": Column(NUMBER, between(0, 720, "minutes")),
            "split": Column(TEXT, among(SPLITS)),
        },
        checks=[
            Check(lands_after_departure, error="arrival_time is after departure_time"),
            Check(route_is_its_ends, error="route is origin-destination"),
            Check(known_in_time, error="inbound_known_at is not after departure_time"),
            Check(
                splits_in_order,
                error="split follows departure_time: train, validation, test, no day in two",
            ),
            Check(enough, error=f"there are at least {FEWEST_FLIGHTS:,} flights"),
            Check(
                usual_delay,
                error=f"mean of actual_delay_minutes is between {LEAST_MEAN:g} and {MOST_MEAN:g}",
            ),
        ],
        name="flights",
    )


def weather_schema() -> DataFrameSchema:
    """Hourly weather. No row at all is allowed: real flights may come without weather."""
    return DataFrameSchema(
        {
            "airport": Column(TEXT, among(CODES)),
            "time": Column(TIME, Check(on_the_hour, error="is a full hour")),
            "temperature": Column(NUMBER, between(-60, 60, "°C")),
            "humidity": Column(NUMBER, between(0, 100, "%")),
            "wind_speed": Column(NUMBER, between(0, 300, "km/h")),
            "visibility": Column(NUMBER, between(0, 100, "km")),
            "precipitation": Column(NUMBER, between(0, 300, "mm an hour")),
            "conditions": Column(TEXT, among(CONDITIONS)),
        },
        checks=Check(once("airport", "time"), error="airport and time are there once"),
        name="weather",
    )


def airlines_schema() -> DataFrameSchema:
    """The airlines' daily record; a day without flights to tell of has no figures."""
    share = between(0, 100, "%")
    return DataFrameSchema(
        {
            "airline": Column(TEXT, shaped(r"^[A-Z0-9]{2}$", "AA")),
            "day": Column(None, Check(at_midnight, error="is midnight UTC")),
            "on_time_percentage": Column(NUMBER, share, nullable=True),
            "historical_average_delay": Column(
                NUMBER, between(-120, 1440, "minutes"), nullable=True
            ),
            "reliability_score": Column(NUMBER, share, nullable=True),
        },
        checks=Check(once("airline", "day"), error="airline and day are there once"),
        name="airlines",
    )


def schemas(chosen: dict[str, Any]) -> dict[str, DataFrameSchema]:
    """The schema of each table, by its name, under the parameters in `chosen`."""
    rule = chosen["preprocess"]
    return {
        "flights": flights_schema(rule["min_delay_minutes"], rule["max_delay_minutes"]),
        "weather": weather_schema(),
        "airlines": airlines_schema(),
    }


def lands_after_departure(flights: pd.DataFrame) -> pd.Series:
    """Row by row."""
    return flights["arrival_time"] > flights["departure_time"]


def route_is_its_ends(flights: pd.DataFrame) -> pd.Series:
    """Row by row."""
    ends = flights["origin"] + "-" + flights["destination"]
    return (ends == flights["route"]) & (flights["origin"] != flights["destination"])


def known_in_time(flights: pd.DataFrame) -> pd.Series:
    """Row by row: an input that became known after departure would be a look into the future."""
    known = flights["inbound_known_at"]
    return known.isna() | (known <= flights["departure_time"])


def splits_in_order(flights: pd.DataFrame) -> pd.Series:
    """Row by row: whether its day lies after all days of earlier splits, before those of later.

    Of two rows that contradict each other, those of the rarer kind are blamed.
    """
    days = flights["departure_time"].dt.floor("D")
    ends = days.groupby(flights["split"]).agg(["min", "max"]).reindex(SPLITS)
    late = pd.Series(False, index=flights.index)
    early = late.copy()
    for place, name in enumerate(SPLITS):
        mine = flights["split"] == name
        late |= mine & (days >= ends["min"].iloc[place + 1 :].min())
        early |= mine & (days <= ends["max"].iloc[:place].max())
    return ~min(late, early, key=lambda rows: rows.sum())


def enough(flights: pd.DataFrame) -> bool:
    """Of the table as a whole."""
    return len(flights) >= FEWEST_FLIGHTS


def usual_delay(flights: pd.DataFrame) -> bool:
    """Of the table as a whole: a column in seconds or in hours has another mean."""
    return LEAST_MEAN <= float(flights["actual_delay_minutes"].mean()) <= MOST_MEAN


def on_the_hour(times: pd.Series) -> pd.Series:
    """Row by row."""
    return times == times.dt.floor("h")


def at_midnight(days: pd.Series) -> pd.Series:
    """Row by row; times without a zone are no midnight of UTC."""
    if getattr(days.dt, "tz", None) is None:
        return pd.Series(False, index=days.index)
    return days == days.dt.floor("D")


def once(*columns: str) -> Any:
    """A check that no two rows have the same `columns`; the first of them is good."""
    return lambda table: ~table.duplicated(list(columns))
