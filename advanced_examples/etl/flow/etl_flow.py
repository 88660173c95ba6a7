"""The pipeline as a flow of Dagster: started every hour, tried again when it fails, watched.

Dagster lives in an environment of its own. It starts the pipeline as a process in the course's
environment, as an orchestrator starts a container: the two share no packages, only a command, an
exit code and a file. `run.py` beside this file starts Dagster.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import dagster as dg

ROOT = Path(__file__).resolve().parents[3]
IN_VENV = ".venv/Scripts/python.exe" if os.name == "nt" else ".venv/bin/python"
PYTHON = os.environ.get("ETL_PYTHON") or str(ROOT / IN_VENV)
CRON = os.environ.get("ETL_CRON", "5 * * * *")  # five minutes past each hour
WRONG_OPTION = 2  # the exit code that no retry can change


class Window(dg.Config):
    """What one run asks for. The window overlaps the last run's: what is there already stays."""

    cities: str = "Kyiv,Lviv,Odesa"
    symbols: str = "AAPL,GOOGL,MSFT"
    hours: int = 24
    days: int = 7
    source: str = os.environ.get("ETL_SOURCE", "")
    schema_name: str = os.environ.get("ETL_SCHEMA", "etl_flow")
    attempts: int = 6


retries = dg.RetryPolicy(
    max_retries=3,
    delay=float(os.environ.get("ETL_RETRY_DELAY", "30")),
    backoff=dg.Backoff.EXPONENTIAL,
    jitter=dg.Jitter.PLUS_MINUS,
)


@dg.op(retry_policy=retries)
def extract_and_load(context: dg.OpExecutionContext, config: Window) -> dict:
    """One run of the pipeline; its account. A failed or incomplete one is tried again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "summary.json"
        command = [
            PYTHON, "-m", "async_etl", "run", "--cities", config.cities, "--symbols",
            config.symbols, "--hours", str(config.hours), "--days", str(config.days), "--source",
            config.source, "--schema", config.schema_name, "--attempts", str(config.attempts),
            "--trace", "off", "--json", str(file),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        context.log.info(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
            raise dg.Failure(last[-1], allow_retries=done.returncode != WRONG_OPTION)
        summary = json.loads(file.read_text(encoding="utf-8"))
    context.add_output_metadata({k: v for k, v in summary.items() if k != "not_extracted"})
    return summary


@dg.op
def check_account(context: dg.OpExecutionContext, summary: dict) -> None:
    """What came in went somewhere; many refused records are worth a look by a person."""
    came = summary["records_extracted"]
    went = sum(summary[name] for name in ("records_loaded", "deduplicated", "quarantined"))
    if came != went:
        raise dg.Failure(f"{came} records came in and {went} went somewhere", allow_retries=False)
    if summary["quarantined"] * 20 > came:
        context.log.warning(f"{summary['quarantined']} of {came} records were refused")
    context.log.info(f"the account balances: {came} records")


@dg.job(executor_def=dg.in_process_executor)  # two small steps: no process for each
def etl() -> None:
    """Weather and stock prices into PostgreSQL, then the account."""
    check_account(extract_and_load())


hourly = dg.ScheduleDefinition(
    name="hourly", job=etl, cron_schedule=CRON, execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip

definitions = dg.Definitions(jobs=[etl], schedules=[hourly])
