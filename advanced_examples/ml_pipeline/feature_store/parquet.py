"""The same history as a Parquet file, joined by DuckDB: for training sets of millions of rows.

ASOF JOIN takes the newest row by one time, but a feature row has two: from when on it holds, and
since when we know it. So the export says of each row when it became the newest that was known. Rows
that were never that are left out of the join.
"""

import os
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_store.definitions import MICROSECOND, Feature, FeatureSet

PREPARE = """
    SELECT entity_id, event_us, greatest(event_us, created_us) AS known_us,
           created_us = max(created_us) OVER (PARTITION BY entity_id, event_us) AS newest,
           ROW(event_us, created_us) = max(ROW(event_us, created_us)) OVER (
               PARTITION BY entity_id ORDER BY greatest(event_us, created_us)) AS leads,
           {features}
    FROM history
    ORDER BY entity_id, event_us, created_us
"""
# leads: nothing newer was known when this row became known. newest: nothing newer is known today.
# The join carries numbers of rows only: sorting a million rows with all their features would take
# longer than fetching the hundred thousand that were found. An id that is too long for the file's
# narrower type belongs to nobody in it: TRY_CAST gives NULL, which matches nothing.
JOIN = """
    SELECT asked.n, place
    FROM (SELECT n, TRY_CAST(entity_id AS {id}) AS entity_id, at_us FROM asked) AS asked
    ASOF LEFT JOIN (SELECT entity_id, {time} AS time, file_row_number AS place
                    FROM read_parquet($file, file_row_number = true) WHERE {flag}) AS history
      ON asked.entity_id = history.entity_id AND asked.at_us >= history.time
"""
# DuckDB reads groups of this size side by side.
GROUP = 122_880


def write(history: pa.Table, features: FeatureSet, run_id: int, file: Path) -> None:
    """Write a version's history for the join; the file is there whole or not at all."""
    history = in_microseconds(history, "event_time", "event_us")
    history = in_microseconds(history, "created", "created_us")
    names = ", ".join(f'"{feature.name}"' for feature in features.features)
    with duckdb.connect() as duck:
        duck.register("history", history)
        rows = duck.sql(PREPARE.format(features=names)).to_arrow_table()
    rows = narrow_ids(rows).replace_schema_metadata({"run_id": str(run_id)})
    # A dictionary pays for words that repeat; numbers are read twice as fast without.
    words = [feature.name for feature in features.features if feature.type == "text"]
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}.draft")
    try:
        pq.write_table(rows, draft, row_group_size=GROUP, compression="lz4", use_dictionary=words)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def run_of(file: Path) -> int | None:
    """The run up to which a file goes; None if there is no such file."""
    if not file.exists():
        return None
    metadata = pq.read_schema(file).metadata or {}
    return int(metadata.get(b"run_id", b"-1"))


def as_of(
    duck: duckdb.DuckDBPyConnection,
    file: Path,
    asked: pa.Table,
    wanted: tuple[Feature, ...],
    ttl: timedelta | None,
    late_rows: bool,
) -> pa.Table:
    """What was known: a row for each of `asked` (n, entity_id, at), in their order."""
    narrow = pq.read_schema(file).field("entity_id").type == pa.int32()
    query = JOIN.format(
        id="INTEGER" if narrow else "BIGINT",
        flag="newest" if late_rows else "leads",
        time="event_us" if late_rows else "known_us",
    )
    # The cursor is ours alone; the connection keeps what it has read of the file for the next one.
    with duck.cursor() as cursor:
        asked = in_microseconds(asked, "at", "at_us")
        cursor.register("asked", asked)
        found = cursor.sql(query, params={"file": str(file)}).to_arrow_table()
    in_order = np.empty(len(found), np.int64)
    in_order[found["n"].to_numpy()] = np.arange(len(found))
    places = found["place"].combine_chunks().take(pa.array(in_order))
    rows = pq.read_table(file, columns=["event_us", *(feature.name for feature in wanted)])
    if ttl is not None:
        oldest = pc.subtract(asked["at_us"], ttl // MICROSECOND)
        alive = pc.greater_equal(rows["event_us"].take(places), oldest)
        places = pc.if_else(alive, places, pa.scalar(None, places.type)).combine_chunks()
    return rows.drop_columns("event_us").replace_schema_metadata().take(places)


def narrow_ids(rows: pa.Table) -> pa.Table:
    """The same rows with ids of 32 bits if all fit: the join sorts by them a quarter faster."""
    try:
        ids = rows["entity_id"].cast(pa.int32())
    except pa.ArrowInvalid:
        return rows
    return rows.set_column(rows.schema.get_field_index("entity_id"), "entity_id", ids)


def in_microseconds(table: pa.Table, name: str, renamed: str) -> pa.Table:
    """The same table with a time as a whole number, which DuckDB compares fastest."""
    place = table.schema.get_field_index(name)
    return table.set_column(place, renamed, pc.cast(table[name], pa.int64()))
