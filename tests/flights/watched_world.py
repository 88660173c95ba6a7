"""The flights' service under watch: Redis of its own, services, exporter and a real Prometheus.

All are processes of their own, on ports of their own, so that a test may kill, stop and starve each
of them.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from redis import Redis
from redis.exceptions import RedisError

from course.stack.ports import any_free_port
from course.stack.redis import redis_server
from tests.flights.flight_service import KEY, PROJECT, address, python, stocked
from tests.support import load_lesson

FACTOR = 60  # windows of 5 minutes last 5 seconds
WINDOW = 600  # flights that the exporter's figures rest on
HEADERS = {"X-API-Key": KEY}
REFERENCE_FLIGHTS = 3_000
NEW_YEARS_EVE = 365  # day of the year of all flights here
USUAL, SPREAD = 10.0, 10.0  # minutes of inbound delay
FASTER = {
    "scrape_interval: 15s": "scrape_interval: 500ms",
    "scrape_timeout: 10s": "scrape_timeout: 500ms",
    "evaluation_interval: 15s": "evaluation_interval: 500ms",
}
AGE = """
import sys, time
from datetime import UTC, datetime
from redis import Redis
from features import route_features
from src.packed import write
from src.service.settings import from_environment
settings = from_environment()
row = dict.fromkeys(route_features.VIEW.columns, 10.0)
rows = [("JFK-LAX", datetime(2024, 12, 31, 22, tzinfo=UTC), row)]
with Redis.from_url(settings.redis) as redis:
    write(redis, route_features.VIEW, rows, settings.key_prefix, time.time() - float(sys.argv[1]))
"""


def rules_module() -> ModuleType:
    """src/monitoring/rules.py, which needs nothing but Python."""
    return load_lesson("advanced_examples/flight_delays/src/monitoring/rules.py")


def until(truth: Callable[[], bool], seconds: float = 60.0, what: str = "it") -> None:
    """Wait until `truth` holds; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds:g} s"
        time.sleep(0.1)


