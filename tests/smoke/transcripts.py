"""The part of a lesson's output that every run must repeat.

Times, plans, the figures of measured tables and the stack line differ from run to run; they are
replaced by signs that stay the same.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "transcripts"

NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"
TIME = re.compile(rf"{NUMBER}\s?(?:s|ms|µs|min|seconds?)\b")
RATIO = re.compile(rf"{NUMBER}\s?(?:x\b|times\b|/s\b)")
RATE = re.compile(rf"{NUMBER} [a-z]+/s\b")
MEMORY = re.compile(rf"{NUMBER} (?:kB|KB|MB|KiB|MiB)\b")
DURATION = re.compile(rf"(?<=_seconds: ){NUMBER}")
PID = re.compile(r"\bpid \d+")
PLAN = "| <plan>"


def normalised(output: str) -> str:
    """The output with everything that may differ replaced."""
    lines, measured = [], False
    for line in output.splitlines():
        measured = "(measured" in line or (measured and bool(line.strip()))
        lines.append(normalised_line(line, measured).rstrip())
    return "\n".join(without_repeated_plans(lines)) + "\n"


def normalised_line(line: str, measured: bool) -> str:
    """One line, which may stand in a measured table."""
    if line.startswith("stack  "):
        return "stack  <services>"
    if line.startswith("| "):
        return PLAN
    if measured:
        return squeeze(re.sub(NUMBER, "<n>", line))
    return replace_figures(line)


def replace_figures(line: str) -> str:
    """Times, ratios, rates, sizes and process ids become signs."""
    for pattern, sign in (
        (PID, "pid <n>"),
        (RATE, "<rate>"),
        (TIME, "<time>"),
        (DURATION, "<time>"),
        (RATIO, "<ratio>"),
        (MEMORY, "<memory>"),
    ):
        line = pattern.sub(sign, line)
    return line


def squeeze(line: str) -> str:
    """Column widths follow the figures: fold spaces and rules."""
    return re.sub(r"─+", "─", re.sub(r" {2,}", "  ", line.strip()))


def without_repeated_plans(lines: list[str]) -> list[str]:
    """A plan may have more or fewer lines on another day: keep one."""
    return [
        line
        for number, line in enumerate(lines)
        if line != PLAN or number == 0 or lines[number - 1] != line
    ]
