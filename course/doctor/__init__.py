"""The doctor says for each thing that the course needs: ok, or the exact fix."""

import argparse
import textwrap
from collections.abc import Sequence

from course import settings
from course.console import CROSS, SKIPPED, TICK, Console, make_console
from course.doctor import machine, services
from course.doctor.finding import Finding

SIGNS = {True: (TICK, "green"), False: (CROSS, "red"), None: (SKIPPED, "yellow")}

__all__ = ["Finding", "diagnose", "main"]


def diagnose(offline: bool) -> list[Finding]:
    """Look at everything; `offline` adds what a class without network needs."""
    settings_are = machine.env_file()
    findings = [
        machine.python(),
        machine.environment(),
        machine.packages(),
        machine.disk(),
        machine.writable(settings.STACK_DIR),
        machine.writable(settings.OUTPUT_DIR),
        machine.console(),
        settings_are,
        *machine.docker(),
    ]
    if settings_are.ok:
        findings += map(services.in_use, settings.SERVICES)
    if offline:
        findings += map(services.without_network, settings.SERVICES)
    return findings


def main(arguments: Sequence[str]) -> int:
    """Print every finding; 0 if nothing is wrong, 1 otherwise. Notes are not wrong."""
    parser = argparse.ArgumentParser(prog="learn.py doctor", description=__doc__)
    parser.add_argument("--offline", action="store_true",
                        help="check too that lessons can run without network")  # fmt: skip
    console, findings = make_console(), diagnose(parser.parse_args(arguments).offline)
    column = max(len(finding.name) for finding in findings) + 4
    for finding in findings:
        show(console, finding, column)
    wrong = sum(finding.ok is False for finding in findings)
    console.say()
    console.say(f"{wrong} to put right." if wrong else "All is well.", "bold")
    return 1 if wrong else 0


def show(console: Console, finding: Finding, column: int) -> None:
    """Print one finding, its text from `column` on; a fix stays on one line, to be copied."""
    sign, style = SIGNS[finding.ok]
    head, indent = f"{sign} {finding.name}".ljust(column), " " * column
    text = textwrap.wrap(
        finding.says, console.width - column, break_long_words=False, break_on_hyphens=False
    )
    console.say(head + f"\n{indent}".join(text), style)
    if finding.fix:
        console.say(f"{indent}→ {finding.fix}")
