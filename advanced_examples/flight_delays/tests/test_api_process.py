"""The service as a process: the feature store goes away and comes back, time runs out, it ends.

It runs in the serving environment where there is one: without Feast, MLflow, pandas and torch.
"""

from __future__ import annotations

import concurrent.futures
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
import tiny_model
from api_kit import FLIGHT, HEADERS, KEY, redis_url, stocked, wait_until

from src import api as api_command
from src.paths import PROJECT
from src.service.gate import Gate, gate
from src.service.process import Started, service

SERVING = PROJECT / "environments" / "serving" / ".venv" / "bin" / "python"
PYTHON = str(SERVING) if SERVING.exists() else sys.executable
AWAY = "the feature store does not answer: usual values stand in for what it holds"


class Running(NamedTuple):
    """A service behind its gate to Redis."""

    started: Started
    gate: Gate
    http: httpx.Client

    def predict(self, **more: object) -> httpx.Response:
        """Ask about FLIGHT."""
        return self.http.post("/predict", json=FLIGHT | more)

    def degraded(self) -> list[str]:
        """What the service says is missing."""
        return self.predict().json()["degraded"]


Start = Callable[..., Running]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_model.model(folder)
    return folder


@pytest.fixture(scope="module")
def start(models: Path) -> Iterator[Start]:
    """Start services with a gate of their own."""
    url = redis_url()
    at = urlsplit(url)
    with ExitStack() as ends:
        prefix = ends.enter_context(stocked(url))

        def begin(**settings: object) -> Running:
            door = ends.enter_context(gate(at.hostname or "127.0.0.1", at.port or 6379))
            own = {
                "MODEL_PATH": models,
                "FLIGHTS_KEY_PREFIX": prefix,
                "FLIGHTS_API_KEYS": f"t={KEY}",
            }
            own["REDIS_URL"] = f"redis://127.0.0.1:{door.port}{at.path or '/0'}"
            environment = {name: str(value) for name, value in (own | settings).items()}
            started = ends.enter_context(service(environment, python=PYTHON))
            http = httpx.Client(base_url=started.url, headers=HEADERS, timeout=30)
            return Running(started, door, ends.enter_context(http))

        yield begin


@pytest.fixture(scope="module")
def shared(start: Start) -> Running:
    return start(FLIGHTS_REDIS_SECONDS=0.5, FLIGHTS_REQUESTS_PER_MINUTE=1_000_000)


@pytest.fixture
def api(shared: Running) -> Iterator[Running]:
    yield shared
    shared.gate.heal()
    wait_until(lambda: shared.degraded() == [])


def test_it_answers_from_the_feature_store(api: Running) -> None:
    answer = api.predict()
    assert answer.status_code == 200 and answer.json()["degraded"] == []


def test_without_the_feature_store_it_answers_and_says_so(api: Running) -> None:
    api.gate.shut()
    answer = api.predict()
    assert answer.status_code == 200
    assert answer.json()["degraded"] == [AWAY]
    known = api.predict(inbound_delay_minutes=85, turnaround_minutes=40).json()
    assert known["features_used"] > answer.json()["features_used"] > 0
    ready = api.http.get("/ready")
    assert ready.status_code == 200 and ready.json()["feature_store"] == "away"
    assert "flight_feature_store_up 0.0" in api.http.get("/metrics").text
    api.gate.heal()
    wait_until(lambda: api.degraded() == [])
    assert api.http.get("/ready").json()["feature_store"] == "up"


def test_a_silent_feature_store_costs_one_wait_not_one_each(api: Running) -> None:
    api.gate.silence()
    began = time.monotonic()
    first = api.predict()
    assert first.json()["degraded"] == [AWAY]
    assert time.monotonic() - began < 5
    quick = 0
    for _ in range(50):
        began = time.monotonic()
        assert api.predict().json()["degraded"] == [AWAY]
        quick += time.monotonic() - began < 0.4  # less than the wait for Redis
    assert quick >= 40


