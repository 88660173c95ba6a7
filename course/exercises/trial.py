"""Runs a check in a process of its own, with a limit of time and of memory."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from course.exercises.catalogue import Exercise
from course.exercises.verdict import FAILED, STOPPED, Verdict

MEMORY = 2 * 1024**3  # bytes
GRACE = 3.0  # seconds that the process has to end by itself, and to start
LOOK_AGAIN = 0.05  # seconds


def try_out(exercise: Exercise, file: Path, limit: float | None = None) -> Verdict:
    """What the check of `exercise` says about `file`; it ends within `limit` seconds."""
    limit = limit or exercise.limit
    with tempfile.TemporaryDirectory(prefix="exercise-", ignore_cleanup_errors=True) as folder:
        result, errors = Path(folder) / "verdict.json", Path(folder) / "errors.txt"
        command = [
            sys.executable, "-P", "-m", "course.exercises.judge",
            exercise.id, str(file), str(result), str(limit),
        ]  # fmt: skip
        with errors.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "Agg"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=os.name != "nt",
            )
            try:
                too_much = wait(process, limit + GRACE)
            finally:
                end(process)
        if result.exists():
            return Verdict(**json.loads(result.read_text(encoding="utf-8")))
        if too_much:
            return Verdict(STOPPED, problem=[too_much])
        return died(process.returncode, errors.read_text(encoding="utf-8", errors="replace"))


def wait(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Wait for the process to end; what it took too much of, '' if it ended by itself."""
    deadline = time.monotonic() + seconds
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        if time.monotonic() > deadline:
            return "it didn't hear that its time was over"
        with suppress(psutil.Error):
            if memory(watched) > MEMORY:
                return f"it took more than {MEMORY // 1024**3} GB of memory"
        time.sleep(LOOK_AGAIN)
    return ""


def memory(process: psutil.Process) -> int:
    """What it holds, bytes."""
    # On Windows an environment's `python` starts the real one as a child.
    family = [process, *process.children()] if sys.platform == "win32" else [process]
    return sum(one.memory_info().rss for one in family)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started."""
    if sys.platform == "win32":
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def died(code: int, said: str) -> Verdict:
    """The verdict on a process that ended without one."""
    lines = [line[:100] for line in said.strip().splitlines()[-3:]]
    return Verdict(
        FAILED,
        problem=[f"your file ended the whole program (exit code {code})", *lines],
        help="Look for os._exit(), a signal, or a library that crashed.",
    )
