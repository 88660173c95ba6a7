"""A verdict in words: under 20 lines, whatever happened."""

import textwrap
from pathlib import Path

from course.console import CROSS, SKIPPED, TICK, Console
from course.exercises import desk
from course.exercises.catalogue import Exercise
from course.exercises.verdict import FAILED, NOT_DONE, PASSED, STOPPED, Verdict

WIDTH = 76
LINES_OF_A_PROBLEM, LINES_OF_HELP = 6, 3
LINES_OF_ONE = 2  # of a problem's line that is long


def show(console: Console, exercise: Exercise, file: Path, verdict: Verdict) -> None:
    """Say what came of the check."""
    console.say(f"{exercise.id}  {exercise.title}", "bold")
    if verdict.state == PASSED:
        for part in verdict.held:
            console.say(f"  {TICK} {one_line(part)}", "green")
        return
    if verdict.held:
        count = len(verdict.held)
        console.say(
            f"  {TICK} {count} part{'s' * (count > 1)} of it hold{'s' * (count == 1)}", "green"
        )
    if verdict.part:
        sign = SKIPPED if verdict.state == NOT_DONE else CROSS
        console.say(f"  {sign} {one_line(verdict.part)}", "red" if sign == CROSS else "")
    for line in told(exercise, file, verdict):
        console.say(line)


def told(exercise: Exercise, file: Path, verdict: Verdict) -> list[str]:
    """The lines below the headings: what is wrong, where, what was printed, what helps."""
    place = desk.shown(file)
    lines = problem_lines(verdict)
    if verdict.state == STOPPED:
        lines.insert(0, "    Stopped: it was still running after the time that a check has.")
    if verdict.where:
        lines.append(f"    in {place}")
        lines += [f"      {line}"[:WIDTH] for line in verdict.where]
    if verdict.printed:
        first, *others = verdict.printed
        lines += [f"    it printed  | {first}"[:80], *(f"{' ' * 16}| {x}"[:80] for x in others)]
    if verdict.state == STOPPED:
        lines += wrapped("Help", "look for a loop whose end never comes, or an await on something "
                         "that nobody sets.")  # fmt: skip
    elif verdict.help:
        lines += wrapped("Help", verdict.help)
    if verdict.state == NOT_DONE:
        why = "is as it came" if desk.unchanged(exercise, file) else "has something left to do"
        lines += ["", f"  Not done yet: {place} {why}.", "  The task stands at the top of it."]
    return lines


def problem_lines(verdict: Verdict) -> list[str]:
    """What is wrong, each thought cut to a few lines."""
    lines: list[str] = []
    for problem in verdict.problem:
        for text in problem.splitlines() or [""]:
            if verdict.state == FAILED and text.strip() == "^":
                lines.append(f"    {text}")
                continue
            folded = textwrap.wrap(text, WIDTH - 4, subsequent_indent=" " * 10) or [""]
            lines += [f"    {line}" for line in folded[:LINES_OF_ONE]]
            if len(folded) > LINES_OF_ONE:
                lines[-1] += " …"
    return lines[:LINES_OF_A_PROBLEM]


def wrapped(label: str, text: str) -> list[str]:
    """A labelled paragraph, indented."""
    return textwrap.wrap(
        f"{label}: {text}", 80, initial_indent="    ", subsequent_indent="          "
    )[:LINES_OF_HELP]


def one_line(text: str) -> str:
    """The first line of a docstring, without its full stop."""
    return text.partition("\n")[0].rstrip(".")[:WIDTH]
