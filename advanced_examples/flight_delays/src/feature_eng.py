"""Build the feature views and the training set, each flight with what was known at departure.

    python src/feature_eng.py

Reads data/raw and data/processed/flights.parquet; writes the views that the feature store serves
(data/processed/views/*.parquet) and data/processed/features.parquet.

The training set is built by DuckDB's ASOF joins. Feast's own historical retrieval gives the same
rows, far slower; the tests compare the two.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import aircraft_features, airline_features, route_features, weather_features
from features.vector import INPUTS, RAW, as_matrix
from features.views import View
from src import params, paths

VIEWS: tuple[View, ...] = (
    route_features.VIEW,
    airline_features.VIEW,
    weather_features.VIEW,
    aircraft_features.VIEW,
)
RAW_TABLES = ("flights", "weather", "airlines")
LABELS = ("flight_id", "event_timestamp", "split", "target")
FLIGHT = ("airline", "route", "origin", "destination", "aircraft_type", "tail_number")


class Join(NamedTuple):
    """One view joined to the flights: by which of their columns, its features named how."""

    view: View
    by: str
    prefix: str


JOINS: tuple[Join, ...] = (
    Join(route_features.VIEW, "route", ""),
    Join(airline_features.VIEW, "airline", ""),
    Join(weather_features.VIEW, "origin", "origin_"),
    Join(weather_features.VIEW, "destination", "destination_"),
    Join(aircraft_features.VIEW, "tail_number", ""),
)


class FeatureError(Exception):
    """The features can't be built; the text says what to do."""


def view_file(view: View) -> Path:
    """Where a view's history lies, for the joins and for Feast."""
    return paths.processed() / "views" / f"{view.name}.parquet"


def build_views(chosen: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The history of every view, by name, from the raw data.

    Raises:
        FeatureError: a raw file is missing.
    """
    return views_of(read_raw(), chosen)


def read_raw() -> dict[str, pd.DataFrame]:
    """The raw tables, by name.

    Raises:
        FeatureError: one is missing.
    """
    return {name: read(paths.raw() / f"{name}.parquet") for name in RAW_TABLES}


def views_of(raw: Mapping[str, pd.DataFrame], chosen: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The history of every view, by name, from raw tables."""
    flights, days = raw["flights"], chosen["features"]
    return {
        "route": route_features.daily(flights, days["route_days"]),
        "airline": airline_features.daily(flights, raw["airlines"], days["airline_days"]),
        "weather": weather_features.hourly(raw["weather"]),
        "aircraft": aircraft_features.departures(flights),
    }


def read(file: Path) -> pd.DataFrame:
    """A parquet file of an earlier stage.

    Raises:
        FeatureError: it isn't there.
    """
    if not file.exists():
        stage = "src/preprocess.py" if file.parent == paths.processed() else "src/simulate.py"
        raise FeatureError(f"{file} is missing. Make it with `python {stage}`.")
    return pd.read_parquet(file)


def asof(
    database: duckdb.DuckDBPyConnection, flights: str, view: str, join: Join
) -> duckdb.DuckDBPyRelation:
    """The relation `flights` with a view's features as they were known at `event_timestamp`.

    The newest row not after the flight's time; of rows of one time the one created last; nothing
    older than the view's TTL. A row exactly at either end counts, as in Feast. No flight is lost
    and none doubled.
    """
    features = ", ".join(
        f"CASE WHEN v.event_timestamp >= f.event_timestamp - to_seconds({seconds(join.view)}) "
        f"THEN v.{column} END AS {join.prefix}{column}"
        for column in join.view.columns
    )
    entity = join.view.entity
    return database.sql(f"""
        WITH v AS (
            SELECT * FROM {view}
            QUALIFY row_number() OVER (
                PARTITION BY {entity}, event_timestamp ORDER BY created DESC) = 1
        )
        SELECT f.*, {features}
        FROM {flights} f ASOF LEFT JOIN v
          ON f.{join.by} = v.{entity} AND f.event_timestamp >= v.event_timestamp
    """)


def seconds(view: View) -> float:
    """The view's TTL in seconds."""
    return view.ttl.total_seconds()


def historical(labels: pd.DataFrame, views: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`labels` (a row per flight: `event_timestamp` and the entities) with all features.

    The order and the number of the rows stay as they are.
    """
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for name, table in views.items():
            database.register(f"view_{name}", table)
        current = "labels_0"
        database.register(current, labels.assign(row_in_order=np.arange(len(labels))))
        for number, join in enumerate(JOINS, start=1):
            joined = asof(database, current, f"view_{join.view.name}", join)
            current = f"labels_{number}"
            joined.create_view(current)
        table = database.sql(f"SELECT * FROM {current} ORDER BY row_in_order").df()
    return table.drop(columns="row_in_order")


def labels_from(flights: pd.DataFrame) -> pd.DataFrame:
    """What is to be predicted, when, for whom: from the preprocessed flights."""
    return flights.assign(
        event_timestamp=flights["departure_time"], target=flights["actual_delay_minutes"]
    )[[*LABELS, *FLIGHT, "departure_time"]]


def training_frame(chosen: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The training set: LABELS, then the raw columns that `features.vector` reads.

    Writes the views on the way.

    Raises:
        FeatureError: an earlier stage hasn't run.
    """
    views = build_views(chosen or params.load())
    for view in VIEWS:
        view_file(view).parent.mkdir(parents=True, exist_ok=True)
        views[view.name].to_parquet(view_file(view), index=False)
    labels = labels_from(read(paths.processed() / "flights.parquet"))
    return historical(labels, views)


def columns(frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """The columns of RAW in `frame` as `as_matrix` wants them: times as datetime64 in UTC."""
    table = {name: frame[name].to_numpy() for name in RAW if name != "departure_time"}
    departure = frame["departure_time"].dt.tz_convert("UTC").dt.tz_localize(None)
    return {**table, "departure_time": departure.to_numpy()}


def main(argv: list[str] | None = None) -> int:
    """Build the views and data/processed/features.parquet."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    start = time.perf_counter()
    try:
        frame = training_frame()
    except (FeatureError, params.ParamsError) as error:
        print(error, file=sys.stderr)
        return 1
    file = paths.processed() / "features.parquet"
    frame.to_parquet(file, index=False)
    matrix = as_matrix(columns(frame))
    took = time.perf_counter() - start
    print(f"{len(frame):,} flights, {len(INPUTS)} inputs in {paths.shown(file)}, {took:.1f} s")
    for name in ("history_missing", "weather_missing", "inbound_missing"):
        print(f"  {name:16} {matrix[:, INPUTS.index(name)].mean():7.2%} of the flights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
