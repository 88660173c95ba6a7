"""The psycopg2 lesson: each part by itself, its faults, and the script as users run it."""

import os
import re
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812

from course import connect
from course.console import Console
from course.lesson import Lesson
from course.settings import OUTPUT_DIR, ROOT
from course.shop.load import fingerprint
from course.workspace import own_schema
from tests.support import load_lesson, run_python, run_when_its_turn_comes, told_without_a_service

PATH = "python_db/05_db_connection.py"
FILE = ROOT / PATH
lesson_05 = load_lesson(PATH)


@pytest.fixture
def lesson(service: Callable[[str], str]) -> Iterator[Lesson]:
    """A lesson that talks to the test's output, in its own schema."""
    service("postgres")
    connect.prepare(["postgres"])
    options = Namespace(fast=True, from_step=1, step=False, rows=3_000)
    with own_schema(lesson_05.SCHEMA, lesson_05.TABLES):
        yield Lesson(Console(), options, "test_05")


@pytest.fixture
def connection(lesson: Lesson) -> Iterator[Connection]:
    with closing(lesson_05.open_connection()) as opened:
        yield opened


def assert_all_hold(lesson: Lesson) -> None:
    assert not [claim for claim, holds in lesson.claims if not holds]


@pytest.mark.parametrize("part", lesson_05.ON_ONE, ids=lambda part: part.__name__)
def test_each_part_holds_by_itself(part: Callable, lesson: Lesson, connection: Connection) -> None:
    part(lesson, connection)
    assert_all_hold(lesson)
    assert lesson.claims


@pytest.mark.parametrize("part", lesson_05.ON_SEVERAL, ids=lambda part: part.__name__)
def test_each_part_with_connections_of_its_own_holds(part: Callable, lesson: Lesson) -> None:
    part(lesson)
    assert_all_hold(lesson)


@pytest.mark.parametrize("words", ["x' OR 'a' = 'a", "'; DROP TABLE payments; --"])
def test_the_unsafe_search_is_really_unsafe(connection: Connection, words: str) -> None:
    with connection.cursor() as cursor:
        try:
            found = lesson_05.find_unsafely(cursor, words)
        except psycopg2.ProgrammingError:
            cursor.execute("SELECT to_regclass('payments') IS NULL")
            found = cursor.fetchall()
    assert found


@pytest.mark.parametrize("load", [
    lesson_05.executemany, lesson_05.execute_values, lesson_05.copy,
])  # fmt: skip
def test_every_way_of_loading_keeps_difficult_values(
    load: Callable, connection: Connection
) -> None:
    rows = [
        (1, "quote \" comma , apostrophe '", Decimal("0.10")),
        (2, "line\nbreak \\N", Decimal(-1)),
    ]
    with connection, connection.cursor() as cursor:
        load(cursor, rows)
        cursor.execute("SELECT * FROM readings ORDER BY number")
        assert cursor.fetchall() == rows


@pytest.mark.parametrize("load", [
    lesson_05.executemany, lesson_05.execute_values, lesson_05.copy,
])  # fmt: skip
def test_a_bad_row_loads_none(load: Callable, connection: Connection) -> None:
    with pytest.raises(errors.UniqueViolation), connection, connection.cursor() as cursor:
        load(cursor, [(1, "a", Decimal(1)), (1, "b", Decimal(2))])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM readings")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_retry_goes_on_until_it_works(failures: int) -> None:
    seen = []

    def work(attempt: int) -> None:
        seen.append(attempt)
        if attempt <= failures:
            raise errors.DeadlockDetected

    assert lesson_05.with_retry(work) == failures + 1
    assert seen == list(range(1, failures + 2))


@pytest.mark.parametrize(
    ("error", "calls"), [(errors.DeadlockDetected, 3), (errors.UniqueViolation, 1)]
)
def test_retry_gives_up_and_never_repeats_other_errors(error: type, calls: int) -> None:
    seen = []

    def work(attempt: int) -> None:
        seen.append(attempt)
        raise error

    with pytest.raises(error):
        lesson_05.with_retry(work)
    assert len(seen) == calls


def test_the_schema_goes_when_the_lesson_fails(lesson: Lesson, connection: Connection) -> None:
    with pytest.raises(ZeroDivisionError), own_schema("db_05_test", "CREATE TABLE t (a int)"):
        raise ZeroDivisionError
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace('db_05_test') IS NULL")
        assert cursor.fetchone() == (True,)


def test_it_waits_for_its_turn_and_leaves_nothing(service: Callable[[str], str]) -> None:
    service("postgres")
    run_when_its_turn_comes(own_schema(lesson_05.SCHEMA), FILE, "--fast", "--rows", "2000")
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace('db_05') IS NULL")
        assert cursor.fetchone() == (True,)


def test_it_runs_from_anywhere_leaks_nothing_and_leaves_the_course_data(
    service: Callable[[str], str], tmp_path: Path
) -> None:
    service("postgres")
    with closing(connect.postgres()) as connection:
        before = fingerprint(connection)
        strict = ["-X", "dev", "-W", "error::ResourceWarning"]
        result = run_python(*strict, FILE, "--fast", "--from", "3", cwd=tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "ResourceWarning" not in result.stderr and "Traceback" not in result.stderr
        assert "2  Values" not in result.stdout and "3  SQL injection" in result.stdout
        assert max(map(len, re.findall(r"^[A-Z].*$", result.stdout, re.M))) <= 80
        assert fingerprint(connection) == before
    assert (OUTPUT_DIR / "db_05_loading.png").stat().st_size > 10_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("flags", "code"), [(["--rows", "0"], 2), (["--unknown"], 2)])
def test_a_bad_option_is_refused(flags: list[str], code: int) -> None:
    assert run_python(FILE, *flags).returncode == code


def test_without_a_server_it_says_so_in_one_sentence() -> None:
    assert "127.0.0.1:9" in told_without_a_service(
        lesson_05, DATABASE_URL="postgresql://a:b@127.0.0.1:9/nowhere"
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_ends_it_and_tidies_up(service: Callable[[str], str]) -> None:
    service("postgres")
    with subprocess.Popen(
        [sys.executable, FILE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout
        while "3  SQL" not in (line := process.stdout.readline()) and line:
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace('db_05') IS NULL")
        assert cursor.fetchone() == (True,)
