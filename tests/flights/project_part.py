"""The flight delay project's own tests, a part at a time, in its training environment.

One process for each part, so that Feast, MLflow and torch are imported once and not for each test.
Parts may run side by side, in different workers of one run: the one that ends last judges what all
of them have covered together.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.flights.flight_service import PROJECT, python

# What watches, retrains and rolls out: tests that wait more than they compute.
OPERATION = ("demo", "monitoring*", "retrain*", "rollout*")
PARTS = {
    "unit": [
        "tests", "--ignore=tests/integration",
        *(f"--ignore-glob=tests/test_{name}.py" for name in OPERATION),
    ],
    "operation": [
        file.relative_to(PROJECT).as_posix()
        for name in OPERATION for file in sorted((PROJECT / "tests").glob(f"test_{name}.py"))
    ],
    "integration": ["tests/integration"],
}  # fmt: skip
LONGEST = 1500.0
LEAST_COVERAGE = 85.0
# What stands between a request and its answer: no line of it may be untested.
CRITICAL = (
    "features/aircraft_features.py",
    "features/airline_features.py",
    "features/airports.py",
    "features/holidays.py",
    "features/route_features.py",
    "features/temporal_features.py",
    "features/vector.py",
    "features/views.py",
    "features/weather_features.py",
    "src/bundle.py",
    "src/online.py",
    "src/packed.py",
    "src/service/access.py",
    "src/service/app.py",
    "src/service/contract.py",
    "src/service/model.py",
    "src/service/predictor.py",
    "src/service/reasons.py",
    "src/service/store.py",
)


def run_part(part: str, shared: Path, redis: str, rabbitmq: str, *options: str) -> None:
    """Run a part, and judge the coverage when it is the last; AssertionError with what failed.

    `shared` is a folder that all workers of this run know.
    """
    python("serving")  # some tests answer as the service would
    running, done = shared / f"running.{part}", shared / f".coverage.{part}"
    environment = {
        **os.environ, "REDIS_URL": redis, "RABBITMQ_URL": rabbitmq, "COVERAGE_FILE": str(running),
    }  # fmt: skip
    ran = subprocess.run(
        [python("training"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--cov",
         "--cov-report=", f"--basetemp={shared / part}", *PARTS[part], *options],
        cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, check=False, text=True, timeout=LONGEST,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout[-6000:]}\n{ran.stderr[-2000:]}"
    print(next(line for line in reversed(ran.stdout.splitlines()) if " passed" in line))
    running.rename(done)  # in one step: who sees it sees it whole
    found = [shared / f".coverage.{name}" for name in PARTS]
    if all(file.exists() for file in found):
        judge(found, shared / f"judged-by-{part}")
    else:
        print("coverage is judged when all parts have run")


def judge(found: list[Path], folder: Path) -> None:
    """Check that the files of coverage in `found` together hold as much as they should."""
    folder.mkdir()
    environment = {**os.environ, "COVERAGE_FILE": str(folder / ".coverage")}
    for command in (
        ["combine", "--keep", *map(str, found)], ["json", "-o", str(folder / "all.json")]
    ):  # fmt: skip
        subprocess.run(
            [python("training"), "-m", "coverage", *command], cwd=PROJECT, env=environment,
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    report = json.loads((folder / "all.json").read_text(encoding="utf-8"))
    files = {name.replace("\\", "/"): file for name, file in report["files"].items()}
    covered = report["totals"]["percent_covered"]
    by_file = {name: file["summary"]["percent_covered"] for name, file in files.items()}
    worst = {name: round(share) for name, share in by_file.items() if share < LEAST_COVERAGE}
    print(f"covered: {covered:.1f} %; below {LEAST_COVERAGE:.0f} %: {worst}")
    assert covered >= LEAST_COVERAGE, worst
    assert set(CRITICAL) <= set(files), "a file of CRITICAL is gone"
    holes = {name: files[name]["missing_lines"] for name in CRITICAL}
    assert not any(holes.values()), {name: lines for name, lines in holes.items() if lines}


def shared_folder(factory: pytest.TempPathFactory, worker: str) -> Path:
    """A folder that all workers of this run share; alone, the run's own."""
    base = factory.getbasetemp()
    folder = (base if worker == "master" else base.parent) / "flight_delays"
    folder.mkdir(exist_ok=True)
    return folder
