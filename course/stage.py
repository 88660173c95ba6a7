"""A lesson on stage: what one key does at a pause, and how much time is left."""

import inspect
import os
import select
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from course.console import Console

NEXT, BACK, SOURCE, CHART, QUIT = "\n", "b", "s", "c", "q"
# Others that mean the same: Ctrl-D, Ctrl-C where it is a key, and what a presenter's remote sends:
# PageDown and PageUp, of a terminal and of Windows' console.
ALSO = {
    "\r": NEXT, " ": NEXT, "n": NEXT, "p": BACK, "\x04": QUIT, "\x03": QUIT,
    "\x1b[6~": NEXT, "\x1b[5~": BACK, "\xe0q": NEXT, "\xe0i": BACK,
}  # fmt: skip
ESCAPE, AT_ONCE = b"\x1b", 0.05  # seconds between the characters of one key
PROMPT = "[Enter] runs it  b back  s source  c chart  q quit"
ENDS = "COURSE_DEMO_ENDS"  # when this lesson and the whole demo should end, seconds since 1970


class BackError(BaseException):
    """The instructor wants the step before this one: the lesson begins again, silently, up to it.

    Not an Exception, so that no lesson takes it for a failure of its own.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class QuitError(KeyboardInterrupt):
    """The instructor ends the lesson here."""


def on_stage() -> bool:
    """Whether somebody sits at a terminal who can press a key."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def pause(console: Console, step: int, f: Callable[..., Any], chart: Path | None) -> None:
    """Wait for the key that runs step number `step`, which is `f`; do what other keys ask for.

    Raises:
        BackError: the step before is wanted again.
        QuitError: the lesson is to end.
    """
    while True:
        key = ask(console, "  ".join(filter(None, (PROMPT, time_left()))))
        if key == NEXT:
            return
        if key == QUIT:
            raise QuitError(f"Ended before step {step}.")
        if key == SOURCE:
            show_source(console, f)
        elif key == CHART:
            open_chart(console, chart)
        elif step > 1:
            raise BackError(step - 1)
        else:
            console.say("  This is the first step.")


def ask(console: Console, prompt: str) -> str:
    """Show which keys there are and return the next one that means something."""
    with each_key():
        console.line(f"  {prompt}", "dim")
        while True:
            key = press().lower()
            key = ALSO.get(key, key)
            if key in (NEXT, BACK, SOURCE, CHART, QUIT):
                return key


@contextmanager
def each_key() -> Iterator[None]:
    """The terminal hands over each key as it is pressed; what was typed before doesn't count."""
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
        yield
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSAFLUSH)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def press() -> str:
    """One key; Ctrl-C raises KeyboardInterrupt as ever.

    Arrows and the like send several characters, whose letters must not be taken for keys.
    """
    if sys.platform == "win32":
        import msvcrt

        key = msvcrt.getwch()
        return key + msvcrt.getwch() if key in "\x00\xe0" and msvcrt.kbhit() else key
    terminal = sys.stdin.fileno()
    key = os.read(terminal, 1)
    if key == ESCAPE:
        key += after_escape(terminal)
    return key.decode("ascii", "replace") or QUIT


def after_escape(terminal: int) -> bytes:
    """What follows at once when it was no lone Escape: up to the letter or ~ that ends it."""
    rest = b""
    while select.select([terminal], [], [], AT_ONCE)[0]:
        byte = os.read(terminal, 1)
        rest += byte
        if not byte or (rest not in (b"[", b"O") and b"@" <= byte <= b"~"):
            break
    return rest


def show_source(console: Console, f: Callable[..., Any]) -> None:
    """The code of a step, which is what the class should read."""
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(f))
    except (OSError, TypeError):
        console.say("  This step has no source of its own: what it does is printed.")
        return
    console.source("".join(lines), first)


def open_chart(console: Console, chart: Path | None) -> None:
    """Show the last chart in whatever shows pictures here."""
    if chart is None:
        console.say("  No chart has been drawn yet.")
    elif not webbrowser.open(chart.as_uri()):
        console.say(f"  Nothing here shows pictures. The chart is {chart}")


def time_left(now: Callable[[], float] = time.time) -> str:
    """The time left for this lesson and for the demo; empty when nobody set a limit."""
    ends = os.environ.get(ENDS, "").split()
    return ", ".join(
        f"{clock(float(end) - now())} {of}"
        for end, of in zip(ends, ("here", "in all"), strict=False)
    )


def clock(seconds: float) -> str:
    """Minutes and seconds; negative when the time is over."""
    minutes, rest = divmod(abs(round(seconds)), 60)
    return f"{'-' if seconds < 0 else ''}{minutes}:{rest:02}"
