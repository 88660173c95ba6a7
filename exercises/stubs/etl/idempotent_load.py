"""An idempotent load: the same file twice changes nothing.

A source sends temperatures, again and again, and not always in order. The table keeps the latest
observation of each city:

    weather(city text PRIMARY KEY, observed_at timestamptz NOT NULL, celsius numeric NOT NULL)

Write `load`: rows for new cities come in; a row for a known city replaces what is there, unless
it is older than what is there; the same rows once more change nothing. Return how many rows were
written (new or replaced). `rows` are (city, observed_at, celsius); a city may occur several times
in them. `connection` is a psycopg2 connection. Commit at the end; after an error nothing may be
there.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from psycopg2.extensions import connection as Connection  # noqa: N812

Row = tuple[str, datetime, Decimal]


def load(connection: Connection, rows: Sequence[Row]) -> int:
    """How many rows were written; an older observation never overwrites a newer one."""
    raise NotImplementedError("TODO: INSERT … ON CONFLICT … DO UPDATE … WHERE …")
