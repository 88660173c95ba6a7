"""The SQL lesson says the same in all three ways of running it, and leaves no trace."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from course import connect, sqlfile, stack
from course.settings import ROOT
from course.shop.load import fingerprint
from tests.support import run_python

FILE = ROOT / "sql_examples" / "04_sql_examples.sql"
SQL = FILE.read_text(encoding="utf-8")
STATEMENTS = list(sqlfile.split(SQL))
BEFORE_TIDYING = SQL.partition("-- Remove our schema")[0]
TIDYING = "DROP SCHEMA sql_04 CASCADE"
TABLES = ("bookings", "pieces", "price_list", "stock", "visits")


@pytest.fixture
def url(service: Callable[[str], str]) -> str:
    found = service("postgres")
    connect.prepare(["postgres"])
    return found


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with closing(psycopg2.connect(url)) as opened:
        yield opened


def psql(url: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [stack.psql_path(), url, "-X", "-q", "--csv", "-v", "ON_ERROR_STOP=1", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8", timeout=120,
    )  # fmt: skip


def without_plans(output: str) -> list[str]:
    """Lines of output; costs in plans differ after each ANALYZE."""
    return [line for line in output.splitlines() if not re.search(r"cost=|Cond:|Filter:", line)]


def content(connection: Connection) -> list[tuple[str, int, str]]:
    """(name, number of rows, digest) of each of the lesson's tables, once they are there."""
    found = []
    with connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                "SELECT count(*), md5(string_agg(row::text, ',' ORDER BY row::text)) "
                f"FROM sql_04.{table} AS row"
            )
            found.append((table, *cursor.fetchone()))
    return found


def test_psql_and_one_single_string_print_the_same(url: str) -> None:
    by_file, by_string = psql(url, "-f", FILE), psql(url, "-c", SQL)
    assert by_file.returncode == by_string.returncode == 0, by_file.stderr + by_string.stderr
    assert by_file.stderr == "", "not even a warning"
    assert set(re.findall(r"WARNING: +(.*)", by_string.stderr)) <= {
        "there is already a transaction in progress"
    }
    assert without_plans(by_file.stdout) == without_plans(by_string.stdout)
    assert by_file.stdout.count("claim,holds") >= 12


def test_the_runner_shows_the_rows_that_psql_shows(url: str) -> None:
    shown = " ".join(run_python("-m", "course.sqlfile", FILE).stdout.split())
    table: list[str] = []
    for line in without_plans(psql(url, "-f", FILE).stdout):
        if re.fullmatch(r"\d+,[^,\"]+(,[^,\"]+)*", line):
            table.append(line)
            assert " ".join(line.replace(",", " ").split()) in shown or "+00" in line, line
    assert len(table) > 40


@pytest.mark.parametrize("autocommit", [False, True])
def test_psycopg2_executes_the_file_in_one_call(connection: Connection, autocommit: bool) -> None:
    connection.autocommit = autocommit
    with connection.cursor() as cursor:
        cursor.execute(SQL)
        cursor.execute("SELECT to_regnamespace('sql_04') IS NULL")
        assert cursor.fetchone() == (True,)
    warned = {line.strip() for line in connection.notices}
    assert warned <= {"WARNING:  there is already a transaction in progress"}


def test_all_ways_leave_the_same_tables(url: str, connection: Connection, tmp_path: Path) -> None:
    unfinished = tmp_path / "unfinished.sql"
    unfinished.write_text(BEFORE_TIDYING, encoding="utf-8")
    found = {}
    assert psql(url, "-f", unfinished).returncode == 0
    found["psql -f"] = content(connection)
    assert psql(url, "-c", BEFORE_TIDYING).returncode == 0
    found["psql -c"] = content(connection)
    assert run_python("-m", "course.sqlfile", unfinished).returncode == 0
    found["course.sqlfile"] = content(connection)
    with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
        cursor.execute(BEFORE_TIDYING)
        other.commit()
    found["psycopg2"] = content(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute(TIDYING)
    assert all(tables == found["psycopg2"] for tables in found.values()), found


def test_course_data_stays_as_it_was(connection: Connection) -> None:
    before = fingerprint(connection)
    result = run_python("-m", "course.sqlfile", FILE)
    assert result.returncode == 0, result.stdout + result.stderr
    assert fingerprint(connection) == before


def test_two_at_once_take_turns(url: str) -> None:
    command = [sys.executable, "-m", "course.sqlfile", FILE, "--fast"]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8")
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs


def test_what_a_crash_left_behind_does_not_matter(connection: Connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS sql_04")
        cursor.execute("CREATE TABLE IF NOT EXISTS sql_04.stock (wrong text)")
    assert run_python("-m", "course.sqlfile", FILE).returncode == 0


def test_rows_are_always_printed_in_a_stated_order(url: str) -> None:
    with closing(sqlfile.open_connection()) as connection, connection.cursor() as cursor:
        for statement in STATEMENTS:
            cursor.execute(statement.text)
            query = re.match(r"SELECT|WITH|TABLE", statement.text)
            if query and cursor.rowcount > 1 and not sqlfile.CLAIMS.search(statement.text):
                outside = statement.text
                while (shorter := re.sub(r"\([^()]*\)", "", outside)) != outside:
                    outside = shorter
                assert "ORDER BY" in outside, f"line {statement.line}"


def test_every_statement_can_be_read_at_80_columns() -> None:
    for statement in STATEMENTS:
        if not sqlfile.CLAIMS.search(statement.text):
            assert max(map(len, statement.text.splitlines())) <= 76, statement.text


def test_every_chapter_begins_with_a_question_and_most_make_claims() -> None:
    chapters = [statement for statement in STATEMENTS if statement.chapter]
    assert len(chapters) == 14 and all(statement.heading for statement in chapters)
    assert sum(bool(sqlfile.CLAIMS.search(s.text)) for s in STATEMENTS) >= len(chapters) - 2


def test_nothing_in_the_file_needs_psql() -> None:
    assert not re.search(r"^\\", SQL, re.M)
    assert not re.search(r"\b(VACUUM|CONCURRENTLY)\b", SQL)
