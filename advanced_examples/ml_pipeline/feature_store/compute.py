"""Features computed by the SQL files of this package, with a note of what they were made from."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
from psycopg2.extensions import connection as Connection  # noqa: N812

from feature_store.definitions import TYPES
from feature_store.errors import FeatureStoreError
from feature_store.frames import to_frame

SQL = Path(__file__).parent / "sql"
NEWEST = {"customer": "customer_v1.sql", "product": "product_v1.sql"}
# PostgreSQL's numbers for the types that a definition may answer with.
OIDS = {20: "bigint", 21: "bigint", 23: "bigint", 701: "double precision", 16: "boolean",
        25: "text", 1043: "text", 1184: "timestamptz"}  # fmt: skip
BEFORE = "ordered_at < (%(as_of)s + 1)::timestamp AT TIME ZONE 'UTC'"
# What each definition reads: the rows of a table that were there on the day.
SOURCES = {
    "customer": {
        "customers": "registration_date <= %(as_of)s",
        "orders": BEFORE,
        "order_items": f"order_id IN (SELECT order_id FROM orders WHERE {BEFORE})",
        "products": "true",
    },
    "product": {
        "products": "added_on <= %(as_of)s",
        "orders": BEFORE,
        "order_items": f"order_id IN (SELECT order_id FROM orders WHERE {BEFORE})",
    },
}
# A definition may lean on a function: its text counts as a source.
FUNCTIONS = {"customer": ["analytics.customer_features_as_of(date)"], "product": []}
FUNCTION_DIGEST = "SELECT 1, md5(pg_get_functiondef(%s::regprocedure))"
# The sum of the rows' hashes is the same in whatever order they come.
DIGEST = """
    SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} AS t WHERE {}
"""


def definition(entity_type: str) -> str:
    """The SQL that computes the features of an entity."""
    return (SQL / NEWEST[entity_type]).read_text(encoding="utf-8")


def compute(connection: Connection, entity_type: str, as_of: date, sql: str) -> pd.DataFrame:
    """What `sql` answers for the day, as a frame; `frame.attrs["lineage"]` tells its origin.

    The answer and the digests of the data come from one snapshot: they belong together whatever
    others write meanwhile.
    """
    parameters = {"as_of": as_of}
    with connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(sql, parameters)
        columns = [(column.name, column.type_code) for column in cursor.description]
        rows = cursor.fetchall()
        sources = {
            table: digest(cursor, DIGEST.format(table, condition), parameters)
            for table, condition in SOURCES[entity_type].items()
        }
        for name in FUNCTIONS[entity_type]:
            sources[name] = digest(cursor, FUNCTION_DIGEST, (name,))
    frame = as_frame(columns, rows)
    frame.attrs["lineage"] = {
        "definition": sql,
        "parameters": {"as_of": as_of.isoformat()},
        "sources": sources,
    }
    return frame


def digest(cursor: Any, query: str, parameters: Mapping | tuple) -> dict[str, Any]:
    """How many rows of a source the definition saw, and a digest of their content."""
    cursor.execute(query, parameters)
    rows, content = cursor.fetchone()
    return {"rows": rows, "digest": content}


def as_frame(columns: list[tuple[str, int]], rows: list[tuple]) -> pd.DataFrame:
    """Rows as a frame with the types of the query; FeatureStoreError for a type that can't be."""
    arrays = {}
    for position, (name, oid) in enumerate(columns):
        if oid not in OIDS:
            raise FeatureStoreError(
                f"the SQL gives {name} a type that a feature can't have: cast it to bigint, "
                "float8, boolean, text or timestamptz."
            )
        arrays[name] = pa.array([row[position] for row in rows], TYPES[OIDS[oid]])
    return to_frame(pa.table(arrays))


def lineage(frame: pd.DataFrame) -> tuple[str | None, str | None, str | None]:
    """(definition, parameters, sources) as the table of runs keeps them; None where unknown."""
    origin = cast(dict[str, Any], frame.attrs.get("lineage", {}))
    if not origin:
        return None, None, None
    return origin["definition"], json.dumps(origin["parameters"]), json.dumps(origin["sources"])
