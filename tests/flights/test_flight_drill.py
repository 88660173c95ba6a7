"""The drift drill and the weekly retraining, whole, with real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from course.settings import ROOT
from tests.flights.flight_service import PROJECT, python
from tests.support import environment_python

FLOW = PROJECT / "flow"
SMALLER = {
    "flights: 200000": "flights: 8000", "fewest_flights: 100": "fewest_flights: 20",
    "epochs: 50": "epochs: 2", "[256, 128, 64]": "[16]",
}  # fmt: skip
ENVIRONMENT = PROJECT / "environments" / "flow"
TICK = """
import sys
from datetime import datetime, timezone
import dagster
sys.path.insert(0, {folder!r})
import retraining_flow
monday = datetime(2024, 6, 24, 3, tzinfo=timezone.utc)
schedule = retraining_flow.definitions.get_schedule_def("weekly")
context = dagster.build_schedule_context(scheduled_execution_time=monday)
print(schedule.cron_schedule, schedule.default_status.value, schedule.job_name)
print(len(schedule.evaluate_tick(context).run_requests))
"""


@pytest.fixture(scope="module")
def dagster() -> None:
    """The environment of Dagster; skips aloud when its packages can't be had."""
    made = subprocess.run(
        [sys.executable, ROOT / "learn.py", "environment", ENVIRONMENT],
        capture_output=True, check=False, text=True, timeout=280,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"Dagster can't be installed: {made.stderr}")


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A home of its own with small models."""
    chosen = (PROJECT / "params.yaml").read_text(encoding="utf-8")
    for old, new in SMALLER.items():
        assert old in chosen
        chosen = chosen.replace(old, new)
    (tmp_path / "params.yaml").write_text(chosen, encoding="utf-8")
    return {
        **os.environ, "FLIGHTS_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster"),
        "FLIGHTS_PARAMS": str(tmp_path / "params.yaml"), "FLIGHTS_RETRY_DELAY": "0.1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }  # fmt: skip


@pytest.mark.usefixtures("dagster")
def test_the_schedule_asks_for_one_retraining_each_monday(variables: dict[str, str]) -> None:
    told = subprocess.run(
        [environment_python(ENVIRONMENT / ".venv"), "-c", TICK.format(folder=str(FLOW))],
        capture_output=True, check=True, text=True, timeout=100, env=variables,
    )  # fmt: skip
    assert told.stdout.splitlines() == ["0 3 * * 1 RUNNING retraining", "1"]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("dagster")
def test_the_flow_retrains_once_for_real(variables: dict[str, str], tmp_path: Path) -> None:
    subprocess.run(
        [python("training"), "src/simulate.py"], cwd=PROJECT, env=variables, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, FLOW / "run.py"], env=variables, capture_output=True, check=False,
        text=True, timeout=500,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "v1 promoted: there is no champion to compare with" in said
    assert (tmp_path / "models" / "champion").read_text(encoding="utf-8") == "v1\n"


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_whole_drill(service: Callable[[str], str], tmp_path: Path) -> None:
    """Alert, retraining, gate, promotion, recovery; nothing is left behind."""
    python("serving")
    url = service("redis")
    given = {**os.environ, "FLIGHTS_HOME": str(tmp_path), "REDIS_URL": url}
    done = subprocess.run(
        [python("training"), "src/drill.py", "--flights", "40000"], cwd=PROJECT, env=given,
        capture_output=True, check=False, text=True, timeout=1100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "reports" / "drill.json").read_text(encoding="utf-8"))
    before, worst, after = (one["accuracy"] for one in report["stages"].values())
    assert worst < 0.75 < after
    assert after > (before + worst) / 2
    assert report["alert"] > report["shift"]
    assert report["cleared"] >= report["promoted"]
    sides = report["counterfactual"]
    assert sides["new"]["accuracy"] > sides["old"]["accuracy"] + 0.05
    assert all(one["answered_meanwhile"] > 0 for one in report["retrainings"])
    assert "base64" in (tmp_path / "reports" / "drill.html").read_text(encoding="utf-8")
    with Redis.from_url(url) as redis:
        assert not list(redis.scan_iter(match="drill_*", count=500))