@dataclass
class Process:
    """A process that can be started again with the same command; it says where it listens."""

    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    running: "subprocess.Popen[bytes] | None" = None

    def launch(self) -> None:
        """Start it, without waiting for anything."""
        with self.log.open("wb") as output:
            self.running = subprocess.Popen(
                self.command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            )  # fmt: skip

    def start(self) -> str:
        """Start it and wait until it says where it listens."""
        self.launch()
        return self.wait()

    def wait(self) -> str:
        """Where it listens, waited for."""
        assert self.running is not None
        return address(self.running, self.log)

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self.running is not None
        self.running.send_signal(number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.send(signal.SIGKILL)
        assert self.running is not None
        self.running.wait()

    def stop(self) -> None:
        """End it, stopped or not."""
        if self.running is not None and self.running.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self.running.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Traffic:
    """Flights like those of the reference, one after another to each target, in a thread."""

    def __init__(self, targets: list[str], routes: list[str], tails: list[str]) -> None:
        self.targets, self.routes, self.tails = targets, routes, tails
        self.usual = USUAL
        self._chance = random.Random(7)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def flight(self, usual: float | None = None, **more: object) -> dict[str, object]:
        """A flight whose aircraft comes in about `usual` minutes late."""
        mean = self.usual if usual is None else usual
        return {
            "route": self._chance.choice(self.routes),
            "airline": self._chance.choice(["AA", "UA", "DL", "SW"]),
            "departure_time": "2024-12-31T23:30:00Z",
            "aircraft_type": self._chance.choice(["A320", "A321", "B737"]),
            "tail_number": self._chance.choice(self.tails),
            "inbound_delay_minutes": max(-120.0, self._chance.gauss(mean, SPREAD)),
            **more,
        }

    def batch(self, url: str, flights: list[dict[str, object]]) -> list[dict[str, Any]]:
        """The predictions for `flights` in one request."""
        answer = httpx.post(
            f"{url}/predict-batch", json={"flights": flights}, headers=HEADERS, timeout=60
        )
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["predictions"]
        return found

    def _run(self) -> None:
        with httpx.Client(headers=HEADERS, timeout=30) as http:
            while not self._end.wait(0.03):
                for url in self.targets:
                    try:
                        http.post(f"{url}/predict", json=self.flight())
                    except httpx.HTTPError:
                        continue  # who was killed does not answer: that is what we watch

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Let it flow while the block lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._end.set()
            self._thread.join()


@dataclass
class World:
    """What runs, and how to ask Prometheus about it."""

    folder: Path
    given: dict[str, str]
    redis: Process
    api: Process
    spare: Process
    exporter: Process
    urls: dict[str, str]
    traffic: Traffic

    @property
    def prefix(self) -> str:
        """What our keys in Redis begin with."""
        return self.given["FLIGHTS_KEY_PREFIX"]

    def connect(self) -> Redis:
        """A connection to the private Redis."""
        return Redis.from_url(self.given["REDIS_URL"])

    def ask(self, path: str) -> Any:
        """The data of an answer of Prometheus' HTTP API."""
        return httpx.get(f"{self.urls['prometheus']}/api/v1/{path}", timeout=20).json()["data"]

    def query(self, expression: str) -> list[float]:
        """The values of an instant query, one for each series."""
        found = self.ask(f"query?query={quote(expression)}")["result"]
        return [float(series["value"][1]) for series in found]

    def firing(self, name: str) -> list[dict[str, str]]:
        """The labels of the alerts of this name that fire."""
        return [
            alert["labels"]
            for alert in self.ask("alerts")["alerts"]
            if alert["labels"]["alertname"] == name and alert["state"] == "firing"
        ]

    def fires(self, name: str, seconds: float = 60.0, **labels: str) -> None:
        """Wait until the alert fires with these labels."""
        found: list[dict[str, str]] = []

        def does() -> bool:
            found[:] = self.firing(name)
            return any(labels.items() <= one.items() for one in found)

        until(does, seconds, f"{name} firing with {labels}, not {found}")

    def clears(self, *names: str) -> None:
        """Wait until none of the alerts fires."""
        for name in names:
            until(lambda name=name: not self.firing(name), what=f"{name} cleared")  # type: ignore[misc]

    def run(self, *command: str) -> None:
        """Run a command of the project in the serving environment."""
        subprocess.run(
            [python("serving"), *command], cwd=PROJECT, check=True,
            env={**os.environ, **self.given}, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def age_features(self, seconds: float) -> None:
        """Write the routes' features as they would have been written so long ago."""
        self.run("-c", AGE, str(seconds))

    def tell(self, truth: dict[str, float]) -> None:
        """Tell the monitoring how late flights were, as a file."""
        file = self.folder / "landed.csv"
        lines = [f"{name},{minutes}\n" for name, minutes in truth.items()]
        file.write_text("".join(["flight_id,actual_delay_minutes\n", *lines]), encoding="utf-8")
        self.run("-m", "src.monitoring.landed", str(file))

    def usual_again(self) -> None:
        """Fill the exporter's window with flights as they were."""
        self.traffic.usual = USUAL
        self.traffic.batch(self.urls["api"], [self.traffic.flight() for _ in range(WINDOW)])


def private_redis(folder: Path) -> tuple[Process, str]:
    """A Redis of our own, which keeps its data when it is killed; and its URL."""
    program = redis_server()
    if program is None:
        pytest.skip("there is no Redis server to run, only its imitation")
    port = any_free_port()
    home = folder / "redis"
    home.mkdir()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", "",
               "--appendonly", "yes")  # fmt: skip
    return Process([program, *options], folder / "redis.log"), f"redis://127.0.0.1:{port}/0"


def answers(url: str) -> bool:
    """Whether a Redis answers at `url`."""
    try:
        with Redis.from_url(url, socket_timeout=1, retry=None) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


def entities(url: str, prefix: str) -> list[str]:
    """Of whom there are features, in order."""
    with Redis.from_url(url) as redis:
        return sorted(key.decode().removeprefix(prefix) for key in redis.keys(f"{prefix}*"))


def prometheus(program: str, folder: Path, addresses: dict[str, str]) -> tuple[Process, str]:
    """Prometheus on the project's config, with other addresses and shorter windows; and its URL."""
    text = (PROJECT / "monitoring" / "prometheus.yml").read_text(encoding="utf-8")
    for old, new in {**FASTER, **addresses}.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    rules = rules_module()
    short = rules.shortened(rules.FILE.read_text(encoding="utf-8"), FACTOR)
    (folder / "alerts.yml").write_text(short, encoding="utf-8")
    at = f"127.0.0.1:{any_free_port()}"
    command = [
        program, f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={at}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]  # fmt: skip
    return Process(command, folder / "prometheus.log"), f"http://{at}"


def is_ready(url: str) -> bool:
    """Whether Prometheus has read all it needs."""
    try:
        return httpx.get(f"{url}/-/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def keep_reference(models: Path, redis_url: str, prefix: str) -> None:
    """Take the flights that were predicted so far as those that the model learnt from."""
    with Redis.from_url(redis_url) as redis:
        until(lambda: redis.xlen(f"{prefix}:predictions") >= REFERENCE_FLIGHTS)
        rows = [fields[b"inputs"] for _, fields in redis.xrange(f"{prefix}:predictions")]
    matrix = np.array([np.frombuffer(row, "<f4") for row in rows])
    days = np.full(len(matrix), NEW_YEARS_EVE, np.int16)
    np.savez(models / "tiny-1" / "reference.npz", matrix=matrix, day_of_year=days)


def second_version(models: Path) -> None:
    """Put the same model there once more, as tiny-2."""
    shutil.copytree(models / "tiny-1", models / "tiny-2")
    file = models / "tiny-2" / "bundle.json"
    about = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(about | {"version": "tiny-2"}), encoding="utf-8")


@contextmanager
def watched_world(program: str, folder: Path) -> Iterator[World]:
    """All of it while the block lasts, with usual traffic; the spare service isn't started."""
    models = folder / "models"
    models.mkdir()
    with ExitStack() as ends:

        def begun(process: Process) -> Process:
            ends.callback(process.stop)
            process.launch()
            return process

        def service(name: str, environment: dict[str, str]) -> tuple[Process, str]:
            port = any_free_port()
            command = [python("serving"), "-m", "src.api", "--port", str(port)]
            return Process(command, folder / f"{name}.log", environment), f"http://127.0.0.1:{port}"

        redis, redis_url = private_redis(folder)
        begun(redis)
        until(lambda: answers(redis_url))
        given = ends.enter_context(stocked(redis_url, models, 20))
        given |= {"FLIGHTS_REDIS_SECONDS": "2", "FLIGHTS_BUILD": "a1"}
        api, api_url = service("api", given)
        spare, spare_url = service(
            "spare", given | {"MODEL_PATH": str(folder / "spare"), "FLIGHTS_BUILD": "b2"}
        )
        ends.callback(spare.stop)
        begun(api).wait()
        prefix = given["FLIGHTS_KEY_PREFIX"]
        routes, tails = (entities(redis_url, f"{prefix}:{view}:") for view in ("route", "aircraft"))
        traffic = Traffic([api_url], routes, tails)
        for _ in range(REFERENCE_FLIGHTS // 1000):
            traffic.batch(api_url, [traffic.flight() for _ in range(1000)])
        keep_reference(models, redis_url, prefix)
        second_version(models)
        port = any_free_port()
        options = ("--port", str(port), "--every", "0.5", "--window", str(WINDOW))
        command = [python("serving"), "-m", "src.monitoring.exporter", *options]
        exporter = begun(Process(command, folder / "exporter.log", given))
        addresses = {"9696": api_url, "9697": f"http://127.0.0.1:{port}"}
        places = {f"127.0.0.1:{old}": url[7:] for old, url in addresses.items()}
        places['["' + api_url[7:] + '"]'] = f'["{api_url[7:]}", "{spare_url[7:]}"]'
        watcher, url = prometheus(program, folder, places)
        begun(watcher)
        urls = {"api": api_url, "spare": spare_url, "prometheus": url}
        world = World(folder, given, redis, api, spare, exporter, urls, traffic)
        world.age_features(0)
        exporter.wait()
        until(lambda: is_ready(url))
        ends.enter_context(traffic.flowing())
        yield world
