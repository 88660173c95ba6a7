"""The flights' service as a process, from the course's environment: it has environments of its own.

They are made on first use; where that can't be, what needs them is skipped, aloud.
"""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from redis import Redis

from course.settings import ROOT
from tests.support import environment_python

PROJECT = ROOT / "advanced_examples" / "flight_delays"
LISTENS = " listens on "
START, END = 60.0, 20.0
MAKING = 1500  # seconds that making an environment may take on a slow network
KEY = "key-of-the-tests"


@cache
def python(name: str) -> str:
    """The interpreter of the `training` or `serving` environment, which is made if need be."""
    folder = PROJECT / "environments" / name
    made = subprocess.run(
        [sys.executable, ROOT / "learn.py", "environment", folder],
        capture_output=True, check=False, text=True, timeout=MAKING,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"the {name} environment of the flights can't be made: {made.stderr}")
    return str(environment_python(folder / ".venv"))


@contextmanager
def running(log: Path, *command: str, **environment: str) -> Iterator[str]:
    """The URL of `command`, run in the serving environment while the block lasts."""
    with started(log, *command, **environment) as (url, _):
        yield url


@contextmanager
def started(
    log: Path, *command: str, **environment: str
) -> "Iterator[tuple[str, subprocess.Popen[bytes]]]":
    """The same with the process, for tests that kill it."""
    interpreter = python("serving")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [interpreter, *command], cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )  # fmt: skip
    try:
        yield address(process, log), process
    finally:
        process.terminate()
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where it listens, as it says itself; waited for."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if f"{LISTENS}http" in line:
                return line.partition(LISTENS)[2].split()[0]
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} did not start:\n{log.read_text()[-2000:]}")


@contextmanager
def stocked(redis_url: str, folder: Path, trees: int) -> Iterator[dict[str, str]]:
    """The environment of a service with a small model and features in Redis, removed at the end."""
    prefix = f"flights_test_{uuid.uuid4().hex[:10]}"
    given = {"REDIS_URL": redis_url, "FLIGHTS_KEY_PREFIX": prefix, "MODEL_PATH": str(folder)}
    command = [python("training"), "tests/tiny_model.py", str(folder), "--trees", str(trees)]
    subprocess.run(
        [*command, "--features", "1800"], cwd=PROJECT, env={**os.environ, **given}, check=True
    )
    try:
        yield given | keys()
    finally:
        with Redis.from_url(redis_url) as redis:
            for name in redis.scan_iter(match=f"{prefix}:*", count=500):
                redis.delete(name)


def keys() -> Mapping[str, str]:
    """A key without a limit."""
    return {"FLIGHTS_API_KEYS": f"tests={KEY}", "FLIGHTS_REQUESTS_PER_MINUTE": "1000000000"}
