"""Runs the pipeline as a flow of Dagster: sets up what is missing, then does what it is asked.

    python3 advanced_examples/etl/flow/run.py            one run of the flow, now
    python3 advanced_examples/etl/flow/run.py daemon     start it by its schedule until Ctrl-C
    python3 advanced_examples/etl/flow/run.py ARGUMENTS  dagster with these arguments
    python3 advanced_examples/etl/flow/run.py remove     remove what was loaded, and Dagster's notes

Any Python will do: Dagster has an environment of its own, which learn.py makes on first use.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

FLOW = Path(__file__).resolve().parent
ROOT = FLOW.parents[2]
BIN = FLOW / ".venv" / ("Scripts" if os.name == "nt" else "bin")
FILE = str(FLOW / "etl_flow.py")
HOME = Path(os.environ.get("DAGSTER_HOME") or ROOT / "output" / "dagster").resolve()
SCHEMA = "etl_flow"
NOTHING_TO_REPORT = "telemetry:\n  enabled: false\n"


def main(arguments: list[str]) -> int:
    """Do what the arguments say; the exit code is Dagster's."""
    if arguments in (["-h"], ["--help"]):
        print((__doc__ or "").strip())
        return 0
    learn("up", "postgres")
    if arguments == ["remove"]:
        quietly = "SET client_min_messages = warning"
        learn("psql", "-q", "-c", f"{quietly}; DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        shutil.rmtree(HOME, ignore_errors=True)
        print(f"The schema {SCHEMA} and {HOME.name} are gone.")
        return 0
    learn("environment", str(FLOW))
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "dagster.yaml").write_text(NOTHING_TO_REPORT, encoding="utf-8")
    if arguments == ["daemon"]:
        return dagster("dagster-daemon", "run", "-f", FILE)
    return dagster("dagster", *(arguments or ["job", "execute", "-f", FILE, "-j", "etl"]))


def dagster(program: str, *arguments: str) -> int:
    """Run a program of Dagster's environment."""
    told = {"DAGSTER_HOME": str(HOME), "DAGSTER_DISABLE_TELEMETRY": "1", "PYTHONUTF8": "1"}
    command = [str(BIN / program), *arguments]
    return subprocess.call(command, cwd=ROOT, env={**os.environ, **told})


def learn(*arguments: str) -> None:
    """Use the course's front door; SystemExit when that fails, which it explains itself."""
    done = subprocess.run([sys.executable, str(ROOT / "learn.py"), *arguments], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
