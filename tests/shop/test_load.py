"""Loading: whole or not at all, one at a time, and never over what belongs to somebody else."""

import subprocess
import sys
import time
from contextlib import closing

import psycopg2
import psycopg2.extensions as pg
import pytest

from course.errors import CourseError
from course.shop import load as loader
from course.shop.load import ensure_loaded, fingerprint, is_unchanged, load, reset
from course.shop.truths import DEFAULT_SCALE, TABLES

SMALL, DEFAULT = 1_000, 2_000  # the real default is loaded once, in the test with two processes
LOAD_IN_PROCESS = """
import sys, psycopg2
from course.shop.load import ensure_loaded, load
connection = psycopg2.connect(sys.argv[1], application_name="loader")
print(load(connection, int(sys.argv[2])) if sys.argv[2:] else ensure_loaded(connection))
"""


@pytest.fixture(autouse=True)
def small_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "DEFAULT_SCALE", DEFAULT)


def start_loader(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOAD_IN_PROCESS, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(connection: pg.connection, query: str) -> object:
    """The first value of a query's answer, None when it gives no rows."""
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def tables(connection: pg.connection) -> object:
    return ask(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")


def test_second_call_finds_the_shop(connection: pg.connection) -> None:
    load(connection, SMALL)
    assert not ensure_loaded(connection)
    assert ask(connection, "SELECT scale FROM course_data") == SMALL
    assert connection.status == psycopg2.extensions.STATUS_READY


def test_autocommit_connections_work_too(connection: pg.connection) -> None:
    connection.autocommit = True
    load(connection, SMALL)
    assert not ensure_loaded(connection)
    assert connection.autocommit


def test_another_search_path_changes_nothing(connection: pg.connection) -> None:
    ask(connection, "CREATE SCHEMA mine")
    ask(connection, "SET search_path = mine")
    load(connection, SMALL)
    assert tables(connection) == len(TABLES) + 1
    assert ask(connection, "SHOW search_path") == "mine"


def test_two_processes_at_once_load_it_once(database: str, connection: pg.connection) -> None:
    loaders = [start_loader(database) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in loaders]
    assert sorted(out.strip() for out, _ in answers) == ["False", "True"], answers
    assert ask(connection, "SELECT count(*) FROM orders") == DEFAULT_SCALE


@pytest.mark.faults
def test_killed_in_mid_load_leaves_nothing(database: str, connection: pg.connection) -> None:
    process = start_loader(database, "300000")
    copying = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'loader' AND query LIKE 'COPY o%'
    """
    deadline = time.monotonic() + 60
    while ask(connection, copying) == 0:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the load did not begin"
        time.sleep(0.02)
    process.kill()
    process.communicate()
    load(connection, SMALL)  # waits for what is left of the killed one to go
    assert ask(connection, "SELECT count(*) FROM orders") == SMALL


def test_failure_in_mid_load_leaves_nothing(
    connection: pg.connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "_fingerprint", lambda cursor: None)
    with pytest.raises(psycopg2.errors.NotNullViolation):
        load(connection, SMALL)
    assert tables(connection) == 0


@pytest.mark.parametrize(
    "stranger",
    [
        "CREATE TABLE orders AS SELECT 1 AS mine",
        "CREATE VIEW customers AS SELECT 1 AS mine",
        "CREATE TABLE course_data AS SELECT 1 AS mine",
        "CREATE TABLE course_data AS SELECT 'theirs' AS name, 1 AS version",
    ],
)
def test_tables_of_others_are_left_alone(connection: pg.connection, stranger: str) -> None:
    ask(connection, stranger)
    name = stranger.split()[2]
    for attempt in (ensure_loaded, reset):
        with pytest.raises(CourseError, match=f"already has something called {name}.*DATABASE_URL"):
            attempt(connection)
    assert ask(connection, f"SELECT count(*) FROM {name}") == 1


def test_busy_tables_are_explained(
    database: str, connection: pg.connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(connection, SMALL)
    monkeypatch.setattr(loader, "PATIENCE", "100ms")
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders")  # its transaction stays open
        with pytest.raises(CourseError, match="another session is using its tables"):
            load(connection, SMALL)
    assert is_unchanged(connection)


def test_a_role_without_rights_is_told(connection: pg.connection) -> None:
    role = f"guest_{connection.info.dbname}"
    ask(connection, f"CREATE ROLE {role}")
    try:
        ask(connection, f"SET ROLE {role}")
        with pytest.raises(CourseError, match="permission denied for schema public"):
            load(connection, SMALL)
    finally:
        ask(connection, f"RESET ROLE; DROP ROLE {role}")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET total = total + 0.01 WHERE order_id = 77",
        "UPDATE customers SET phone = NULL WHERE customer_id = 1 AND phone IS NOT NULL",
        "UPDATE products SET attributes = attributes || '{\"new\": 1}' WHERE product_id = 5",
        "DELETE FROM order_items WHERE (order_id, line_number) = (500, 1)",
        "ALTER TABLE web_events ADD COLUMN seen boolean",
    ],
)
def test_fingerprint_sees_one_change(connection: pg.connection, change: str) -> None:
    load(connection, SMALL)
    before = fingerprint(connection)
    assert before == fingerprint(connection) and is_unchanged(connection)
    ask(connection, change)
    assert fingerprint(connection) != before
    assert not is_unchanged(connection)


def test_fingerprint_ignores_where_rows_lie(connection: pg.connection) -> None:
    load(connection, SMALL)
    ask(connection, "UPDATE orders SET total = total WHERE order_id < 500")
    assert is_unchanged(connection)


def test_damage_is_repaired(connection: pg.connection) -> None:
    load(connection, SMALL)
    small = fingerprint(connection)
    ask(connection, "DROP TABLE web_events; DELETE FROM order_items")
    load(connection, SMALL)
    assert fingerprint(connection) == small
    ask(connection, "DROP TABLE web_events")
    assert ensure_loaded(connection), "a missing table was not noticed"
    assert ask(connection, "SELECT count(*) FROM orders") == DEFAULT


def test_reset_goes_back_to_the_default(connection: pg.connection) -> None:
    load(connection, SMALL)
    ask(connection, "CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 500")
    reset(connection)
    assert ask(connection, "SELECT scale FROM course_data") == DEFAULT
    assert tables(connection) == len(TABLES) + 1


def test_an_older_edition_is_replaced(connection: pg.connection) -> None:
    load(connection, SMALL)
    ask(connection, "UPDATE course_data SET version = 'older'")
    assert ensure_loaded(connection)
