"""The same shop in DuckDB: its tables as Parquet files, and the lesson's own views over them."""

import math
import re
from pathlib import Path

import duckdb
import psycopg2.extensions as pg

from course.analytics import LESSON
from course.shop.truths import TABLES
from course.statements import split

# Types that a CSV file doesn't tell; all others DuckDB finds out.
TYPES = {
    "orders": {"total": "DECIMAL(12,2)"},
    "order_items": {"unit_price": "DECIMAL(10,2)"},
    "products": {"price": "DECIMAL(10,2)", "cost": "DECIMAL(10,2)", "attributes": "JSON"},
}
# All that DuckDB 2 wants said differently: dates plus a narrow integer, and functions as macros.
DIALECT = {"first_day + n AS date": "first_day + n::int AS date"}
MISSING = """
    CREATE SCHEMA analytics;
    CREATE MACRO justify_hours(x) AS x;
    CREATE MACRO analytics.today() AS date '2025-10-26';
"""


def export(connection: pg.connection, folder: Path) -> None:
    """Write each table of the shop to `folder` as a Parquet file."""
    with duckdb.connect() as duck, connection.cursor() as cursor:
        for table in TABLES:
            csv = folder / f"{table}.csv"
            with csv.open("wb") as file:
                cursor.copy_expert(f"COPY {table} TO STDOUT (FORMAT csv, HEADER)", file)
            duck.execute(
                f"COPY (FROM read_csv('{csv.as_posix()}', types = {TYPES.get(table, {})}))"
                f" TO '{csv.with_suffix('.parquet').as_posix()}' (FORMAT parquet)"
            )
            csv.unlink()


def open_peer(folder: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB with the views of the lesson over the Parquet files in `folder`."""
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    duck.create_function("erfc", math.erfc, ["DOUBLE"], "DOUBLE")  # type: ignore[list-item]
    duck.execute(MISSING)
    for table in TABLES:
        file = (folder / f"{table}.parquet").as_posix()
        duck.execute(f"CREATE VIEW {table} AS FROM read_parquet('{file}')")
    for statement in split(LESSON.read_text(encoding="utf-8")):
        if translated := in_duckdb(statement.text):
            duck.execute(translated)
    return duck


def in_duckdb(sql: str) -> str:
    """A statement of the lesson as DuckDB wants it; empty if it has no use for it."""
    for ours, theirs in DIALECT.items():
        sql = sql.replace(ours, theirs)
    if sql.startswith("CREATE OR REPLACE VIEW"):
        return sql
    function = re.match(
        r"CREATE OR REPLACE FUNCTION (\S+)\(on_day date\).*?BEGIN ATOMIC\n(.*);\s*END;",
        sql,
        re.DOTALL,
    )
    return f"CREATE MACRO {function[1]}(on_day) AS TABLE {function[2]}" if function else ""
