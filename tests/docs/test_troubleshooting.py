"""What goes wrong most is listed with the message that comes; cheap ones are provoked.

The dear ones (a full disk, a read-only one, damaged data) were provoked by hand: a test that mounts
disks needs rights that nobody should have.
"""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import psycopg2
import pytest

from course import connect, settings
from course.console import make_console
from course.errors import CourseError, UsageError
from course.lesson import Lesson, make_parser
from course.settings import ROOT
from course.workspace import own_turn
from tests.docs.pages import Page
from tests.stack.private import PrivateStack
from tests.support import run_python

PAGE = Page("TROUBLESHOOTING.md")
START = re.compile(r"^\*\*(.+?)\*\*", re.MULTILINE)
MESSAGE = re.compile(r"\"(.+?)\"(?=$|,|\.|:| \(| and )")
PLACEHOLDER = re.compile(r"\{[^}]*\}")

# What the course says: the file that prints it, and how it stands there.
OURS = {
    "The course runs on Python 3.11, 3.12 and 3.13": ("learn.py", ""),
    "Python could not make a virtual environment": ("learn.py", ""),
    "The packages could not be installed": ("learn.py", ""),
    "Setting up .venv from requirements.txt": (
        "learn.py",
        "Setting up {self.path.name} from {requirements}",
    ),
    "There is no verb 'rum'": ("course/cli.py", "There is no verb {verb!r}"),
    "No lesson is called 'async/99'": ("course/runner.py", "No lesson is called {name!r}"),
    "'notebooks' fits 2 lessons; name one of them": (
        "course/runner.py",
        "{name!r} fits {len(found)} lessons; name one of them",
    ),
    "output/etl_01_run.png can't be written: Read-only file system": (
        "course/settings.py",
        "{folder} can't be written: {error.strerror}",
    ),
    "another PostgreSQL answers on 5432 and refuses the course's user": (
        "course/stack/search.py",
        "another {title} answers on {number} and refuses the course's user",
    ),
    "something that is not PostgreSQL answers on 5432": (
        "course/stack/search.py",
        "something that is not {title} answers on {number}",
    ),
    "Redis does not answer at the address that was given": (
        "course/stack/given.py",
        "{TITLES[service]} does not answer at the address that was given",
    ),
    "POSTGRES_PORT is 'abc', which is no port number": (
        "course/settings.py",
        "{name} is {value(name)!r}, which is no port number",
    ),
    "This database already has something called customers in its schema public": (
        "course/shop/load.py",
        "This database already has something called {', '.join(present)} in its schema public",
    ),
    "PostgreSQL has no connection left": ("course/connect.py", ""),
    "RabbitMQ is not installed on this machine": ("course/stack/install.py", ""),
    "the embedded MongoDB of this course (mongomock) does not support transactions": (
        "course/stack/mongo_server/errors.py",
        "the embedded MongoDB of this course (mongomock) does not support {what}",
    ),
    "its data were made with another user or password": ("course/stack/server.py", ""),
    "PostgreSQL did not start": (
        "course/stack/embedded.py",
        "{TITLES[service]} did not start",
    ),
    "False claims: 1 of 37": (
        "course/lesson.py",
        "False claims: {len(false)} of {len(lesson.claims)}",
    ),
    "expected error, TimeoutError": (
        "course/lesson.py",
        "expected error, {type(error).__name__}",
    ),
    "Another run of this lesson is under way: waiting for it to end.": (
        "course/workspace.py",
        "",
    ),
    "Stopped by Ctrl-C.": ("course/cli.py", ""),
    "--from 99: the steps of this lesson end at 14.": (
        "course/lesson.py",
        "--from {wanted}: the steps of this lesson end at {lesson.steps}.",
    ),
    "(--step needs a terminal: running without pauses)": ("course/lesson.py", ""),
    "README.md is no notebook": ("course/notebook.py", "{path.name} is no notebook"),
    "Not done yet: my_exercises/async/ticket_race.py is as it came.": (
        "course/exercises/report.py",
        "Not done yet: {place} {why}.",
    ),
    "Your copy my_exercises/async/ticket_race.py can't be written": (
        "course/exercises/desk.py",
        "Your copy {shown(file)} can't be written",
    ),
    "Stopped: it was still running after the time that a check has.": (
        "course/exercises/report.py",
        "",
    ),
    "your file has no BoxOffice": ("course/exercises/judge.py", "your file has no {name}"),
    "No exercise is called 'ticket_rase'.": (
        "course/exercises/catalogue.py",
        "No exercise is called {words!r}.",
    ),
    "my_exercises/progress.json can't be read": (
        "course/exercises/desk.py",
        "{shown(file)} can't be read",
    ),
    "There is no plan 'nope'.": ("course/demo.py", "There is no plan {name!r}."),
    "The environments can't be made: the lines above say why.": (
        "advanced_examples/flight_delays/01_flight_delays.py",
        "",
    ),
}
# What other programs say, and which.
OTHERS = {
    "can't open file 'learn.py': [Errno 2] No such file or directory": "Python, of a script",
    "No module named 'course'": "Python, of an import",
    "No matching distribution found for": "pip",
    "No space left on device": "the system: pip, uv and PostgreSQL pass it on",
    "error: externally-managed-environment": "pip of Debian 12 and newer, PEP 668",
    "running scripts is disabled": "PowerShell, of Activate.ps1",
    "port 5432 failed: Connection refused": "psql and libpq",
    "PRECONDITION_FAILED - inequivalent arg": "RabbitMQ, of queue_declare, code 406",
    "Cannot connect to the Docker daemon": "docker",
    "port is already allocated": "docker, of docker compose up",
}


