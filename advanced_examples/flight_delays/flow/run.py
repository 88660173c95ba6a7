"""Runs the weekly retraining as a flow of Dagster: sets up what is missing, then does as asked.

    python3 flow/run.py            one retraining, now
    python3 flow/run.py daemon     by its schedule (Mondays at three, UTC) until Ctrl-C
    python3 flow/run.py ARGUMENTS  dagster with these arguments

Any Python will do: Dagster has an environment of its own, which learn.py makes on first use.
"""

import os
import subprocess
import sys
from pathlib import Path

FLOW = Path(__file__).resolve().parent
PROJECT = FLOW.parent
ROOT = PROJECT.parents[1]
ENVIRONMENT = PROJECT / "environments" / "flow"
BIN = ENVIRONMENT / ".venv" / ("Scripts" if os.name == "nt" else "bin")
FILE = str(FLOW / "retraining_flow.py")
NOTES = Path(os.environ.get("FLIGHTS_HOME") or PROJECT).resolve() / "dagster"
HOME = Path(os.environ.get("DAGSTER_HOME") or NOTES).resolve()
NOTHING_TO_REPORT = "telemetry:\n  enabled: false\n"


def main(arguments: list[str]) -> int:
    """Do what the arguments say; the exit code is Dagster's."""
    if arguments in (["-h"], ["--help"]):
        print((__doc__ or "").strip())
        return 0
    learn("environment", str(ENVIRONMENT), str(PROJECT / "environments" / "training"))
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "dagster.yaml").write_text(NOTHING_TO_REPORT, encoding="utf-8")
    if arguments == ["daemon"]:
        return dagster("dagster-daemon", "run", "-f", FILE)
    return dagster("dagster", *(arguments or ["job", "execute", "-f", FILE, "-j", "retraining"]))


def dagster(program: str, *arguments: str) -> int:
    """Run a program of Dagster's environment."""
    told = {"DAGSTER_HOME": str(HOME), "DAGSTER_DISABLE_TELEMETRY": "1", "PYTHONUTF8": "1"}
    return subprocess.call(
        [str(BIN / program), *arguments], cwd=PROJECT, env={**os.environ, **told}
    )


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
