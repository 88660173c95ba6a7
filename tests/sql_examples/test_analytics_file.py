"""The file of lesson sql/05 runs in every way, beside readers; the course makes its views once."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions as pg
import pytest
from psycopg2.extras import LoggingConnection

from course import analytics, stack
from course.analytics import LESSON, apply
from course.errors import CourseError
from course.shop.load import ensure_loaded, fingerprint, load
from course.statements import split
from tests.shop.conftest import new_database
from tests.sql_examples.test_analytics import CASES
from tests.support import run_python

SQL = LESSON.read_text(encoding="utf-8")
SMALL = 1_000  # orders: the claims about planted truths need 20,000, the mechanics do not
HELD = """
    SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
    WHERE locktype = 'advisory' AND datname = current_database()
"""
CLAIMS = [s for s in split(SQL) if "AS checked (claim, holds, evidence)" in s.text]


@pytest.fixture(scope="module")
def url(service: Callable[[str], str]) -> Iterator[str]:
    """A database with the default shop and no views yet."""
    with new_database(service("postgres")) as found:
        with closing(psycopg2.connect(found)) as connection:
            ensure_loaded(connection)
        yield found


@pytest.fixture
def connection(empty_url: str) -> Iterator[pg.connection]:
    """A small shop without views."""
    with closing(psycopg2.connect(empty_url)) as connection:
        load(connection, SMALL)
        yield connection


def psql(url: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [stack.psql_path(), url, "-X", "-q", "--csv", "-v", "ON_ERROR_STOP=1", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8", timeout=120,
    )  # fmt: skip


def ask(connection: pg.connection, query: str) -> Any:
    """The first value of the answer."""
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def views(connection: pg.connection) -> int:
    return int(ask(connection, "SELECT count(*) FROM pg_views WHERE schemaname = 'analytics'"))


def test_psql_runs_it_twice_without_a_word_of_warning(url: str) -> None:
    first, second = psql(url, "-f", LESSON), psql(url, "-f", LESSON)
    assert first.returncode == 0, first.stderr
    assert first.stderr == second.stderr == ""
    assert first.stdout == second.stdout
    lists = re.findall(r"claim,holds,evidence\n((?:.*,[tf],.*\n)+)", first.stdout)
    assert len(lists) == len(CLAIMS)
    claims = "".join(lists).splitlines()
    assert len(claims) >= 25
    assert [claim for claim in claims if ",f," in claim] == []


@pytest.mark.parametrize("autocommit", [True, False])
def test_one_execute_runs_it(url: str, autocommit: bool) -> None:
    with closing(psycopg2.connect(url)) as opened:
        opened.autocommit = autocommit
        before = fingerprint(opened)
        with opened.cursor() as cursor:
            cursor.execute(SQL)
        opened.rollback()  # nothing that matters is in the last transaction
        assert views(opened) == len(CASES)
        assert ask(opened, "SHOW lock_timeout") == "0"
        assert ask(opened, HELD) == 0
        assert fingerprint(opened) == before


def test_the_runner_shows_a_tick_for_every_claim(url: str) -> None:
    result = run_python("-m", "course.sqlfile", LESSON, "--fast", DATABASE_URL=url)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(CLAIMS) == 8
    wide = [line for line in result.stdout.splitlines() if re.match(r" *[\d|-]", line)]
    assert max(map(len, wide), default=0) <= 100


def test_it_needs_no_psql() -> None:
    assert not re.search(r"^\s*\\", SQL, re.MULTILINE)
    assert "DROP SCHEMA" not in SQL


def test_readers_never_fail_while_it_runs(url: str) -> None:
    done = threading.Event()

    def read() -> int:
        rounds = 0
        with closing(psycopg2.connect(url)) as reader:
            reader.autocommit = True
            while not done.is_set():
                for view in reversed(CASES):
                    with reader.cursor() as cursor:
                        cursor.execute(f"SELECT * FROM analytics.{view} LIMIT 1")
                rounds += 1
        return rounds

    def write() -> None:
        with closing(psycopg2.connect(url)) as writer, writer, writer.cursor() as cursor:
            cursor.execute(SQL)

    write()
    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for writer in [pool.submit(write) for _ in range(2)]:
                writer.result()
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)


def test_the_views_are_made_once(connection: pg.connection) -> None:
    before = fingerprint(connection)
    assert apply(connection) is True
    assert views(connection) == len(CASES)
    assert apply(connection) is False
    assert fingerprint(connection) == before


def test_of_several_at_once_one_makes_them(connection: pg.connection, empty_url: str) -> None:
    def one(_: int) -> bool:
        with closing(psycopg2.connect(empty_url)) as opened:
            return apply(opened)

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(one, range(5))) == [False, False, False, False, True]
    assert views(connection) == len(CASES)


def test_a_look_at_what_is_there_costs_one_query(connection: pg.connection, empty_url: str) -> None:
    apply(connection)
    said: list[str] = []

    class Log:
        def write(self, line: str) -> None:
            said.append(line)

    opened = psycopg2.connect(empty_url, connection_factory=LoggingConnection)
    with closing(opened):
        opened.initialize(Log())
        assert apply(opened) is False
    assert len([line for line in said if line.strip()]) == 1


def test_loading_the_shop_anew_drops_them_and_they_come_back(connection: pg.connection) -> None:
    apply(connection)
    load(connection, SMALL)
    assert views(connection) == 0
    assert apply(connection) is True
    assert views(connection) == len(CASES)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP VIEW analytics.rfm CASCADE",
        "DROP SCHEMA analytics CASCADE",
        # An edition with other columns, on which a view of the user's stands.
        "UPDATE course_data SET version = 'old' WHERE name = 'analytics';"
        "DROP VIEW analytics.abc; CREATE VIEW analytics.abc AS SELECT 1 AS place;"
        "CREATE VIEW mine AS SELECT * FROM analytics.abc",
        "UPDATE course_data SET version = 'old' WHERE name = 'analytics';"
        "DROP FUNCTION analytics.churn_labels_as_of CASCADE;"
        "CREATE FUNCTION analytics.churn_labels_as_of(on_day date) RETURNS integer"
        " LANGUAGE sql RETURN 1",
    ],
)
def test_what_was_damaged_or_old_is_made_anew(connection: pg.connection, damage: str) -> None:
    apply(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (x int)")
        cursor.execute(damage)
    assert apply(connection) is True
    assert views(connection) == len(CASES)
    assert ask(connection, "SELECT count(*) FROM analytics.abc") == 120
    assert ask(connection, "SELECT count(*) FROM kept") == 0
    assert apply(connection) is False


def test_after_a_run_by_hand_the_course_takes_them_over(connection: pg.connection) -> None:
    with connection, connection.cursor() as cursor:
        for statement in split(SQL):
            if statement.text.startswith(("CREATE", "COMMENT")):
                cursor.execute(statement.text)
    assert apply(connection) is True
    assert apply(connection) is False


def test_a_schema_of_somebody_else_is_left_alone(connection: pg.connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA analytics; CREATE TABLE analytics.abc (x int)")
    with pytest.raises(CourseError, match="already has a schema called analytics"):
        apply(connection)
    assert views(connection) == 0
    assert ask(connection, "SELECT count(*) FROM analytics.abc") == 0


def test_who_may_not_make_a_schema_is_told_so(connection: pg.connection, empty_url: str) -> None:
    role = f"reader_{connection.info.backend_pid}"
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        with closing(psycopg2.connect(empty_url, options=f"-c role={role}")) as reader:
            with pytest.raises(CourseError, match="permission denied"):
                apply(reader)
            apply(connection)
            assert apply(reader) is False, "where the views are made, reading is enough"
    finally:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_reader_who_stays_makes_it_give_up_plainly(
    connection: pg.connection, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "PATIENCE", "200ms")
    apply(connection)
    with closing(psycopg2.connect(empty_url)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM analytics.rfm")  # and the transaction stays open
        assert apply(connection) is False, "nothing to do, nobody to wait for"
        with connection, connection.cursor() as other:
            other.execute("UPDATE course_data SET version = 'old' WHERE name = 'analytics'")
        with pytest.raises(CourseError, match="another session is using them"):
            apply(connection)
    assert apply(connection) is True


def test_an_old_server_is_refused(
    connection: pg.connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics, "OLDEST_SERVER", 99)
    with pytest.raises(CourseError, match="need PostgreSQL 99 or newer"):
        apply(connection)
    assert views(connection) == 0
