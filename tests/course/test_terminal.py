"""The kit on a real terminal: pauses, colour and live progress, tried in a pseudo-terminal."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import wait_until_it_runs

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")

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


class Terminal:
    """A program on a terminal of 80 columns."""

    def __init__(self, *command: str | Path) -> None:
        self.side, other = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            # The terminal must control the program, so that a typed Ctrl-C becomes a signal.
            preexec_fn=lambda: os.login_tty(other),  # noqa: PLW1509
        )
        os.close(other)
        self.said = ""

    def read_until(self, text: str, patience: float = 20) -> str:
        """Read until `text` has appeared; returns all that was said so far."""
        deadline = time.monotonic() + patience
        while text not in self.said and time.monotonic() < deadline:
            if select.select([self.side], [], [], 0.1)[0]:
                try:
                    self.said += os.read(self.side, 4096).decode(errors="replace")
                except OSError:
                    break
        assert text in self.said, self.said
        return self.said

    def type(self, keys: str) -> None:
        os.write(self.side, keys.encode())

    def end(self) -> int:
        code = self.process.wait(timeout=20)
        os.close(self.side)
        return code


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
    terminal.read_until("one")
    assert terminal.said.count("took") <= 1, "it must wait again"
    terminal.type("\n")
    terminal.read_until("All claims hold")
    assert terminal.end() == 0


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_ctrl_d_at_a_pause_end_the_lesson(lesson: Path, key: str) -> None:
    terminal = Terminal(lesson, "--step")
    terminal.read_until("[Enter]")
    terminal.type(key)
    terminal.read_until("Stopped by Ctrl-C.")
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
