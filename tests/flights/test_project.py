"""The flight delay project's own tests, with coverage, in its own training environment.

One process for each part, so that Feast, MLflow and torch are imported once and not for each test.
`learn.py test --without flights` leaves them out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from course.settings import ROOT
from tests.support import environment_python

PROJECT = ROOT / "advanced_examples" / "flight_delays"
TRAINING = PROJECT / "environments" / "training"
SERVING = PROJECT / "environments" / "serving"
LEAST_COVERAGE = 85.0
pytestmark = pytest.mark.long
PARTS = {"unit": ["tests", "--ignore=tests/integration"], "integration": ["tests/integration"]}


@pytest.fixture(scope="module")
def python() -> Path:
    """The training environment's Python; skips aloud when its packages can't be had."""
    made = subprocess.run(
        [sys.executable, ROOT / "learn.py", "environment", TRAINING, SERVING],
        capture_output=True, check=False, text=True, timeout=900,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"the environments of flight_delays can't be made: {made.stderr}")
    return environment_python(TRAINING / ".venv")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the parts leave what they have covered."""
    return tmp_path_factory.mktemp("coverage")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", PARTS)
def test_the_projects_own_tests_pass(
    part: str, python: Path, measured: Path, service: Callable[[str], str]
) -> None:
    """Its tests of Redis and RabbitMQ use the course's, under names of their own."""
    environment = {
        **os.environ, "REDIS_URL": service("redis"), "RABBITMQ_URL": service("rabbitmq"),
        "COVERAGE_FILE": str(measured / f".coverage.{part}"), "MPLBACKEND": "Agg",
    }  # fmt: skip
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--cov", "--cov-report=",
         f"--basetemp={measured / part}", *PARTS[part]],
        cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, check=False, text=True, timeout=880,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout[-6000:]}\n{ran.stderr[-2000:]}"
    print(ran.stdout.splitlines()[-1])


def test_they_cover_what_they_should(python: Path, measured: Path) -> None:
    found = sorted(measured.glob(".coverage.*"))
    if len(found) < len(PARTS):
        pytest.skip("not every part has run: coverage can be judged only together")
    environment = {**os.environ, "COVERAGE_FILE": str(measured / ".coverage")}
    for command in (["combine", "--keep", *map(str, found)], ["json", "-o", measured / "all.json"]):
        subprocess.run(
            [python, "-m", "coverage", *command], cwd=PROJECT, env=environment, check=True,
            capture_output=True, timeout=120,
        )  # fmt: skip
    report = json.loads((measured / "all.json").read_text(encoding="utf-8"))
    covered = report["totals"]["percent_covered"]
    worst = {
        name: round(file["summary"]["percent_covered"])
        for name, file in report["files"].items()
        if file["summary"]["percent_covered"] < LEAST_COVERAGE
    }
    print(f"covered: {covered:.1f} %; below {LEAST_COVERAGE:.0f} %: {worst}")
    assert covered >= LEAST_COVERAGE, worst
