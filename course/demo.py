"""`learn.py demo PLAN`: the lessons of a plan one after another, on stage, with the time in sight.

A plan is a TOML file: a title, and for each part a lesson, its minutes, and where useful the step
to begin at and what to say before. Plans of ours lie in docs/plans and go by their names.
"""

import argparse
import os
import subprocess
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course import connect, settings, stage
from course.console import Console
from course.errors import FAILED, INTERRUPTED, OK, UsageError
from course.manifest import Entry
from course.runner import command_for, only_match

PLANS = settings.ROOT / "docs" / "plans"
FIELDS = {"lesson", "minutes", "from", "say"}


@dataclass(frozen=True)
class Part:
    """One lesson of a plan: `minutes` of the class's time, from step `begin` on."""

    entry: Entry
    minutes: float
    begin: int
    say: str


@dataclass(frozen=True)
class Plan:
    """What is shown in which order."""

    title: str
    parts: Sequence[Part]

    @property
    def minutes(self) -> float:
        """All of it, in minutes."""
        return sum(part.minutes for part in self.parts)


def main(console: Console, arguments: list[str]) -> int:
    """Show a plan's lessons in turn; without a plan, say which there are."""
    parser = argparse.ArgumentParser(
        prog="learn.py demo",
        description="Show the lessons of a plan one after another, with the time in sight.",
        epilog="Other options, such as --large or --fast, go to the lessons.",
    )
    parser.add_argument("plan", nargs="?", help="a name of docs/plans, or a TOML file")
    parser.add_argument("--start", type=int, default=1, metavar="N", help="begin at part N")
    options, for_lessons = parser.parse_known_args(arguments)
    if options.plan is None:
        return list_plans(console)
    plan = read(find(options.plan))
    if not 1 <= options.start <= len(plan.parts):
        raise UsageError(f"--start {options.start}: the plan has parts 1 to {len(plan.parts)}.")
    show_plan(console, plan)
    connect.prepare(sorted({name for part in plan.parts for name in part.entry.services}))
    return perform(console, plan, options.start, for_lessons)


def list_plans(console: Console) -> int:
    """The plans there are."""
    rows = []
    for file in sorted(PLANS.glob("*.toml")):
        plan = read(file)
        rows.append((file.stem, plan.title, len(plan.parts), f"{plan.minutes:g}"))
    console.table(rows, ("plan", "title", "lessons", "minutes"))
    console.say("Show one with: python3 learn.py demo PLAN")
    return OK


def find(name: str) -> Path:
    """The file that `name` means: one of ours, or a path."""
    for file in (PLANS / f"{name}.toml", Path(name)):
        if file.is_file():
            return file
    known = ", ".join(sorted(file.stem for file in PLANS.glob("*.toml")))
    raise UsageError(f"There is no plan {name!r}. The plans: {known}; or name a TOML file.")


def read(file: Path) -> Plan:
    """The plan in `file`.

    Raises:
        UsageError: it can't be used; the text says why.
    """
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}") from error
    parts = [as_part(file, number, part) for number, part in enumerate(told.get("part", []), 1)]
    if not parts:
        raise UsageError(f'{file} has no parts: write [[part]], lesson = "async/01", minutes = 10.')
    return Plan(str(told.get("title", file.stem)), parts)


def as_part(file: Path, number: int, told: Mapping[str, Any]) -> Part:
    """One part of a plan; UsageError names what is wrong with it."""
    where = f"{file}, part {number}"
    if unknown := set(told) - FIELDS:
        raise UsageError(f"{where}: {', '.join(sorted(unknown))} means nothing here.")
    if not isinstance(told.get("lesson"), str):
        raise UsageError(f'{where}: name a lesson, such as lesson = "async/01".')
    minutes, begin = told.get("minutes", 0), told.get("from", 1)
    if not isinstance(minutes, int | float) or minutes <= 0:
        raise UsageError(f"{where}: minutes must be a number above 0, not {minutes!r}.")
    if not isinstance(begin, int) or begin < 1:
        raise UsageError(f"{where}: from must be the number of a step, not {begin!r}.")
    return Part(only_match(told["lesson"]), minutes, begin, str(told.get("say", "")))


def show_plan(console: Console, plan: Plan) -> None:
    """What will be shown."""
    console.heading(plan.title, "━")
    console.table(
        [
            (number, part.entry.id, part.entry.title, part.begin, f"{part.minutes:g}")
            for number, part in enumerate(plan.parts, 1)
        ],
        ("part", "lesson", "title", "from step", "minutes"),
    )
    console.say(f"{plan.minutes:g} minutes in all.")


def perform(console: Console, plan: Plan, start: int, for_lessons: Sequence[str]) -> int:
    """Run the parts from number `start` on; a part that was quit early leads to the next one.

    Returns OK unless a lesson failed, so that a rehearsal shows it.
    """
    parts = list(enumerate(plan.parts, 1))[start - 1 :]
    ends = time.time() + 60 * sum(part.minutes for _, part in parts)
    failed = []
    for number, part in parts:
        console.say()
        console.line(f"Part {number} of {len(plan.parts)}: {part.entry.title}", "bold")
        console.paragraphs(part.say)
        if not wait(console, part, ends):
            return INTERRUPTED
        here = min(time.time() + 60 * part.minutes, ends)
        options = ["--step", "--from", str(part.begin), *for_lessons]
        environment = {**os.environ, stage.ENDS: f"{here} {ends}"}
        code = call([*command_for(part.entry), *options], environment)
        if code not in (OK, INTERRUPTED):
            failed.append(part.entry.id)
    console.say()
    console.say(f"The end, {stage.clock(ends - time.time())} left.", "bold")
    if failed:
        console.say(f"Not as it should be: {', '.join(failed)}", "bold red")
    return FAILED if failed else OK


def wait(console: Console, part: Part, ends: float) -> bool:
    """Let the instructor speak before a part; False when the demo is to end."""
    if not stage.on_stage():
        return True
    left = stage.clock(ends - time.time())
    prompt = f"[Enter] begins, {part.minutes:g} minutes  q quit  {left} in all"
    return stage.ask(console, prompt) != stage.QUIT


def call(command: list[str], environment: Mapping[str, str]) -> int:
    """Run a lesson on this terminal; Ctrl-C is the lesson's own affair while it runs."""
    with subprocess.Popen(command, env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
