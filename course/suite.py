"""The test suite in two passes: side by side what may run so, then alone what needs quiet.

Much of the suite waits (for servers, installations, delays), so there are more workers than cores.
Tests whose claims are about time, or that disturb others, carry the marker `alone`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from course import settings
from course.console import CROSS, TICK, Console
from course.errors import FAILED, OK

NO_TESTS = 5  # pytest's exit code when nothing fits
PATIENCE = 60  # seconds in which tests stop their servers after Ctrl-C
MOST_WORKERS = 8


def workers() -> int:
    """How many tests run side by side: two more than cores, as much of their time is waiting."""
    return min((os.cpu_count() or 1) + 2, MOST_WORKERS)


def in_two_passes(console: Console, arguments: Sequence[str], junitxml: Path | None) -> int:
    """Run everything; `arguments` go to pytest in both passes. Returns an exit code."""
    count = workers()
    side_by_side = ["-n", str(count), "--dist", "loadgroup", "--no-loadscope-reorder"]
    passes = {
        f"{count} side by side": [*side_by_side, "-m", "not alone"],
        "one alone": ["-m", "alone"],
    }
    told = []
    with TemporaryDirectory() as folder:
        results = [Path(folder) / f"{number}.xml" for number, _ in enumerate(passes)]
        for number, (name, options) in enumerate(passes.items()):
            console.say(f"\nPass {number + 1} of {len(passes)}: {name}")
            start = time.perf_counter()
            code = run_pytest([*options, *arguments, f"--junitxml={results[number]}"])
            told.append((name, code in (OK, NO_TESTS), time.perf_counter() - start))
        if junitxml:
            join(results, junitxml)
    console.say("")
    for name, passed, seconds in told:
        sign, word = (TICK, "passed") if passed else (CROSS, "FAILED: see its summary above")
        console.say(f"{sign} {name}: {word}, {seconds / 60:.1f} min")
    return OK if all(passed for _, passed, _ in told) else FAILED


def run_pytest(arguments: Sequence[str]) -> int:
    """Run pytest; its exit code. After Ctrl-C, which reaches it too, it may end what it began."""
    command = [sys.executable, "-m", "pytest", *arguments]
    # Hundreds of processes import the same packages: compile them once, whatever the habit here.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    with subprocess.Popen(command, cwd=settings.ROOT, env=environment) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE)
            process.kill()
            raise


def join(results: Sequence[Path], target: Path) -> None:
    """Write the results of several runs (JUnit's XML) into one file."""
    root = ElementTree.Element("testsuites")
    for file in results:
        if file.exists():
            root.extend(ElementTree.parse(file).getroot())
    ElementTree.ElementTree(root).write(target, encoding="utf-8", xml_declaration=True)
