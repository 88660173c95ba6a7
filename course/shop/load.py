"""Puts the shop into a PostgreSQL database, whole or not at all, and can tell whether it is whole.

Every function takes a psycopg2 connection that is not inside a transaction, and works in the schema
`public`. Tables that the course did not make are never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from course.errors import CourseError
from course.shop.truths import DEFAULT_SCALE, SHA256, TABLES

if TYPE_CHECKING:
    import psycopg2.extensions as pg

T = TypeVar("T")

HERE = Path(__file__).parent
NAME = "shop"  # its row in course_data
VERSION = SHA256[:16]
ALL_TABLES = (*TABLES, "course_data")
LOCK = 0x5109  # the advisory lock under which tables are made
PATIENCE = "10s"  # how long to wait for sessions that use the tables


def ensure_loaded(connection: pg.connection) -> bool:
    """Load the shop unless its current edition is there, at any scale; True if it was loaded now.

    Of several callers at the same moment one loads, the others wait. Errors: see `load`.
    """
    with connection, connection.cursor() as cursor:
        if _is_current(cursor):
            return False
    with _alone(connection) as cursor:
        if _is_current(cursor):  # somebody else loaded it while this one waited
            return False
        _replace(cursor, DEFAULT_SCALE)
    return True


def load(connection: pg.connection, scale: int = DEFAULT_SCALE) -> None:
    """Make the shop anew with `scale` orders, in one transaction.

    Views on its tables go with them. CourseError when the database has tables of these names that
    the course did not make, when it may not make tables, or when others keep the tables busy.
    """
    with _alone(connection) as cursor:
        _replace(cursor, scale)


def reset(connection: pg.connection) -> None:
    """Restore the default shop, whatever became of it. Errors: see `load`."""
    load(connection, DEFAULT_SCALE)


def fingerprint(connection: pg.connection) -> str:
    """A digest of all rows of the five tables, whatever their order.

    It changes with any value, row or column, and takes 0.1 to 0.4 s at the default scale.
    Raises psycopg2's UndefinedTable when a table is missing.
    """
    with connection, connection.cursor() as cursor:
        return _fingerprint(cursor)


def is_unchanged(connection: pg.connection) -> bool:
    """Whether the rows are those that were loaded. Errors: see `fingerprint`."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT fingerprint FROM public.course_data WHERE name = %s", (NAME,))
        found = cursor.fetchone()
        return found is not None and found[0] == _fingerprint(cursor)


def _is_current(cursor: pg.cursor) -> bool:
    return len(_present(cursor)) == len(ALL_TABLES) and _loaded_version(cursor) == VERSION


def _present(cursor: pg.cursor) -> list[str]:
    """Which of the shop's names are taken in the schema public."""
    cursor.execute(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relname = ANY(%s) ORDER BY relname",
        (list(ALL_TABLES),),
    )
    return [name for (name,) in cursor.fetchall()]


def _loaded_version(cursor: pg.cursor) -> str | None:
    """The edition that the course loaded, None if it loaded none (course_data must exist)."""
    # Through jsonb, so that a stranger's table of this name does no harm, whatever its columns.
    cursor.execute(
        "SELECT to_jsonb(d) ->> 'version' FROM public.course_data AS d"
        " WHERE to_jsonb(d) ->> 'name' = %s",
        (NAME,),
    )
    found = cursor.fetchone()
    return found[0] if found else None


@contextmanager
def _alone(connection: pg.connection) -> Iterator[pg.cursor]:
    """A transaction that no other load runs beside; what the user can put right, it explains."""
    from psycopg2 import errors

    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            yield cursor
    except errors.LockNotAvailable as error:
        raise CourseError(
            "The shop can't be loaded: another session is using its tables. "
            "End the other lessons, notebooks and psql windows, then try again."
        ) from error
    except errors.InsufficientPrivilege as error:
        raise CourseError(
            f"The shop can't be loaded: {str(error).strip()}. Use a database whose owner you are "
            "(DATABASE_URL), or unset DATABASE_URL to use the course's own."
        ) from error


def _replace(cursor: pg.cursor, scale: int) -> None:
    # Imported late: a lesson that finds the shop loaded needs no generator.
    from course.shop.generate import batches

    cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'; SET LOCAL search_path = public")
    _drop(cursor)
    _run(cursor, "schema.sql")
    for table, rows in _one_ahead(batches(scale)):
        # FREEZE: rows of a table made in this transaction need no VACUUM afterwards.
        data = BytesIO("".join(rows).encode("ascii"))
        cursor.copy_expert(f"COPY {table} FROM STDIN WITH (FREEZE)", data, size=2**20)
    _run(cursor, "keys.sql")
    cursor.execute(f"ANALYZE {', '.join(TABLES)}")
    cursor.execute(
        "INSERT INTO course_data (name, version, scale, fingerprint) VALUES (%s, %s, %s, %s)",
        (NAME, VERSION, scale, _fingerprint(cursor)),
    )


def _one_ahead(source: Iterator[T]) -> Iterator[T]:
    """The same things; while one is used, a thread makes the next."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as worker:
        upcoming = worker.submit(next, source, None)
        while (thing := upcoming.result()) is not None:
            upcoming = worker.submit(next, source, None)
            yield thing


def _drop(cursor: pg.cursor) -> None:
    """Remove the course's own tables; CourseError if there are others of their names."""
    present = _present(cursor)
    if not present:
        return
    if "course_data" not in present or _loaded_version(cursor) is None:
        raise CourseError(
            f"This database already has something called {', '.join(present)} in its schema "
            "public, and the course did not make it, so it leaves it alone. Use another database "
            "(DATABASE_URL), or unset DATABASE_URL to use the course's own."
        )
    cursor.execute(f"DROP TABLE {', '.join(present)} CASCADE")


def _run(cursor: pg.cursor, script: str) -> None:
    cursor.execute((HERE / script).read_text(encoding="utf-8"))


def _fingerprint(cursor: pg.cursor) -> str:
    sums = " UNION ALL ".join(
        f"SELECT '{table}', count(*), sum(hash_record_extended(t, 0)::numeric)"
        f" FROM public.{table} AS t"
        for table in TABLES
    )
    cursor.execute(sums)
    rows = sorted(cursor.fetchall())
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:32]
