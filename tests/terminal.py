"""A program on a real terminal, as a person would use it; for the tests."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")


class Terminal:
    """A program on a terminal of 80 columns."""

    def __init__(self, *command: str | Path, cwd: Path | None = None) -> None:
        self.side, other = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env=environment,
            # The terminal must control the program, so that a typed Ctrl-C becomes a signal.
            preexec_fn=lambda: os.login_tty(other),  # noqa: PLW1509
        )
        os.close(other)
        self.said = ""

    def read_until(self, wanted: str | Callable[[str], bool], patience: float = 60) -> str:
        """Read until a text has appeared, or a condition holds; returns all that was said."""
        there = (lambda said: wanted in said) if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + patience
        while not there(self.said) and time.monotonic() < deadline:
            if select.select([self.side], [], [], 0.1)[0]:
                try:
                    self.said += os.read(self.side, 4096).decode(errors="replace")
                except OSError:
                    break
        assert there(self.said), self.said
        return self.said

    def type(self, keys: str) -> None:
        os.write(self.side, keys.encode())

    def end(self) -> int:
        code = self.process.wait(timeout=60)
        os.close(self.side)
        return code
