"""SQL files as lessons: where statements are cut, and what the runner says about them."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from course import sqlfile, stack
from course.errors import CourseError
from course.settings import ROOT
from tests.support import run_python, wait_until_it_runs

FRAGMENTS = (
    "'a;b'", "'it''s; fine'", r"'\'", r"E'it\'s; fine'", r"e'\\'", "''", "$$a;'b$$", "$$$$",
    "$tag$ ; $$ ; $tag$", "$ü$;$ü$", '(1) + length(\';\')', "'-- ;'", "'/* ;'", "/* ; */ 1",
    "/* a /* ; ' */ $$ ; */ 2", "3 -- ; ' $$ \" /*\n", "/* '*/ 4 /*' ; */", "ARRAY[5]", "6/7*8",
    "'a'\n'b;'", "U&'d\\0061t;'", "B'101'", '(SELECT 1 AS ";")',
    '(SELECT "a;""b".x FROM (SELECT 1 AS x) AS "a;""b")', "(SELECT d$x FROM (SELECT 1) AS t (d$x))",
    "CASE WHEN true THEN 1 END",
)  # fmt: skip
STATEMENTS = st.lists(
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4), min_size=1, max_size=4
)


def texts(sql: str) -> list[str]:
    return [statement.text for statement in sqlfile.split(sql)]


def as_query(fragments: list[str]) -> str:
    """A statement that answers with its own text, as the server received it."""
    return f"SELECT current_query() WHERE ROW({', '.join(fragments)}) IS NOT NULL OR true"


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("", 0),
        ("  -- only a comment;\n /* ; */ ", 0),
        (";;\n;", 0),
        ("SELECT 1", 1),
        ("SELECT 1;", 1),
        ("SELECT 1; SELECT 2 -- the end", 2),
        ("SELECT a$b$c; SELECT d$b$e", 2),
        ("DO $do$ BEGIN PERFORM $$x;$$; END $do$; SELECT 1", 2),
        ("BEGIN; UPDATE t SET a = 1; END; SELECT 1", 4),
        ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", 2),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3", 2),
        ("create or replace procedure p() begin atomic select case 1 when 1 then 2 end; end; x", 2),
        ("SELECT '{}'::jsonb ? 'a'; SELECT $1; SELECT 2", 3),
    ],
)
def test_statements_are_counted_as_postgresql_does(sql: str, count: int) -> None:
    assert len(texts(sql)) == count


@given(STATEMENTS)
def test_what_is_put_together_comes_apart_again(pieces: list[list[str]]) -> None:
    statements = [as_query(fragments) for fragments in pieces]
    assert texts(";\n".join(statements)) == [f"{s};" for s in statements[:-1]] + statements[-1:]


@settings(max_examples=25, deadline=None)
@example(pieces=[[fragment] for fragment in FRAGMENTS])
@given(pieces=STATEMENTS)
def test_psql_cuts_at_the_same_places(
    pieces: list[list[str]], service: Callable[[str], str]
) -> None:
    sql = ";\n-- between; them\n".join(map(as_query, pieces)) + ";\n"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "statements.sql"
        file.write_text(sql, encoding="utf-8")
        sent = psql(service("postgres"), "-0", "-f", str(file)).stdout
    received = [text[text.index("SELECT") :] for text in sent.rstrip("\0\n").split("\0")]
    assert [text.rstrip(";").strip() for text in received] == [
        text.rstrip(";").strip() for text in texts(sql)
    ]


def psql(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(stack.psql_path()), url, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    return subprocess.run(
        [*command, *arguments], capture_output=True, check=True, encoding="utf-8", timeout=60
    )


@pytest.mark.parametrize("opening", ["'", '"', "$$", "$a$", "/*", "/* /* */"])
def test_what_is_never_closed_is_named_with_its_line(opening: str) -> None:
    with pytest.raises(CourseError, match=r"line 3: what opens with .* is never closed"):
        texts(f"SELECT 1;\n\n{opening} SELECT 2;\n")


def test_comments_become_headings_explanations_and_chapters() -> None:
    first, second, third = sqlfile.split(
        "-- Title of the file\n\n-- ====\n-- Chapter\n-- What it is about.\n-- ====\n\n"
        "-- Who?\n-- Because\n--   of this.\nSELECT 1; -- said behind\n\nSELECT 2;\n"
        "-- far away\n\n-- What?\nSELECT\n3"
    )
    assert (first.chapter, first.introduction.strip()) == ("Chapter", "What it is about.")
    assert (first.heading, first.explanation, first.line) == ("Who?", "Because\n  of this.", 11)
    assert first.text == "SELECT 1; -- said behind"
    assert (second.heading, second.chapter, second.line) == ("", "", 13)
    assert (third.heading, third.explanation, third.text) == ("What?", "", "SELECT\n3")
    assert [len(step) for step in sqlfile.steps_of([first, second, third])] == [2, 1]


@pytest.fixture
def run_sql(tmp_path: Path, service: Callable[[str], str]) -> Callable:
    """Runs SQL text as a lesson of one's own, in a process."""
    service("postgres")

    def run(sql: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "mine.sql"
        file.write_text(sql, encoding="utf-8")
        return run_python("-m", "course.sqlfile", file, *flags, cwd=tmp_path, **environment)

    return run


def test_a_file_of_ones_own_runs_without_any_comment(run_sql: Callable) -> None:
    result = run_sql(
        "\ufeffSELECT 6 * 7 AS answer, NULL AS nothing, true AS yes, '{\"a\": 1}'::json"
    )
    assert result.returncode == 0, result.stderr
    assert "answer" in result.stdout and "42" in result.stdout
    assert "NULL" in result.stdout and "true" in result.stdout and '{"a": 1}' in result.stdout


def test_long_results_are_cut_and_counted(run_sql: Callable) -> None:
    output = run_sql("SELECT 'row ' || i AS r FROM generate_series(1, 1012) AS i").stdout
    assert "row 12\n" in output and "row 13" not in output
    assert "… 1,000 more rows" in output


def test_plans_notices_and_row_counts_are_shown(run_sql: Callable) -> None:
    output = run_sql(
        "EXPLAIN SELECT 1; DO $$ BEGIN RAISE NOTICE 'look here'; END $$;"
        "CREATE TEMP TABLE t AS SELECT 1 AS a; UPDATE t SET a = 2;"
    ).stdout
    assert "\n| Result" in output and "NOTICE:  look here" in output and "UPDATE 1" in output


def test_claims_are_ticked_and_a_false_one_fails(run_sql: Callable) -> None:
    claims = "SELECT * FROM (VALUES ('one', true, 7), ('two', {})) AS c (claim, holds, evidence)"
    good = run_sql(claims.format("true, NULL"))
    assert good.returncode == 0 and "✓ one  (7)\n✓ two\n" in good.stdout
    for wrong in ("false", "NULL"):
        bad = run_sql(claims.format(f"{wrong}, 8"))
        assert bad.returncode == 1 and "✗ two  (8)" in bad.stdout


def test_an_error_names_the_line_of_the_file(run_sql: Callable) -> None:
    result = run_sql("SELECT 1;\n\n-- Broken\nSELECT name,\n       wrong_column\nFROM customers;\n")
    assert result.returncode == 1
    assert 'line 5: column "wrong_column" does not exist' in result.stderr
    assert "in: wrong_column" in result.stderr and "Traceback" not in result.stderr
    assert "never run" not in run_sql("SELECT 1/0;\n-- never run\nSELECT 1;").stdout


def test_begin_and_rollback_mean_what_they_say(run_sql: Callable) -> None:
    output = run_sql(
        "CREATE TEMP TABLE t (a int); BEGIN; INSERT INTO t VALUES (1); ROLLBACK;"
        "SELECT 'rolled back' AS claim, count(*) = 0 AS holds FROM t"
    ).stdout
    assert "✓ rolled back" in output


def test_earlier_steps_run_silently(run_sql: Callable) -> None:
    result = run_sql("-- One\nCREATE TEMP TABLE t();\n-- Two\nSELECT 2 FROM t;", "--from", "2")
    assert result.returncode == 0, result.stderr
    assert "CREATE TABLE" not in result.stdout and "2  Two" in result.stdout


@pytest.mark.parametrize("arguments", [[], ["missing.sql"], ["--help"]])
def test_without_a_file_it_says_how_to_use_it(arguments: list[str]) -> None:
    result = run_python("-m", "course.sqlfile", *arguments)
    assert result.returncode == 2 and "course.sqlfile FILE" in result.stderr


def test_an_unknown_option_is_refused(run_sql: Callable) -> None:
    assert run_sql("SELECT 1", "--fats").returncode == 2


def test_a_server_that_is_not_there_is_one_plain_sentence(run_sql: Callable) -> None:
    result = run_sql("SELECT 1", DATABASE_URL="postgresql://a:b@127.0.0.1:9/nothing")
    assert result.returncode == 69
    assert "127.0.0.1:9" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_stops_a_query_that_runs(tmp_path: Path, service: Callable[[str], str]) -> None:
    service("postgres")
    file = tmp_path / "slow.sql"
    file.write_text("SELECT 1;\nSELECT pg_sleep(60);", encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "course.sqlfile", file],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    ) as process:  # fmt: skip
        assert process.stdout
        while "pg_sleep" not in (line := process.stdout.readline()) and line:
            pass
        wait_until_it_runs("SELECT pg_sleep(60)")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors


@pytest.fixture
def connection(service: Callable[[str], str]) -> Iterator[psycopg2.extensions.connection]:
    service("postgres")
    with closing(sqlfile.open_connection()) as opened:
        yield opened


@pytest.mark.parametrize("holds_lock", [True, False])
def test_after_a_failure_only_the_run_that_holds_the_lock_tidies_up(
    connection: psycopg2.extensions.connection, holds_lock: bool
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS sqlfile_test CASCADE; CREATE SCHEMA sqlfile_test")
        if holds_lock:
            cursor.execute("SELECT pg_advisory_lock(hashtext('sqlfile_test'))")
        cursor.execute("BEGIN")
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELECT 1/0")
        sqlfile._remove_schema(connection, "sqlfile_test")
        cursor.execute("SELECT to_regnamespace('sqlfile_test') IS NULL")
        assert cursor.fetchone() == (holds_lock,)
        cursor.execute("DROP SCHEMA IF EXISTS sqlfile_test")
