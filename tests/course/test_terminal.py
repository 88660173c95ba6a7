"""The kit on a real terminal: pauses, colour and live progress, tried in a pseudo-terminal."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import wait_until_it_runs
from tests.terminal import Terminal

LESSON = '''"""On a terminal."""
from course.lesson import run


def first():
    """The first thing."""
    print("one")


def main(lesson):
    lesson.step(first)
    lesson.step(first)
    lesson.check("fine", True, "evidence " * 12)
    lesson.table([{"n": 1, "word": "a long word " * 20}])
    for _ in lesson.progress(range(3), label="three"):
        pass


if __name__ == "__main__":
    run(main)
'''


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    file = tmp_path / "terminal.py"
    file.write_text(LESSON)
    return file


def test_step_waits_for_enter_at_each_step(lesson: Path) -> None:
    terminal = Terminal(lesson, "--step")
    terminal.read_until("[Enter]")
    time.sleep(0.3)
    assert "one" not in terminal.said
    terminal.type("\n")
    terminal.read_until(lambda said: said.count("[Enter]") == 2)
    assert terminal.said.count("took") == 1, "it must wait again"
    terminal.type("\n")
    terminal.read_until("All claims hold")
    assert terminal.end() == 0


@pytest.mark.parametrize(
    ("key", "said"), [("\x03", "Stopped by Ctrl-C."), ("\x04", "Ended before step 1.")]
)
def test_ctrl_c_and_ctrl_d_at_a_pause_end_the_lesson(lesson: Path, key: str, said: str) -> None:
    terminal = Terminal(lesson, "--step")
    terminal.read_until("[Enter]")
    terminal.type(key)
    terminal.read_until(said)
    assert "Traceback" not in terminal.said
    assert terminal.end() == 130


def test_colour_on_a_terminal_unless_unwanted(lesson: Path) -> None:
    coloured = Terminal(lesson)
    assert "\x1b[" in coloured.read_until("All claims hold")
    coloured.end()
    plain = Terminal(lesson, "--no-color")
    assert "\x1b[" not in plain.read_until("All claims hold")
    plain.end()


def test_nothing_is_wider_than_80_columns(lesson: Path) -> None:
    terminal = Terminal(lesson, "--no-color")
    said = terminal.read_until("All claims hold")
    assert max(map(len, said.splitlines())) <= 80
    terminal.end()


def test_ctrl_c_in_psql_cancels_the_query_and_not_psql(service: Callable[[str], str]) -> None:
    service("postgres")
    terminal = Terminal("-m", "course", "psql", "-P", "pager=off")
    terminal.read_until("=# ")
    terminal.type("SELECT pg_sleep(61);\n")
    wait_until_it_runs("SELECT pg_sleep(61)")
    terminal.type("\x03")
    terminal.read_until("canceling statement due to user request")
    terminal.type("SELECT 40 + 2;\n")
    terminal.read_until("42")
    terminal.type("\\q\n")
    assert terminal.end() == 0
