"""A schema of its own for a lesson that writes: made new, guarded by a lock, removed at the end."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from course import connect

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

LOOK_AGAIN = 0.2  # seconds


@contextmanager
def own_schema(name: str, tables: str = "") -> Iterator[None]:
    """While the block runs there is a fresh schema `name` in which `tables` (SQL) was executed.

    Two runs at once would destroy each other's tables, so the second waits until the first ends.
    The lock belongs to the connection: a run that dies gives it back.
    """
    from psycopg2.sql import SQL, Identifier

    schema = Identifier(name)
    with closing(connect.postgres()) as guard, guard.cursor() as cursor:
        guard.autocommit = True
        _take_turn(cursor, name)
        cursor.execute(SQL("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}").format(schema))
        try:
            cursor.execute(SQL("SET search_path = {}, public").format(schema))
            if tables:
                cursor.execute(tables)
            yield
        finally:
            cursor.execute(SQL("DROP SCHEMA {} CASCADE").format(schema))


def _take_turn(cursor: "Cursor", name: str) -> None:
    """Wait for the lock in small portions, so that Ctrl-C is heard meanwhile."""
    told = False
    while True:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (name,))
        if cursor.fetchone() == (True,):
            return
        if not told:
            print("Another run of this lesson is under way: waiting for it to end.")
        told = True
        time.sleep(LOOK_AGAIN)
