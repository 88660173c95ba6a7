"""The verbs of `learn.py` for exercises: each takes its arguments and returns an exit code."""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from course import connect
from course.console import SKIPPED, TICK, Console
from course.errors import FAILED, OK, ServiceUnavailable, UsageError
from course.exercises import catalogue, desk, report, trial
from course.exercises.catalogue import Exercise
from course.exercises.verdict import PASSED, UNAVAILABLE

POLL = 0.3  # seconds between two looks at a file: works on every disk, also on shared ones
WATCH_UNATTENDED = 60.0  # seconds, when nobody sits at a terminal to press Ctrl-C


def parser_for(verb: str, description: str, name: str = "") -> argparse.ArgumentParser:
    """A parser that calls itself what people type; `name` is how many names it takes."""
    parser = argparse.ArgumentParser(prog=f"learn.py {verb}", description=description)
    if name:
        text = "module/name, a part of it that fits one exercise only, or its file"
        parser.add_argument("name", nargs=name if name != "1" else None, metavar="NAME", help=text)
    return parser


def add_limit(parser: argparse.ArgumentParser) -> None:
    """The option for machines slower than most."""
    parser.add_argument(
        "--limit", type=float, metavar="SECONDS", help="the time that the check has (15)"
    )


def chosen(name: str | None) -> Exercise | None:
    """The exercise called `name`; without one the next undone, None when all are done."""
    return catalogue.find(name) if name else desk.next_undone()


def check(console: Console, arguments: list[str]) -> int:
    """Check one exercise."""
    parser = parser_for("check", "Check your solution of an exercise (the next undone).", "?")
    add_limit(parser)
    options = parser.parse_args(arguments)
    exercise = chosen(options.name)
    if exercise is None:
        return all_done(console)
    state = check_once(console, exercise, options.limit)
    if state == PASSED:
        point_onwards(console)
    else:
        console.say(f"  A hint: python3 learn.py hint {exercise.name}")
    return OK if state == PASSED else FAILED


def check_once(console: Console, exercise: Exercise, limit: float | None) -> str:
    """Check the student's copy, made now if need be; say what came of it, and return the state."""
    file = desk.copy_of(exercise)
    if desk.lay_out(exercise):
        console.say(f"Your copy to work on: {desk.shown(file)}")
    if exercise.services:
        connect.prepare(exercise.services)
    verdict = trial.try_out(exercise, file, limit)
    if verdict.state == UNAVAILABLE:
        raise Gone(verdict.problem[0])
    report.show(console, exercise, file, verdict)
    if verdict.state == PASSED:
        with desk.noted(exercise) as note:
            note.passed = True
    return verdict.state


class Gone(ServiceUnavailable):
    """A service went away while a check ran; the check's process already said it in a sentence."""

    def __init__(self, sentence: str) -> None:
        Exception.__init__(self, sentence)


def point_onwards(console: Console) -> None:
    """After a success: how much is done, and what comes next."""
    done, following = done_ids(), desk.next_undone()
    console.say(f"Passed. {len(done)} of {len(catalogue.load())} exercises are done.", "bold green")
    if following:
        console.say(f"Next: python3 learn.py check {following.id}")


def all_done(console: Console) -> int:
    """What there is to say when nothing is left."""
    console.say(f"All {len(catalogue.load())} exercises are done.", "bold green")
    return OK


def done_ids() -> set[str]:
    """The exercises that have passed."""
    known = {exercise.id for exercise in catalogue.load()}
    return {name for name, note in desk.notes().items() if note.passed} & known


