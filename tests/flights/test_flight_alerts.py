"""Each alert fires by its real cause in a real Prometheus, and clears when the cause is mended.

The rules are the project's own with windows 60 times shorter; limits are as they are.
"""

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.flights.watched_world import (
    HEADERS,
    SPREAD,
    USUAL,
    WINDOW,
    World,
    answers,
    rules_module,
    until,
    watched_world,
)
from tests.support import load_lesson


@pytest.fixture(scope="module")
def world(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with watched_world(tool("prometheus"), tmp_path_factory.mktemp("watched")) as made:
        yield made


@contextmanager
def spare(world: World) -> Iterator[str]:
    """The spare service while the block lasts, with whatever model it finds; its URL."""
    url = world.spare.start()
    world.traffic.targets.append(url)
    try:
        yield url
    finally:
        world.traffic.targets.remove(url)
        world.spare.stop()


@pytest.mark.long
@pytest.mark.faults
def test_a_service_without_a_model_fails_its_requests_until_it_has_one(world: World) -> None:
    """FlightNoModel, FlightErrorRateHigh; and a new build is news: FlightDeployed."""
    at = world.urls["spare"].removeprefix("http://")
    with spare(world):
        world.fires("FlightNoModel", instance=at)
        world.fires("FlightErrorRateHigh", severity="critical")
        world.fires("FlightDeployed", build="b2")
        shutil.copytree(world.folder / "models", world.folder / "spare")
        world.clears("FlightNoModel", "FlightErrorRateHigh")
        world.spare.kill()
        world.fires("FlightTargetDown", instance=at)
        world.spare.start()
        # Killed without a word, again and again: a loop after three new starts in a window.
        started = f'flight_process_start_time_seconds{{instance="{at}"}}'
        for _ in range(12):
            before = world.query(started)
            if world.firing("FlightCrashLoop"):
                break
            world.spare.kill()
            world.spare.start()
            until(lambda before=before: world.query(started) not in ([], before))
        world.fires("FlightCrashLoop", instance=at, severity="critical")
        world.clears("FlightTargetDown", "FlightDeployed", "FlightCrashLoop")


def test_features_that_grow_old_or_are_missing(world: World) -> None:
    """FlightFeaturesStale: nothing was written for 3 hours. FlightNullRateHigh: rows are gone."""
    world.age_features(3 * 3600)
    gone = [f"{world.prefix}:route:{route}" for route in world.traffic.routes[:20]]
    with world.connect() as redis:
        held = redis.mget(gone)
        redis.delete(*gone)
        world.fires("FlightFeaturesStale", view="route")
        world.fires("FlightNullRateHigh", source="route")
        redis.mset(dict(zip(gone, held, strict=True)))
    world.age_features(0)
    world.clears("FlightFeaturesStale", "FlightNullRateHigh")


def test_flights_unlike_those_of_training(world: World) -> None:
    """FlightDriftWarning: aircraft come in 0.4 deviations later; FlightDriftCritical: an hour."""
    for later, name, severity in (
        (0.4 * SPREAD, "FlightDriftWarning", "warning"),
        (60.0, "FlightDriftCritical", "critical"),
    ):
        world.traffic.usual = USUAL + later
        flights = [world.traffic.flight() for _ in range(WINDOW)]
        world.traffic.batch(world.urls["api"], flights)
        world.fires(name, input="inbound_delay_minutes", severity=severity)
    world.usual_again()
    world.clears("FlightDriftWarning", "FlightDriftCritical")


@pytest.mark.long
def test_a_new_model_is_news_and_a_wrong_one_an_alarm(world: World) -> None:
    """FlightModelUpdated: the champion moves. FlightAccuracyLow: flights land otherwise."""
    champion = world.folder / "models" / "champion"
    champion.write_text("tiny-2\n", encoding="utf-8")
    world.fires("FlightModelUpdated", version="tiny-2")
    flights = [world.traffic.flight(flight_id=f"F{number}") for number in range(200)]
    said = world.traffic.batch(world.urls["api"], flights)
    late = {f"F{number}": one["delay_minutes"] >= 15 for number, one in enumerate(said)}
    world.tell({name: 0.0 if called else 60.0 for name, called in late.items()})
    world.fires("FlightAccuracyLow", version="tiny-2")
    world.tell({name: 60.0 if called else 0.0 for name, called in late.items()})
    world.clears("FlightAccuracyLow", "FlightModelUpdated")


@contextmanager
def stuttering(world: World) -> Iterator[None]:
    """Redis stops for 0.7 s again and again: late, but within the time that a read may take."""
    end = threading.Event()

    def stutter() -> None:
        while not end.is_set():
            world.redis.send(signal.SIGSTOP)
            time.sleep(0.7)
            world.redis.send(signal.SIGCONT)
            end.wait(0.1)

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@pytest.mark.long
@pytest.mark.faults
def test_a_slow_feature_store_makes_slow_answers(world: World) -> None:
    """FlightLatencyHigh."""
    with stuttering(world):
        world.fires("FlightLatencyHigh", severity="warning")
    world.clears("FlightLatencyHigh")


@pytest.mark.long
@pytest.mark.faults
def test_a_killed_feature_store(world: World) -> None:
    """FlightFeatureStoreAway, and the exporter has nothing to read: FlightMonitoringBlind."""
    world.redis.kill()
    world.fires("FlightFeatureStoreAway", severity="critical")
    world.fires("FlightMonitoringBlind")
    assert httpx.post(
        f"{world.urls['api']}/predict", json=world.traffic.flight(), headers=HEADERS
    ).json()["degraded"]
    world.redis.launch()
    until(lambda: answers(world.given["REDIS_URL"]))
    world.clears("FlightFeatureStoreAway", "FlightMonitoringBlind", "FlightNullRateHigh")


def first_come_first_served(world: World) -> None:
    """Let the service have its core on a machine where others work, where we may."""
    assert world.api.running is not None
    with suppress(OSError):
        for thread in Path(f"/proc/{world.api.running.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), -15)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.faults
def test_more_flights_than_a_core_can_predict(world: World) -> None:
    """FlightCpuHigh."""
    first_come_first_served(world)
    # Written once and the answers left unread: this process must not be what is busy.
    flights = [world.traffic.flight() for _ in range(1000)]
    body = json.dumps({"flights": flights}).encode()
    headers = HEADERS | {"Content-Type": "application/json"}
    end = threading.Event()

    def load() -> None:
        with httpx.Client(base_url=world.urls["api"], headers=headers, timeout=60) as http:
            while not end.is_set():
                assert http.post("/predict-batch", content=body).status_code == 200

    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load) for _ in range(4)]
        try:
            world.fires("FlightCpuHigh", seconds=200, severity="warning")
        finally:
            end.set()
        for one in loads:
            one.result()
    world.clears("FlightCpuHigh")


def test_every_alert_has_its_cause_here() -> None:
    rules = rules_module().FILE.read_text(encoding="utf-8")
    named = set(re.findall(r"- alert: (\w+)", rules))
    here = Path(__file__).read_text(encoding="utf-8")
    assert named == set(re.findall(r'"(Flight[A-Z]\w+)"', here))


def test_every_query_of_the_dashboards_returns_a_series(world: World) -> None:
    dashboards = load_lesson("advanced_examples/flight_delays/monitoring/dashboards.py")
    names = [f"D{number}" for number in range(200)]
    busiest = world.traffic.routes[0]  # an airline or a route is shown from 20 flights on
    flights = [world.traffic.flight(route=busiest, flight_id=name) for name in names]
    world.traffic.batch(world.urls["api"], flights)
    world.tell({name: float(number % 40) for number, name in enumerate(names)})
    for query in dashboards.queries():
        short = query.replace(dashboards.WINDOW, "5s")

        def finite(short: str = short) -> bool:
            return any(value == value for value in world.query(short))

        until(finite, 30, query)
