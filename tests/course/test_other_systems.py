"""What Windows, macOS and other people's machines do differently, as far as Linux can show it.

A console that isn't UTF-8, a folder with a space and letters that aren't ASCII, no home, a course
that can't be written: each runs, or says in a sentence what to do.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from course.console import PLAIN_SPELLING
from course.settings import ROOT
from tests.support import copy_of_the_course

EXERCISE = "async/fetch_together"
LESSON = ["async_examples/01_async_basics.py", "--fast"]
VERBS = [["list"], ["progress", "--all"], ["hint", EXERCISE], ["check", EXERCISE]]
COMMANDS = [*(["-m", "course", *verb] for verb in VERBS), LESSON]
NO_HOME = ("HOME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA")
UTF8 = "utf-8"
each_command = pytest.mark.parametrize(
    "command", COMMANDS, ids=["list", "progress", "hint", "check", "lesson"]
)


class Answer(NamedTuple):
    code: int
    out: str
    errors: str


class Course:
    """A copy of the course at `root`; the student's desk is outside of it."""

    def __init__(self, root: Path, desk: Path) -> None:
        self.root, self.desk = root, desk
        self.through: list[str] = []  # a program that runs ours with fewer rights

    def run(self, *command: str, encoding: str = UTF8, **environment: str) -> Answer:
        """Run this Python there, with the copy's own packages, at a console of this `encoding`."""
        kept = {
            name: text for name, text in os.environ.items()
            if name not in NO_HOME and not name.startswith("XDG_")
        }  # fmt: skip
        done = subprocess.run(
            [*self.through, sys.executable, *command], cwd=self.root, stdin=subprocess.DEVNULL,
            capture_output=True, check=False, timeout=120,
            env={
                **kept, "PYTHONPATH": str(self.root), "PYTHONUTF8": "0",
                "PYTHONIOENCODING": encoding, "COURSE_EXERCISES_DIR": str(self.desk),
                **environment,
            },
        )  # fmt: skip
        answer = Answer(done.returncode, *(x.decode(encoding) for x in (done.stdout, done.stderr)))
        assert "Traceback" not in answer.out + answer.errors
        return answer


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course in a folder whose name needs care; nobody who runs it there has a home."""
    folder = tmp_path_factory.mktemp("a course")
    return Course(copy_of_the_course(folder / "курс"), folder / "мої вправи")


@pytest.fixture(scope="module")
def sealed(fresh: Course, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """The same course where nothing can be written: for root, without the right to do it anyway."""
    root = tmp_path_factory.mktemp("a sealed course") / "курс"
    shutil.copytree(fresh.root, root, ignore=shutil.ignore_patterns("__pycache__"))
    course = Course(root, fresh.desk.with_name("desk of the sealed"))
    everything = [root, *root.rglob("*")]
    modes = {path: path.stat().st_mode for path in everything}
    for path in everything:
        path.chmod(modes[path] & ~0o222)
    if sys.platform == "linux" and os.geteuid() == 0 and shutil.which("setpriv"):
        course.through = ["setpriv", "--bounding-set=-dac_override", "--no-new-privs"]
    attempt = [*course.through, sys.executable, "-c", "open('written', 'w')"]
    try:
        if not subprocess.run(attempt, cwd=root, capture_output=True, check=False).returncode:
            pytest.skip("this user can write everywhere")
        yield course
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def expect(answer: Answer, command: list[str]) -> None:
    """A stub that is checked isn't done yet; all else succeeds, and nothing is complained of."""
    assert answer.code == (1 if "check" in command else 0), answer.errors
    assert answer.errors == ""
    if "check" in command:
        assert "Not done yet" in answer.out
    if command == LESSON:
        assert "All claims hold" in answer.out


@each_command
def test_in_a_path_with_a_space_and_cyrillic_letters_without_a_home(
    fresh: Course, command: list[str]
) -> None:
    expect(fresh.run(*command), command)


@each_command
def test_on_a_console_of_western_windows(fresh: Course, command: list[str]) -> None:
    answer = fresh.run(*command, encoding="cp1252")
    expect(answer, command)
    own = answer.out.replace("?" * len("мої"), "").replace("?" * len("вправи"), "")
    assert "??" not in own, "what has no plain spelling are the folder's letters alone"


def test_what_lessons_print_has_a_plain_spelling() -> None:
    said = {
        sign: file.name
        for file in (ROOT / "tests" / "transcripts").glob("*.txt")
        for sign in file.read_text(encoding=UTF8)
    }
    strange = {sign for sign in said if not sign.encode("cp1252", "ignore")}
    assert {sign: said[sign] for sign in strange - set(PLAIN_SPELLING)} == {}


@each_command
def test_from_a_course_that_can_only_be_read(sealed: Course, command: list[str]) -> None:
    expect(sealed.run(*command), command)


@pytest.mark.parametrize("verb", [["check", EXERCISE], ["hint", EXERCISE]], ids=lambda v: v[0])
def test_with_the_desk_in_it_a_sentence_says_what_to_do(sealed: Course, verb: list[str]) -> None:
    answer = sealed.run("-m", "course", *verb, COURSE_EXERCISES_DIR="")
    assert answer.code == 1
    assert len(answer.errors.splitlines()) == 1
    assert "can't be written: Permission denied. Set COURSE_EXERCISES_DIR" in answer.errors


def test_the_front_door_says_where_the_course_should_be(sealed: Course) -> None:
    answer = sealed.run("learn.py", "list")
    assert answer.code == 1
    assert len(answer.errors.splitlines()) == 1
    assert "put the course into a folder that is yours" in answer.errors
