"""The weekly retraining as a flow of Dagster: Mondays at three, tried again, its verdict kept.

Dagster lives in an environment of its own. It starts `python src/retrain.py` in the training
environment, as it would start a container in production: the two share no packages, only a command,
an exit code and a file. `run.py` beside this file starts Dagster.
"""

import json
import os
import subprocess
from pathlib import Path

import dagster as dg

PROJECT = Path(__file__).resolve().parents[1]
IN_VENV = ".venv/Scripts/python.exe" if os.name == "nt" else ".venv/bin/python"
PYTHON = os.environ.get("FLIGHTS_PYTHON") or str(PROJECT / "environments" / "training" / IN_VENV)
HOME = Path(os.environ.get("FLIGHTS_HOME") or PROJECT).resolve()
VERDICT = HOME / "reports" / "retraining.json"
CRON = os.environ.get("FLIGHTS_RETRAIN_CRON", "0 3 * * 1")  # Mondays at three, UTC
WRONG_OPTION = 2  # the exit code that no retry can change


class Data(dg.Config):
    """What one run learns from: all that is there, or what was known when a day (UTC) began."""

    until: str = ""


retries = dg.RetryPolicy(
    max_retries=2,
    delay=float(os.environ.get("FLIGHTS_RETRY_DELAY", "300")),
    backoff=dg.Backoff.EXPONENTIAL,
)


@dg.op(retry_policy=retries)
def retrain(context: dg.OpExecutionContext, config: Data) -> dict:
    """Train, judge on the newest days, promote if better; the verdict."""
    command = [PYTHON, "src/retrain.py", *(["--until", config.until] if config.until else [])]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    context.log.info(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise dg.Failure(last[-1], allow_retries=done.returncode != WRONG_OPTION)
    return json.loads(VERDICT.read_text(encoding="utf-8"))


@dg.op
def tell(context: dg.OpExecutionContext, verdict: dict) -> None:
    """Keep the verdict with the run, where a person looks for last Monday's."""
    candidate, champion = verdict["candidate"], verdict["champion"]
    context.add_output_metadata(
        {
            "promoted": verdict["decision"]["promoted"],
            "reason": verdict["decision"]["reason"],
            "candidate": candidate["version"],
            "candidate_mae": candidate["mae"],
            "champion": champion["version"] if champion else "none",
            "champion_mae": champion["mae"] if champion else float("nan"),
            "judged_flights": verdict["flights"],
        }
    )
    word = "promoted" if verdict["decision"]["promoted"] else "not promoted"
    context.log.info(f"{candidate['version']} {word}: {verdict['decision']['reason']}")


@dg.job(executor_def=dg.in_process_executor)  # one step works, one tells: no process for each
def retraining() -> None:
    """The newest data, a candidate, a verdict."""
    tell(retrain())


weekly = dg.ScheduleDefinition(
    name="weekly", job=retraining, cron_schedule=CRON, execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip

definitions = dg.Definitions(jobs=[retraining], schedules=[weekly])
