"""Real services, a router in front and steady traffic, for the tests of the rollout."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from tests.flights.flight_service import KEY, PROJECT, python, running

DEADLINE = 60.0
ROUTER = ("-m", "src.rollout.router", "--port", "0", "--check", "0.2", "--patience", "2.5")
ON_TIME = 5.0  # minutes: the truth about every flight of the traffic
Result = dict[str, Any]


class World:
    """What all tests share: where models and logs lie, and the environment of every process."""

    def __init__(self, folder: Path, given: dict[str, str]) -> None:
        self.folder, self.given = folder, given

    def models(self, **usual: float) -> dict[str, dict[str, str]]:
        """For each version the environment of a service whose model expects so many minutes."""
        folder = str(self.folder)
        made = "; ".join(
            f"tiny_model.model(Path({folder!r}) / {name!r}, {name!r}, usual={minutes})"
            for name, minutes in usual.items()
        )
        # One process for all: importing XGBoost and ONNX takes longer than making the models.
        subprocess.run(
            [python("training"), "-c", f"import tiny_model; from pathlib import Path; {made}"],
            cwd=PROJECT / "tests", check=True,
        )  # fmt: skip
        return {name: self.given | {"MODEL_PATH": str(self.folder / name)} for name in usual}

    def log(self, name: str) -> Path:
        """Where a process writes what it says."""
        return self.folder / f"{name}-{time.monotonic_ns()}.log"

    @contextmanager
    def router(self, *options: str) -> Iterator[str]:
        """The URL of a router."""
        with running(self.log("router"), *ROUTER, *options, **self.given) as url:
            yield url

    @contextmanager
    def traffic(self, url: str, *options: str) -> Iterator[Result]:
        """Steady traffic while the block lasts; the result is filled in at its end."""
        result: Result = {}
        log = self.log("traffic")
        with log.open("wb") as said:
            process = subprocess.Popen(
                [python("serving"), "tests/rollout_load.py", "--url", url, "--key", KEY, *options],
                cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
            )  # fmt: skip
        try:
            until(lambda: b"under way" in log.read_bytes(), "the traffic begins")
            yield result
            out, _ = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, log.read_text()
            result.update(json.loads(out))
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def canary(self, url: str, *options: str) -> Iterator[Canary]:
        """A canary under way, killed at the end of the block if it is still there."""
        report = self.log("report").with_suffix(".json")
        log = self.log("canary")
        with log.open("wb") as said:
            process = subprocess.Popen(
                [python("serving"), "-m", "src.rollout.canary", "--router", url,
                 "--report", str(report), *options],
                cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.given}, start_new_session=True,
            )  # fmt: skip
        try:
            yield Canary(process, report, log)
        finally:
            process.kill()
            process.wait()

    def land(self, flights: int) -> None:
        """Tell that all flights of the traffic landed on time."""
        lines = "".join(f"LOAD-{number},{ON_TIME}\n" for number in range(flights))
        subprocess.run(
            [python("serving"), "-m", "src.monitoring.landed", "-"],
            input=f"flight_id,actual_delay_minutes\n{lines}", text=True, check=True, cwd=PROJECT,
            env={**os.environ, **self.given}, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def forget(self) -> None:
        """Forget all predictions and landings, so that each test has its own."""
        with Redis.from_url(self.given["REDIS_URL"]) as redis:
            for stream in ("predictions", "landed"):
                redis.delete(f"{self.given['FLIGHTS_KEY_PREFIX']}:{stream}")


class Canary:
    """A canary as a process, with its report and its log."""

    def __init__(self, process: subprocess.Popen[bytes], report: Path, log: Path) -> None:
        self.process, self.file, self.log = process, report, log

    def ended(self, seconds: float = DEADLINE) -> int:
        """Its exit code, waited for."""
        return self.process.wait(seconds)

    @property
    def report(self) -> Result:
        """What it reports."""
        return dict(json.loads(self.file.read_text()))


def status(url: str) -> Result:
    """The router's state."""
    return dict(httpx.get(f"{url}/rollout").json())


def metrics(url: str) -> str:
    """The router's metrics."""
    return httpx.get(f"{url}/metrics").text


def until(true: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    """Wait for a condition; AssertionError when it doesn't come true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"in {seconds:g} s it did not happen that {what}"
        time.sleep(0.05)
