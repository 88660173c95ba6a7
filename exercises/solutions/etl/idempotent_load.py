"""An idempotent load: an upsert that writes only what is newer."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from psycopg2.extensions import connection as Connection  # noqa: N812

Row = tuple[str, datetime, Decimal]
UPSERT = """
    INSERT INTO weather (city, observed_at, celsius) VALUES (%s, %s, %s)
    ON CONFLICT (city) DO UPDATE
    SET observed_at = EXCLUDED.observed_at, celsius = EXCLUDED.celsius
    WHERE EXCLUDED.observed_at > weather.observed_at
"""


def load(connection: Connection, rows: Sequence[Row]) -> int:
    """How many rows were written; an older observation never overwrites a newer one."""
    written = 0
    with connection, connection.cursor() as cursor:
        for row in rows:
            cursor.execute(UPSERT, row)
            written += cursor.rowcount
    return written