def test_requests_that_wait_together_are_answered_together(api: Running) -> None:
    def most_together() -> float:
        lines = api.http.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if "together_bucket" in line
                   and 'le="8.0"' in line)  # fmt: skip

    flights = [FLIGHT | {"inbound_delay_minutes": minutes} for minutes in range(40)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        alone = list(pool.map(lambda f: api.http.post("/predict", json=f).json(), flights))
    together = api.http.post("/predict-batch", json={"flights": flights}).json()["predictions"]
    for one, other in zip(alone, together, strict=True):
        assert one["delay_minutes"] == pytest.approx(other["delay_minutes"], abs=0.011)
        assert one["degraded"] == other["degraded"] == []
    assert most_together() > 0


def test_who_leaves_early_disturbs_nobody(api: Running) -> None:
    body = json.dumps(FLIGHT).encode()
    request = (
        f"POST /predict HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    at = urlsplit(api.started.url)
    for cut in (10, len(request), len(request) + 5, len(request) + len(body)):
        with closing(socket.create_connection((at.hostname, at.port))) as caller:
            caller.sendall((request + body)[:cut])
    assert api.predict().status_code == 200
    assert "Traceback" not in api.started.log.read_text()


@pytest.fixture(scope="module")
def hasty(start: Start) -> Running:
    """A service with little time for a request and much for Redis."""
    return start(FLIGHTS_TIMEOUT_SECONDS=0.6, FLIGHTS_REDIS_SECONDS=20)


def test_an_answer_that_takes_too_long_is_a_504(hasty: Running) -> None:
    hasty.gate.silence()
    answer = hasty.predict()
    assert answer.status_code == 504
    assert answer.json()["error"] == "timeout" and "0.6 s" in answer.json()["reason"]
    hasty.gate.heal()
    wait_until(lambda: hasty.predict().status_code == 200)


def test_a_body_that_never_comes_is_a_504(hasty: Running) -> None:
    at = urlsplit(hasty.started.url)
    with closing(socket.create_connection((at.hostname, at.port), timeout=20)) as caller:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\nContent-Length: 100\r\n\r\n"
        )
        caller.sendall(head.encode() + b'{"route"')
        assert caller.recv(1000).startswith(b"HTTP/1.1 504")


def test_asked_to_end_it_finishes_what_it_began(start: Start) -> None:
    ending = start(FLIGHTS_REDIS_SECONDS=20)
    assert ending.predict().status_code == 200
    ending.gate.silence()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ending.predict) for _ in range(8)]
        wait_until(lambda: under_way(ending) >= 9)  # these, and the question itself
        ending.started.process.terminate()
        wait_until(lambda: not listens(ending.started.url))
        assert not any(question.done() for question in asked)
        ending.gate.heal()
        answers = [question.result(20) for question in asked]
    assert [answer.status_code for answer in answers] == [200] * 8
    assert all(answer.json()["degraded"] == [] for answer in answers)
    assert ending.started.process.wait(20) == 0
    assert "Traceback" not in ending.started.log.read_text()


def under_way(running: Running) -> float:
    """How many requests the service works on."""
    lines = httpx.get(f"{running.started.url}/metrics").text.splitlines()
    return next(float(li.split()[-1]) for li in lines if li.startswith("flight_requests_in_pro"))


def listens(url: str) -> bool:
    """Whether new connections are taken."""
    at = urlsplit(url)
    try:
        socket.create_connection((at.hostname, at.port), timeout=1).close()
    except OSError:
        return False
    return True


def test_it_starts_without_redis_and_ends_with_ctrl_c(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = taken.getsockname()[1]
    own = {"MODEL_PATH": str(models), "REDIS_URL": f"redis://127.0.0.1:{nowhere}/0"}
    with service(own | {"FLIGHTS_API_KEYS": f"t={KEY}"}, python=PYTHON) as started:
        answer = httpx.post(f"{started.url}/predict", json=FLIGHT, headers=HEADERS)
        assert answer.json()["degraded"] == [AWAY]
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(20) == 0
        assert "Traceback" not in started.log.read_text()


@pytest.mark.parametrize(
    ("options", "environment", "says"),
    [
        (("--host", "0.0.0.0"), {"FLIGHTS_API_KEYS": ""}, "set FLIGHTS_API_KEYS"),
        ((), {"FLIGHTS_TIMEOUT_SECONDS": "soon"}, "FLIGHTS_TIMEOUT_SECONDS='soon'"),
        ((), {"REDIS_URL": "nonsense"}, "REDIS_URL"),
        ((), {"FLIGHTS_PARAMS": "/nowhere/params.yaml"}, "params.yaml is missing"),
    ],
)
def test_it_says_why_it_cannot_start(
    options: tuple[str, ...], environment: dict[str, str], says: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert api_command.main(options) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("The service can't start: ") and says in complaint


def test_a_taken_port_is_said(api: Running) -> None:
    port = str(urlsplit(api.started.url).port)
    done = subprocess.run(
        [PYTHON, "-m", "src.api", "--port", port], cwd=PROJECT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "can't start" in done.stderr and "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_load_test_reports_and_passes(api: Running) -> None:
    command = [PYTHON, "tests/load_test.py", "--url", api.started.url, "--key", KEY]
    for options in (("--rps", "50"), ("--connections", "4")):
        done = subprocess.run(
            [*command, "--duration", "1s", *options], cwd=PROJECT,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "p99" in done.stdout and "'200'" in done.stdout
    done = subprocess.run(
        [*command[:-1], "wrong", "--duration", "0.2s", "--rps", "50"], cwd=PROJECT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "send a known key" in done.stdout


def test_loading_a_model_leaves_nothing_in_the_users_home(models: Path, tmp_path: Path) -> None:
    code = "import pathlib, sys, src.bundle; src.bundle.Bundle.load(pathlib.Path(sys.argv[1]))"
    folder = models / (models / "champion").read_text(encoding="utf-8").strip()
    subprocess.run(
        [PYTHON, "-c", code, str(folder)], cwd=PROJECT, check=True,
        env={"HOME": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
