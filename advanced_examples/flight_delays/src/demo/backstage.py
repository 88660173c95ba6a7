"""What the demo needs before the curtain: a trained model, Redis, the service."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from src.paths import PROJECT
from src.service.gate import Gate, gate
from src.service.process import service

COURSE = PROJECT.parent.parent
WALKS = (COURSE / "output" / "flights", COURSE / "output" / "flights_fast")
HEADERS = {"X-API-Key": "demo-key", "Content-Type": "application/json"}
PATIENCE = 10.0  # seconds for one answer
REDIS_PORT = 6379
FAILED, UNAVAILABLE = 1, 69


class DemoError(Exception):
    """Why the demo can't go on, and what to do; `code` is the exit code."""

    def __init__(self, why: str, code: int = FAILED) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class Show:
    """The service on stage, and the gate on its way to Redis."""

    url: str
    gate: Gate

    def ask(
        self, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] = HEADERS
    ) -> tuple[int, Any]:
        """GET, or POST with a body: the status and the JSON of the answer, also of a refusal."""
        data = None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, {**kind, **headers})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def metrics(self) -> list[str]:
        """The lines of /metrics that carry a value."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return [line for line in lines if not line.startswith("#")]


@contextmanager
def curtain(home: Path | None) -> Iterator[Show]:
    """The service with the models of `home`, from when it answers until the block ends.

    Raises:
        DemoError: something is missing; the text says what to run.
    """
    models = trained(home)
    python = serving_python()
    address = redis_address()
    target = (address.hostname or "127.0.0.1", address.port or REDIS_PORT)
    with gate(*target) as way:
        given = {
            "REDIS_URL": through(address, way.port), "MODEL_PATH": str(models),
            "FLIGHTS_API_KEYS": f"demo={HEADERS['X-API-Key']}", "FLIGHTS_HOST": "127.0.0.1",
        }  # fmt: skip
        with service(given, python=python) as started:
            yield Show(started.url, way)


def trained(home: Path | None) -> Path:
    """The folder of trained models: of `home`, else FLIGHTS_HOME, else where a walk left some."""
    told = os.environ.get("MODEL_PATH")
    chosen = home or os.environ.get("FLIGHTS_HOME")
    homes = [Path(chosen)] if chosen else [PROJECT, *WALKS]
    for models in [Path(told)] if told and not home else [place / "models" for place in homes]:
        if (models / "champion").exists():
            return models.resolve()
    raise DemoError(
        f"There is no trained model in {' or '.join(map(shown, homes))}. Make one with "
        "`python3 learn.py run flights` from the course's folder, or with `dvc repro` and "
        "`python src/materialize.py` here."
    )


def shown(path: Path) -> str:
    """A folder as people should read it: from the course's folder where it lies in there."""
    path = path.resolve()
    return path.relative_to(COURSE).as_posix() if path.is_relative_to(COURSE) else str(path)


def serving_python() -> str:
    """The interpreter that can run the service."""
    folder = PROJECT / "environments" / "serving" / ".venv"
    found = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if found.exists():
        return str(found)
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("fastapi"):
        return sys.executable
    raise DemoError(
        "The serving environment is missing. Make it from the course's folder with "
        "`python3 learn.py environment advanced_examples/flight_delays/environments/serving`."
    )


def redis_address() -> SplitResult:
    """Where Redis is: REDIS_URL, or else what the course says; it answers there."""
    url = os.environ.get("REDIS_URL") or from_the_course()
    address = urlsplit(url)
    if address.scheme != "redis":
        raise DemoError(
            "The demo cuts the way to Redis, and can do that for an address like "
            "redis://host:6379/0 only: set REDIS_URL to one.",
        )
    place = (address.hostname or "127.0.0.1", address.port or REDIS_PORT)
    try:
        socket.create_connection(place, timeout=2).close()
    except OSError:
        raise DemoError(
            f"Redis does not answer at {place[0]}:{place[1]}. Start one, for instance with "
            "`python3 learn.py up` from the course's folder, and set REDIS_URL if it is elsewhere.",
            UNAVAILABLE,
        ) from None
    return address


def from_the_course() -> str:
    """The URL of the course's Redis, which the front door starts where need be."""
    asked = subprocess.run(
        [sys.executable, COURSE / "learn.py", "url", "redis"], cwd=COURSE, check=False,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    lines = asked.stdout.split()
    if asked.returncode or not lines:
        raise DemoError("There is no Redis. Start one and set REDIS_URL.", UNAVAILABLE)
    return lines[-1]


def through(address: SplitResult, port: int) -> str:
    """The same database of the same server, by way of a port of this machine."""
    secret, at, _ = address.netloc.rpartition("@")
    return address._replace(netloc=f"{secret}{at}127.0.0.1:{port}").geturl()