def watch(console: Console, arguments: list[str]) -> int:
    """Check at every save until it passes."""
    parser = parser_for(
        "watch", "Check an exercise (the next undone) now and whenever you save it.", "?"
    )
    add_limit(parser)
    unattended = None if sys.stdout.isatty() else WATCH_UNATTENDED
    parser.add_argument(
        "--seconds", type=float, default=unattended,
        help="stop after so many (never on a terminal, else 60)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    exercise = chosen(options.name)
    if exercise is None:
        return all_done(console)
    file = desk.copy_of(exercise)
    end = time.monotonic() + options.seconds if options.seconds is not None else None
    while True:
        seen = stamp(file)
        if check_once(console, exercise, options.limit) == PASSED:
            point_onwards(console)
            return OK
        seen = seen or stamp(file)
        console.say(f"Watching {desk.shown(file)}: save it to check again, Ctrl-C ends.", "dim")
        if not saved(file, seen, end):
            console.say("It wasn't saved again in the time given.")
            return FAILED
        console.say()


def saved(file: Path, seen: tuple[int, int] | None, end: float | None) -> bool:
    """Wait until `file` is another than was `seen`; False if time ended first."""
    while end is None or time.monotonic() < end:
        now = stamp(file)
        if now not in (None, seen):  # editors take the old file away before the new one is there
            return True
        time.sleep(POLL)
    return False


def stamp(file: Path) -> tuple[int, int] | None:
    """What changes when a file is saved; None while it isn't there."""
    try:
        state = file.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_size


def hint(console: Console, arguments: list[str]) -> int:
    """Give the next hint."""
    parser = parser_for("hint", "Show the next hint of an exercise, one at a time.", "?")
    parser.add_argument("--all", action="store_true", help="all of them")
    options = parser.parse_args(arguments)
    exercise = chosen(options.name)
    if exercise is None:
        return all_done(console)
    steps = exercise.hints()
    with desk.noted(exercise) as note:
        first = 0 if options.all else min(note.hints, len(steps) - 1)
        last = len(steps) if options.all else first + 1
        again = note.hints >= len(steps)
        note.hints = max(note.hints, last)
    for number, step in enumerate(steps[first:last], first + 1):
        console.say(f"Hint {number} of {len(steps)} for {exercise.id}", "bold")
        console.say()
        console.paragraphs(step)
        console.say()
    if again and not options.all:
        console.say("That was the last one; --all shows them all.")
    if last == len(steps):
        console.say(f"Still stuck? python3 learn.py solution {exercise.name} --peek")
    return OK


def reset_exercise(console: Console, arguments: list[str]) -> int:
    """Bring the stub back."""
    parser = parser_for("reset-exercise", "Begin an exercise anew; your version is kept.", "1")
    exercise = catalogue.find(parser.parse_args(arguments).name)
    kept = desk.start_anew(exercise)
    console.say(f"{desk.shown(desk.copy_of(exercise))} is as it came.")
    if kept:
        console.say(f"Your version is kept: {desk.shown(kept)}")
    return OK


def solution(console: Console, arguments: list[str]) -> int:
    """Show a solution to whoever has one."""
    parser = parser_for("solution", "Show a solution, after yours has passed.", "1")
    parser.add_argument("--peek", action="store_true", help="show it before")
    options = parser.parse_args(arguments)
    exercise = catalogue.find(options.name)
    passed = exercise.id in done_ids()
    if not passed and not options.peek:
        raise UsageError(
            f"Yours hasn't passed yet: python3 learn.py check {exercise.name}. A hint costs "
            f"less (python3 learn.py hint {exercise.name}); --peek shows it all the same."
        )
    if not passed:
        console.say(
            "A word of warning: what you read you forget, what you find you keep.", "yellow"
        )
        console.say("Close it when you got the idea, and write it yourself.", "yellow")
        console.say()
    console.say(exercise.solution.read_text(encoding="utf-8").rstrip())
    return OK


def progress(console: Console, arguments: list[str]) -> int:
    """Show what is done and what is next."""
    parser = parser_for("progress", "Show what is done and what is next.")
    parser.add_argument("--all", action="store_true", help="list every exercise")
    options = parser.parse_args(arguments)
    done = done_ids()
    if options.all:
        for exercise in catalogue.load():
            sign = TICK if exercise.id in done else SKIPPED
            console.say(f"{sign} {exercise.id:<29} {exercise.title}")
    else:
        console.table(module_row(list(group), done) for _, group in by_module())
    console.say(f"{len(done)} of {len(catalogue.load())} exercises are done.", "bold")
    following = desk.next_undone()
    if following:
        console.say(f"Next: python3 learn.py check {following.id}")
    return OK


def by_module() -> "groupby[str, Exercise]":
    """The exercises of each module, modules in the order of the lessons."""
    return groupby(catalogue.load(), key=lambda exercise: exercise.module)


def module_row(exercises: list[Exercise], done: set[str]) -> dict[str, object]:
    """One row of the table of progress."""
    passed = sum(exercise.id in done for exercise in exercises)
    left = sum(exercise.minutes for exercise in exercises if exercise.id not in done)
    bar = "█" * passed + "░" * (len(exercises) - passed)
    return {
        "module": exercises[0].module,
        "done": f"{passed} of {len(exercises)}",
        "": bar,
        "minutes left": left,
    }


VERBS: dict[str, Callable[[Console, list[str]], int]] = {
    "check": check, "watch": watch, "hint": hint, "reset-exercise": reset_exercise,
    "solution": solution, "progress": progress,
}  # fmt: skip
