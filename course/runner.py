"""Running lessons as processes: a live line each, and a table at the end."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course import manifest, settings
from course.console import CROSS, SKIPPED, TICK, Console
from course.errors import FAILED, INTERRUPTED, OK, UNAVAILABLE, UsageError
from course.manifest import Entry

PASSED, BROKEN, LEFT_OUT = "passed", "failed", "skipped"
SIGNS = {PASSED: TICK, BROKEN: CROSS, LEFT_OUT: SKIPPED}
STYLES = {PASSED: "green", BROKEN: "bold red", LEFT_OUT: "yellow"}
LINES_OF_A_FAILURE = 30
PLAYERS = {".sql": "course.sqlfile", ".ipynb": "course.notebook"}


@dataclass(frozen=True)
class Outcome:
    """What came of one run of a lesson; `reason` is empty when it passed."""

    entry: Entry
    result: str
    seconds: float
    claims: int
    reason: str
    output: str


def command_for(entry: Entry) -> list[str]:
    """The command that runs a lesson: scripts as they are, other files through their player."""
    through = ["-m", PLAYERS[entry.file.suffix]] if entry.file.suffix in PLAYERS else []
    return [sys.executable, *through, str(entry.file)]


def run_lesson(entry: Entry, arguments: Sequence[str], console: Console | None = None) -> Outcome:
    """Run a lesson as a process of its own, within its time limit, and say how it went."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report, output = Path(folder) / "report.json", Path(folder) / "output.txt"
        environment = {
            **os.environ,
            "COURSE_REPORT": str(report),
            "PYTHONIOENCODING": "utf-8",
        }
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*command_for(entry), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            code = wait(process, entry, start, console)
        said = output.read_text(encoding="utf-8", errors="replace")
        told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    result, reason = judge(code, told, entry)
    seconds = time.perf_counter() - start
    return Outcome(entry, result, seconds, told.get("claims", 0), reason, said)


def wait(
    process: subprocess.Popen[bytes], entry: Entry, start: float, console: Console | None
) -> int | None:
    """Wait for the process and return its exit code, or None when it took too long."""
    try:
        while (seconds := time.perf_counter() - start) < entry.limit:
            if console:
                console.status(f"  {entry.id}  {entry.title}  {seconds:.0f} s")
            try:
                return process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
        return None
    finally:
        if process.poll() is None:
            end_tree(process)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    import psutil

    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


def judge(code: int | None, told: dict, entry: Entry) -> tuple[str, str]:
    """The result of a run and, unless it passed, the reason in one line."""
    if code == OK:
        return PASSED, ""
    if code == UNAVAILABLE:
        return LEFT_OUT, told.get("reason", "a service is missing")
    if code is None:
        return BROKEN, f"took longer than {entry.limit} s and was ended"
    if told.get("false"):
        return BROKEN, "false: " + "; ".join(told["false"])
    return BROKEN, told.get("reason") or f"exit code {code}"


def choose(names: Sequence[str], everything: bool) -> tuple[list[Entry], list[Entry]]:
    """The lessons to run and those left out because they are heavy.

    UsageError when a name fits none or several.
    """
    if not names:
        chosen = [e for e in manifest.load() if everything or not e.heavy]
        return chosen, [e for e in manifest.load() if e not in chosen]
    return [only_match(name) for name in names], []


def only_match(name: str) -> Entry:
    """The one lesson that `name` means."""
    found = manifest.matching(name)
    if not found:
        raise UsageError(f"No lesson is called {name!r}. See them with: python3 learn.py list")
    if len(found) > 1:
        lines = "\n".join(f"  {entry.id:<14} {entry.title}" for entry in found)
        raise UsageError(f"{name!r} fits {len(found)} lessons; name one of them:\n{lines}")
    return found[0]


def main(console: Console, arguments: list[str]) -> int:
    """`learn.py run`: names first, then options; options that are not its own go to the lessons."""
    parser = argparse.ArgumentParser(
        prog="learn.py run",
        description="Run the lessons named (id, path, part of a name), or all that are not heavy.",
        epilog="Other options, such as --step, --from N, --fast or --rows N, go to the lessons.",
        usage="learn.py run [LESSON ...] [--all] [--strict] [options of the lessons]",
    )
    parser.add_argument("--all", action="store_true", help="take the heavy lessons in")
    parser.add_argument("--strict", action="store_true", help="a skipped lesson is a failure")
    split = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names = arguments[:split]
    options, for_lessons = parser.parse_known_args(arguments[split:])
    chosen, heavy = choose(names, options.all)
    if len(chosen) == 1 and names:
        code = subprocess.call([*command_for(chosen[0]), *for_lessons])
        return FAILED if options.strict and code == UNAVAILABLE else code
    if heavy:
        names_left = ", ".join(entry.id for entry in heavy)
        console.say(f"Left out because they are heavy: {names_left} (--all takes them in)")
    return run_all(console, chosen, for_lessons, options.strict)


def run_all(
    console: Console, entries: Sequence[Entry], arguments: Sequence[str], strict: bool
) -> int:
    """Run the lessons in turn, go on after a failure, and close with the table."""
    start = time.perf_counter()
    outcomes: list[Outcome] = []
    code = OK
    try:
        for entry in entries:
            outcome = run_lesson(entry, arguments, console)
            outcomes.append(outcome)
            show(console, outcome)
    except KeyboardInterrupt:
        code = INTERRUPTED
    summarize(console, outcomes, time.perf_counter() - start)
    results = {outcome.result for outcome in outcomes}
    if BROKEN in results or (strict and LEFT_OUT in results):
        code = code or FAILED
    return code


def show(console: Console, outcome: Outcome) -> None:
    """The lesson's line, and the end of its output when it failed."""
    console.status("")
    entry = outcome.entry
    text = f"{SIGNS[outcome.result]} {entry.id:<12} {entry.title}"
    console.say(f"{text}  {outcome.seconds:.1f} s", STYLES[outcome.result])
    if outcome.reason:
        console.say(f"    {outcome.reason}")
    if outcome.result == BROKEN:
        for line in outcome.output.splitlines()[-LINES_OF_A_FAILURE:]:
            console.say(f"    | {line}")


def summarize(console: Console, outcomes: Sequence[Outcome], seconds: float) -> None:
    """The table at the end and a line that adds it up."""
    console.table(
        [
            {
                "lesson": outcome.entry.id,
                "result": outcome.result,
                "seconds": f"{outcome.seconds:.1f}",
                "claims": outcome.claims,
                **({"reason": outcome.reason} if any(o.reason for o in outcomes) else {}),
            }
            for outcome in outcomes
        ]
    )
    counts = [f"{sum(o.result == result for o in outcomes)} {result}" for result in SIGNS]
    claims = sum(outcome.claims for outcome in outcomes)
    console.say(f"{', '.join(counts)}; {claims} claims checked; {seconds:.0f} s", "bold")
    if any(outcome.result == LEFT_OUT for outcome in outcomes):
        console.say("What is missing, and how to get it: python3 learn.py doctor")
    if any(settings.given_url(service) for service in settings.SERVICES):
        given = [settings.URL_NAMES[s] for s in settings.SERVICES if settings.given_url(s)]
        console.say(f"Addresses given by you: {', '.join(given)}")
