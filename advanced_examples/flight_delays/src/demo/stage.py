"""The stage: what the audience reads, and where the speaker pauses.

A pause stands in the recording as a line of its own, so that the recorded demo pauses where the
live one does.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from src.paths import PROJECT

WIDTH = 80
PAUSE = "[Enter]"
RECORDING = PROJECT / "defence" / "demo.txt"


class Stage:
    """Says lines aloud and keeps them; pauses only where somebody can press a key."""

    def __init__(self, pauses: bool) -> None:
        self.pauses = pauses
        self.lines: list[str] = []

    def say(self, text: str = "") -> None:
        """One or more lines, as they are."""
        print(text, flush=True)
        self.lines += text.split("\n")

    def tell(self, text: str, indent: str = "") -> None:
        """A sentence or more, wrapped to the width."""
        self.say(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent))

    def heading(self, number: int, text: str) -> None:
        """The name of a scene."""
        title = f"{number}  {text}"
        self.say(f"\n{title}\n{'-' * len(title)}")

    def request(self, line: str, body: Mapping[str, Any] | None = None) -> None:
        """What will be asked, before it is: time for the speaker to say what to expect."""
        self.say(f"  {line}")
        if body:
            self.tell(json.dumps(body), "    ")
        self.pause()

    def answer(self, rows: Iterable[tuple[str, object]]) -> None:
        """Names and values, one pair a line."""
        pairs = [(name, str(value)) for name, value in rows]
        width = max(len(name) for name, _ in pairs)
        for name, value in pairs:
            start = f"    {name:{width}}  "
            self.say(textwrap.fill(value, WIDTH, initial_indent=start,
                                   subsequent_indent=" " * len(start)))  # fmt: skip

    def pause(self) -> None:
        """Wait for the key, on a terminal."""
        self.lines.append(PAUSE)
        if self.pauses:
            try:
                input(f"  {PAUSE} ")
            except EOFError:
                raise KeyboardInterrupt from None


def somebody_watches() -> bool:
    """Whether there is a terminal on both sides: somebody who reads and presses keys."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def play(recording: str, stage: Stage, first: int = 1) -> None:
    """The recorded demo from scene `first` on: no service, no network, the same pauses."""
    lines = recording.rstrip("\n").split("\n")
    starts = [number for number, line in enumerate(lines) if line.startswith(f"{first}  ")]
    for line in lines[starts[0] if starts else 0 :]:
        if line == PAUSE:
            stage.pause()
        else:
            stage.say(line)