def messages() -> list[str]:
    """What is quoted in the bold starts of entries."""
    return [said for start in START.findall(PAGE.prose) for said in MESSAGE.findall(start)]


@cache
def source(file: str) -> str:
    """A file in which a text stands in one piece that is written in several."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return re.sub(r"\"\s*\n\s*f?\"", "", text)


def test_the_25_most_likely_things_and_more_are_there() -> None:
    assert len(START.findall(PAGE.prose)) >= 25
    assert len(messages()) >= 25
    assert set(messages()) == set(OURS) | set(OTHERS)
    assert len(set(messages())) == len(messages())


@pytest.mark.parametrize("message", OURS)
def test_a_message_stands_in_the_code_that_prints_it(message: str) -> None:
    file, template = OURS[message]
    template = template or message
    assert template in source(file)
    pieces = [re.escape(piece) for piece in PLACEHOLDER.split(template)]
    assert re.fullmatch(".+".join(pieces), message)


# Provoked ---------------------------------------------------------------------------------------

COURSE = ("-P", "-m", "course")
PROVOKED = [
    ("There is no verb 'rum'", 2, (*COURSE, "rum"), {}),
    ("No lesson is called 'async/99'", 2, (*COURSE, "run", "async/99"), {}),
    ("'notebooks' fits 2 lessons; name one of them", 2, (*COURSE, "run", "notebooks"), {}),
    (
        "POSTGRES_PORT is 'abc', which is no port number",
        2,
        (*COURSE, "url", "postgres"),
        {"POSTGRES_PORT": "abc", "DATABASE_URL": ""},
    ),
    (
        "POSTGRES_PORT is 'abc', which is no port number",
        2,
        (*COURSE, "up", "postgres"),
        {"POSTGRES_PORT": "abc", "DATABASE_URL": ""},
    ),
    (
        "Redis does not answer at the address that was given",
        69,
        (*COURSE, "url", "redis"),
        {"REDIS_URL": "redis://127.0.0.1:9/0"},
    ),
    ("No exercise is called 'ticket_rase'.", 2, (*COURSE, "check", "ticket_rase"), {}),
    ("There is no plan 'nope'.", 2, (*COURSE, "demo", "nope"), {}),
    ("README.md is no notebook", 1, ("-m", "course.notebook", "README.md"), {}),
    ("can't open file", 2, ("no_such_folder/learn.py",), {}),
    (
        "No module named 'course'",
        1,
        ("-S", "-I", "async_examples/01_async_basics.py"),
        {},
    ),
]


@pytest.mark.parametrize(("message", "code", "command", "environment"), PROVOKED)
def test_it_is_what_a_person_sees(
    message: str, code: int, command: tuple[str, ...], environment: dict[str, str]
) -> None:
    ended = run_python(*command, **environment)
    assert (ended.returncode, message in ended.stderr + ended.stdout) == (code, True), ended
    if not command[0].startswith("-S"):
        assert "Traceback" not in ended.stderr


def test_a_wrong_python_is_refused() -> None:
    program = (
        "import os, runpy, sys; sys.version_info = (3, 9, 1); sys.argv = ['learn.py', 'list'];"
        "runpy.run_path('learn.py', run_name='__main__')"
    )
    ended = run_python("-c", program, PATH="")
    assert ended.returncode == 1
    assert ended.stderr.startswith("The course runs on Python 3.11, 3.12 and 3.13; this is 3.9.")


def test_a_lesson_that_is_asked_for_too_much_says_so() -> None:
    ended = run_python("async_examples/01_async_basics.py", "--fast", "--step", "--from", "99")
    assert ended.returncode == 2
    assert "--from 99: the steps of this lesson end at 14." in ended.stdout
    assert "(--step needs a terminal: running without pauses)" in ended.stdout


def test_exercises_explain_themselves(tmp_path: Path) -> None:
    desk = {"COURSE_EXERCISES_DIR": str(tmp_path)}
    mine = tmp_path / "async" / "ticket_race.py"
    first = run_python(*COURSE, "check", "ticket_race", **desk).stdout
    assert "Not done yet: " in first and "is as it came." in first
    mine.write_text("x = 1\n", encoding="utf-8")
    assert (
        "your file has no BoxOffice" in run_python(*COURSE, "check", "ticket_race", **desk).stdout
    )
    mine.write_text("while True: pass\n", encoding="utf-8")
    stopped = run_python(*COURSE, "check", "ticket_race", "--limit", "1", **desk).stdout
    assert "Stopped: it was still running after the time that a check has." in stopped
    (tmp_path / "progress.json").write_text("{", encoding="utf-8")
    damaged = run_python(*COURSE, "progress", **desk)
    assert damaged.returncode == 1 and "progress.json can't be read" in damaged.stderr


@pytest.mark.parametrize("verb", ["check", "hint"])
def test_a_desk_that_cannot_be_written_is_said_plainly(verb: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run_python(
        *COURSE, verb, "ticket_race", COURSE_EXERCISES_DIR=str(tmp_path / "file" / "desk")
    )
    assert ended.returncode == 1
    assert "can't be written: " in ended.stderr
    assert "Set COURSE_EXERCISES_DIR to a folder that is yours." in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_chart_that_cannot_be_written_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib.figure

    (tmp_path / "output").touch()
    monkeypatch.setattr(settings, "OUTPUT_DIR", tmp_path / "output")
    lesson = Lesson(make_console(), make_parser("", "").parse_args([]), "etl_01")
    with pytest.raises(CourseError, match=r"etl_01_run\.png can't be written: .+ Make room"):
        lesson.chart(matplotlib.figure.Figure(), "run")


def test_a_turn_that_cannot_be_noted_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("course.workspace.STACK_DIR", tmp_path / "file" / "stack")
    with (
        pytest.raises(CourseError, match=r"can't be written: .+ Set COURSE_STACK_DIR"),
        own_turn("test_troubleshooting"),
    ):
        raise AssertionError("nobody has the turn")


def test_a_port_that_is_none_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PORT", "63_79x")
    with pytest.raises(UsageError, match=r"Set REDIS_PORT=6379"):
        connect.stack.status(["redis"])


def test_a_server_without_a_free_connection_is_explained() -> None:
    private = PrivateStack()
    held = []
    try:
        url = private.find("postgres")["postgres"]["url"]
        with pytest.raises(psycopg2.OperationalError, match="too many clients"):
            while True:
                held.append(psycopg2.connect(url))
        ended = run_python("python_db/05_db_connection.py", **private.settings)
    finally:
        for connection in held:
            connection.close()
        private.close()
    assert ended.returncode == 1
    assert ended.stderr.startswith("PostgreSQL has no connection left (sorry, too many clients")


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no broken pipe")
def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        command = [sys.executable, *COURSE, "list"]
        ended = subprocess.run(
            command, cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_console_without_signs_gets_plain_ones() -> None:
    ended = run_python(*COURSE, "progress", "--all", PYTHONIOENCODING="cp1252")
    assert ended.returncode == 0
    assert "\ufffd" not in ended.stdout
    assert ended.stdout.isascii()
