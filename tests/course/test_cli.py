"""The verbs, tried on a stack of their own as people type them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from course.settings import ROOT, SERVICES
from tests.stack.private import PrivateStack
from tests.support import run_python


@pytest.fixture(scope="module")
def stack() -> Iterator[PrivateStack]:
    private = PrivateStack()
    try:
        yield private
    finally:
        private.close()


def verb(
    stack: PrivateStack, *words: str, cwd: Path = ROOT, **more: str
) -> subprocess.CompletedProcess[str]:
    return run_python("-P", "-m", "course", *words, cwd=cwd, **{**stack.settings, **more})


def run_psql(stack: PrivateStack, query: str) -> str:
    """The answer to a query on the stack, without going through the course's set-up."""
    from course.stack import psql_path

    url = verb(stack, "url", "postgres").stdout.strip()
    command = [psql_path(), url, "-Atc", query]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_two_lessons_at_the_same_instant_on_a_cold_stack_both_pass(stack: PrivateStack) -> None:
    commands = (["-m", "course", "run", "sql/04"], ["-m", "course", "run", "db/05", "--fast"])
    both = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **stack.settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        for command in commands
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said


@pytest.mark.faults
def test_killed_servers_heal_with_the_next_lesson(stack: PrivateStack) -> None:
    stack.find("postgres")
    stack.kill("postgres")
    ended = verb(stack, "run", "sql/04")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "All claims hold" in ended.stdout


def test_up_names_what_is_up_and_status_repeats_it(stack: PrivateStack) -> None:
    ended = verb(stack, "up", "postgres", "redis")
    assert ended.returncode == 0, ended.stderr
    assert "2 of 2 up" in ended.stdout
    status = verb(stack, "status").stdout
    assert len(status.splitlines()) == len(SERVICES)
    for line in ended.stdout.splitlines()[:2]:
        assert line in status


def test_url_prints_only_the_url(stack: PrivateStack, tmp_path: Path) -> None:
    ended = verb(stack, "url", "postgres", cwd=tmp_path)
    port = stack.state("postgres")["port"]
    assert ended.stdout == f"postgresql://admin:admin123@127.0.0.1:{port}/learning_db\n"


def test_psql_runs_a_file_from_where_it_stands(stack: PrivateStack, tmp_path: Path) -> None:
    (tmp_path / "count.sql").write_text("SELECT count(*) AS customers FROM customers;")
    ended = verb(stack, "psql", "-f", "count.sql", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "2000" in ended.stdout


def test_reset_restores_the_shop(stack: PrivateStack) -> None:
    assert verb(stack, "psql", "-c", "DELETE FROM web_events").returncode == 0
    assert verb(stack, "psql", "-c", "CREATE TABLE mine (n int)").returncode == 0
    ended = verb(stack, "reset")
    assert ended.returncode == 0, ended.stderr
    count = "SELECT count(*) > 90000, to_regclass('mine') FROM web_events"
    assert "t|mine" in verb(stack, "psql", "-At", "-c", count).stdout
    views = "SELECT count(*) > 0 FROM analytics.rfm"
    assert run_psql(stack, views) == "t", "the views on the shop are back as well"


def test_reset_all_empties_the_servers(stack: PrivateStack) -> None:
    verb(stack, "psql", "-c", "CREATE TABLE IF NOT EXISTS mine (n int)")
    ended = verb(stack, "reset", "--all")
    assert ended.returncode == 0, ended.stderr
    assert "Deleted the data of the course's own PostgreSQL." in ended.stdout
    gone = verb(stack, "psql", "-At", "-c", "SELECT to_regclass('mine') IS NULL").stdout
    assert gone == "t\n"


def test_down_stops_and_says_what(stack: PrivateStack) -> None:
    verb(stack, "up", "postgres")
    assert "PostgreSQL" in verb(stack, "down").stdout
    assert verb(stack, "down").stdout == "Nothing of the course was running.\n"
    assert not stack.processes()


def test_a_lesson_whose_given_service_is_dead_exits_69_in_one_sentence(stack: PrivateStack) -> None:
    dead = {"DATABASE_URL": "postgresql://admin:admin123@127.0.0.1:9/learning_db"}
    ended = verb(stack, "run", "sql/04", **dead)
    assert ended.returncode == 69
    assert "Traceback" not in ended.stderr
    assert "DATABASE_URL" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert verb(stack, "run", "sql/04", "--strict", **dead).returncode == 1


def test_a_strict_run_skips_what_misses_a_service_says_why_and_fails(stack: PrivateStack) -> None:
    # A lesson of each kind: that each one ends so, its own tests ask.
    missing = ("sql/04", "db/05", "notebooks/07")
    dead = {
        "DATABASE_URL": "postgresql://admin:admin123@127.0.0.1:9/learning_db",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "MONGO_URL": "mongodb://127.0.0.1:9/learning_db",
        "RABBITMQ_URL": "amqp://127.0.0.1:9/",
    }
    ended = verb(stack, "run", "async/01", *missing, "--fast", "--strict", **dead)
    assert ended.returncode == 1, ended.stdout
    assert "✓ async/01" in ended.stdout
    assert [name for name in missing if f"○ {name}" not in ended.stdout] == []
    assert "DATABASE_URL" in ended.stdout
    assert "learn.py doctor" in ended.stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["dance"], 2, "There is no verb 'dance'"),
        (["up", "oracle"], 2, "There is no service 'oracle'. The services: postgres, redis"),
        (["url", "oracle"], 2, "There is no service 'oracle'"),
        (["url"], 2, "required: service"),
        (["run", "nonsense"], 2, "No lesson is called 'nonsense'"),
        (["run", "async"], 2, "async/01"),
        (["test", "--without", "nonsense"], 2, "There is no folder tests/nonsense"),
        (["down", "extra"], 2, "unrecognized arguments: extra"),
    ],
)
def test_wrong_words_exit_2_and_say_what_fits(
    stack: PrivateStack, words: list[str], code: int, says: str
) -> None:
    ended = verb(stack, *words)
    assert ended.returncode == code
    assert says in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_list_shows_every_lesson_within_80_columns(stack: PrivateStack) -> None:
    said = verb(stack, "list").stdout
    assert max(map(len, said.splitlines())) <= 80
    for name in ("async/01", "async/02", "sql/04", "db/05"):
        assert name in said


def test_the_test_verb_passes_options_on(stack: PrivateStack, tmp_path: Path) -> None:
    ended = verb(
        stack, "test", "tests/test_requirements.py", "-q", "--junitxml", "result.xml", cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stdout
    assert (tmp_path / "result.xml").exists()


@pytest.mark.alone
def test_bench_writes_the_promised_json(stack: PrivateStack, tmp_path: Path) -> None:
    ended = verb(stack, "bench", "--json", "bench.json", "-k", "import_of_the_kit", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    (row,) = json.loads((tmp_path / "bench.json").read_text())
    assert set(row) == {"name", "ratio", "target", "better", "ok"}


def test_strict_makes_a_skipped_test_a_failure(tmp_path: Path) -> None:
    sample = tmp_path / "sample_that_skips.py"
    sample.write_text("import pytest\n\n\ndef test_it():\n    pytest.skip('no tool')\n")
    command = ["-m", "course", "test", sample, "-q", "-p", "tests.conftest"]
    lenient = run_python(*command)
    strict = run_python(*command, "--strict")
    assert lenient.returncode == 0, lenient.stdout
    assert strict.returncode == 1
    assert "skipped, which --strict does not allow" in strict.stdout
