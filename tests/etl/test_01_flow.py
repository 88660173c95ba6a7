"""The flow of Dagster, run for real: retries, the schedule, and nothing told to anybody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from course.settings import ROOT
from tests.etl.conftest import Tables
from tests.etl.test_01_faults import Source
from tests.stack.private import eventually
from tests.support import environment_python

FLOW = ROOT / "advanced_examples" / "etl" / "flow"
TICK = """
import sys
from datetime import datetime, timezone
import dagster
sys.path.insert(0, {folder!r})
import etl_flow
noon = datetime(2025, 10, 26, 12, 5, tzinfo=timezone.utc)
schedule = etl_flow.definitions.get_schedule_def("hourly")
context = dagster.build_schedule_context(scheduled_execution_time=noon)
print(schedule.cron_schedule, schedule.default_status.value, schedule.job_name)
print(len(schedule.evaluate_tick(context).run_requests))
"""


@pytest.fixture(scope="module", autouse=True)
def environment() -> None:
    """The environment of Dagster; skips aloud when its packages can't be had."""
    made = subprocess.run(
        [sys.executable, ROOT / "learn.py", "environment", FLOW],
        capture_output=True, check=False, text=True, timeout=280,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"Dagster can't be installed: {made.stderr}")


@pytest.fixture
def variables(tables: Tables, tmp_path: Path) -> dict[str, str]:
    """The environment variables of a flow that loads into `tables` and hardly waits."""
    return {
        **os.environ, "DATABASE_URL": tables.url, "DAGSTER_HOME": str(tmp_path / "dagster"),
        "ETL_SCHEMA": tables.schema, "ETL_RETRY_DELAY": "0.2", "ETL_PYTHON": sys.executable,
    }  # fmt: skip


def test_a_run_that_failed_is_tried_again_until_the_source_is_back(
    variables: dict[str, str], tables: Tables, tmp_path: Path
) -> None:
    source, log = Source(), tmp_path / "log"
    config = tmp_path / "run.yaml"
    config.write_text("ops: {extract_and_load: {config: {attempts: 2}}}\n", encoding="utf-8")
    file = str(FLOW / "etl_flow.py")
    arguments = ["job", "execute", "-f", file, "-j", "etl", "-c", str(config)]
    with log.open("w") as target:
        flow = subprocess.Popen(
            [sys.executable, FLOW / "run.py", *arguments], stdout=target,
            stderr=subprocess.STDOUT, env={**variables, "ETL_SOURCE": source.url},
        )  # fmt: skip
    try:
        eventually(lambda: "STEP_UP_FOR_RETRY" in log.read_text() or flow.poll() is not None, 100)
        source.start()
        assert flow.wait(100) == 0, log.read_text()
    finally:
        flow.kill()
        source.kill()
    said = log.read_text()
    assert "The source can't be had: the connection failed" in said
    assert "STEP_RESTARTED" in said and "RUN_SUCCESS" in said
    assert "the account balances" in said
    statuses = [one for (one,) in tables.rows("SELECT status FROM runs ORDER BY started_at")]
    assert statuses[0] == "failed" and statuses[-1] == "complete"
    tables.check_account()
    assert tables.rows("SELECT count(*) FROM weather_readings") == [(72,)]


def test_the_schedule_asks_for_one_run_each_hour(variables: dict[str, str]) -> None:
    python = environment_python(FLOW / ".venv")
    told = subprocess.run(
        [python, "-c", TICK.format(folder=str(FLOW))],
        capture_output=True, check=True, text=True, timeout=100,
        env={**variables, "DAGSTER_DISABLE_TELEMETRY": "1"},
    )  # fmt: skip
    assert told.stdout.splitlines() == ["5 * * * * RUNNING etl", "1"]


@pytest.mark.long
def test_the_daemon_starts_it_by_its_schedule(
    variables: dict[str, str], tables: Tables, tmp_path: Path
) -> None:
    """It waits for the next full minute, so it runs with --full only (see conftest)."""
    log = tmp_path / "log"
    with log.open("w") as target:
        daemon = subprocess.Popen(
            [sys.executable, FLOW / "run.py", "daemon"], stdout=target, stderr=subprocess.STDOUT,
            env={**variables, "ETL_CRON": "* * * * *"}, start_new_session=True,
        )  # fmt: skip

    def complete() -> bool:
        query = "SELECT to_regclass('runs') IS NOT NULL"
        if tables.rows(query) != [(True,)]:
            return False
        return tables.rows("SELECT count(*) FROM runs WHERE status = 'complete'") != [(0,)]

    try:
        eventually(lambda: complete() or daemon.poll() is not None, 180)
        assert daemon.poll() is None, log.read_text()
    finally:
        os.killpg(daemon.pid, 15)
        daemon.wait(30)
    tables.check_account()
