"""Makes the views of the schema `analytics`: course data, like the shop that they look at.

They stand in the lesson that explains them, sql_examples/05_advanced_analytics.sql. Its CREATE and
COMMENT statements are run, its queries are not; `course_data` names the edition in a database.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from course.errors import CourseError
from course.settings import ROOT

if TYPE_CHECKING:
    import psycopg2.extensions as pg

LESSON = ROOT / "sql_examples" / "05_advanced_analytics.sql"
NAME = "analytics"  # of the schema, of its row in course_data, and of the lock
OLDEST_SERVER = 16  # the first with erfc()
PATIENCE = "10s"  # how long to wait for sessions that use the views
CREATED = re.compile(r"^CREATE OR REPLACE (VIEW|FUNCTION) (analytics\.\w+)", re.MULTILINE)


def apply(connection: pg.connection) -> bool:
    """Make the views unless their current edition is there; True if they were made now.

    The connection must not be inside a transaction, and the shop must be loaded. Of several callers
    at the same moment one makes the views, the others wait. CourseError when the database has a
    schema of this name that the course did not make, when it may not make one, when others keep the
    views busy, or when the server is too old.
    """
    sql = LESSON.read_text(encoding="utf-8")
    edition = hashlib.sha256(sql.encode()).hexdigest()[:16]
    views = [name for kind, name in CREATED.findall(sql) if kind == "VIEW"]
    with connection, connection.cursor() as cursor:
        if _is_current(cursor, edition, views):
            return False
    return _make(connection, sql, edition, views)


def _is_current(cursor: pg.cursor, edition: str, views: list[str]) -> bool:
    """Whether course_data names this edition, and every view is there."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM public.course_data WHERE name = %(name)s AND version = %(now)s)"
        " AND %(views)s::text[] <@ ARRAY(SELECT schemaname || '.' || viewname FROM pg_views"
        " WHERE schemaname = %(name)s)",
        {"name": NAME, "now": edition, "views": views},
    )
    found = cursor.fetchone()
    return found is not None and bool(found[0])


def _make(connection: pg.connection, sql: str, edition: str, views: list[str]) -> bool:
    """Make the views, unless somebody else just did; what the user can put right, it explains."""
    from psycopg2 import errors

    if connection.server_version < OLDEST_SERVER * 10_000:
        raise CourseError(
            f"The views of the schema {NAME} need PostgreSQL {OLDEST_SERVER} or newer, and this is "
            f"{connection.server_version // 10_000}. Use a newer server (DATABASE_URL), or unset "
            "DATABASE_URL to use the course's own."
        )
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (NAME,))
            if _is_current(cursor, edition, views):
                return False
            _replace(cursor, sql, edition)
            return True
    except errors.LockNotAvailable as error:
        raise CourseError(
            f"The views of the schema {NAME} can't be made: another session is using them. "
            "End the other lessons, notebooks and psql windows, then try again."
        ) from error
    except errors.InsufficientPrivilege as error:
        raise CourseError(
            f"The views of the schema {NAME} can't be made: {str(error).strip()}. Use a database "
            "whose owner you are (DATABASE_URL), or unset DATABASE_URL to use the course's own."
        ) from error


def _replace(cursor: pg.cursor, sql: str, edition: str) -> None:
    # Imported late: a lesson that finds the views made needs no SQL reader.
    from course.statements import split

    _refuse_strangers(cursor)
    cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'; SET LOCAL search_path = public")
    cursor.execute("SET LOCAL client_min_messages = warning")
    # An older edition may have had other columns. The last view goes first: who reads a view locks
    # it before those that it stands on, and whoever locks in another order may end in a deadlock.
    for kind, name in reversed(CREATED.findall(sql)):
        cursor.execute(f"DROP {kind} IF EXISTS {name} CASCADE")
    for statement in split(sql):
        if statement.text.startswith(("CREATE ", "COMMENT ")):
            cursor.execute(statement.text)
    cursor.execute(
        "INSERT INTO course_data (name, version, scale, fingerprint)"
        " SELECT %(name)s, %(edition)s, scale, fingerprint FROM course_data WHERE name = 'shop'"
        " ON CONFLICT (name) DO UPDATE"
        " SET version = EXCLUDED.version, fingerprint = EXCLUDED.fingerprint, loaded_at = now()",
        {"name": NAME, "edition": edition},
    )


def _refuse_strangers(cursor: pg.cursor) -> None:
    """CourseError if a schema of this name is there and the lesson's comment on it is not."""
    cursor.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", (NAME,)
    )
    found = cursor.fetchone()
    if found is not None and LESSON.name not in (found[0] or ""):
        raise CourseError(
            f"This database already has a schema called {NAME}, and the course did not make it, so "
            "it leaves it alone. Use another database (DATABASE_URL), or unset DATABASE_URL to use "
            "the course's own."
        )
