"""The rollout on real traffic to real processes: a good version, faulty ones, killed workers.

Windows are shortened, the limits are the literal ones. Versions that answer wrongly are models of
their own; those that fail or dawdle are the real service with a fault in it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.flights.flight_service import PROJECT, python, running, started, stocked
from tests.flights.rollout_world import ROUTER, World, metrics, status, until

SERVICE = ("-m", "src.api", "--port", "0")
FAULTY = ("tests/faulty_service.py", "--port", "0")
FLIGHTS, RATE, WINDOW = 2000, 300, 3.0
TRAFFIC = ("--rps", str(RATE), "--flights", str(FLIGHTS))
CANARY = ("--window", str(WINDOW), "--every", "0.3", "--windows", "10")
# Closed loop: exactly so many requests are under way at any moment.
UNDER_WAY = 8
LOAD = ("--connections", str(UNDER_WAY))
Models = Mapping[str, Mapping[str, str]]  # the environment of a service, by version
# 2,000 flights are dealt by chance: the tenth of them is 200, give or take 4 times 13.
MOST_AT_TEN_PERCENT = 0.13

pytestmark = pytest.mark.xdist_group("flight_rollout")


@pytest.fixture(scope="module")
def world(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("rollout")
    with stocked(service("redis"), folder / "unused", trees=5) as given:
        yield World(folder, given)


@pytest.fixture(scope="module")
def models(world: World) -> Models:
    """Environments by version: v1 and v2 are right about every flight of the traffic, v3 wrong."""
    return world.models(v1=-30, v2=-30, v3=60)


@pytest.fixture(scope="module")
def stable(world: World, models: Models) -> Iterator[str]:
    """The version that answers today."""
    with running(world.log("stable"), *SERVICE, **models["v1"]) as url:
        yield url


@pytest.fixture(scope="module")
def better(world: World, models: Models) -> Iterator[str]:
    """Another version without fault."""
    with running(world.log("better"), *SERVICE, **models["v2"]) as url:
        yield url


@pytest.fixture(scope="module")
def faulty(world: World, models: Models) -> Iterator[str]:
    """A version that can be made to fail and to dawdle."""
    with running(world.log("faulty"), *FAULTY, **models["v2"]) as url:
        yield url


@contextmanager
def behind(world: World, stable: str, candidate: str) -> Iterator[str]:
    """The router's URL, with a candidate beside the stable side and no share yet."""
    world.forget()
    with world.router("--stable", stable, "--candidate", candidate) as url:
        yield url


def test_a_good_version_reaches_everybody(world: World, stable: str, better: str) -> None:
    with behind(world, stable, better) as url:
        with world.traffic(url, *TRAFFIC) as sent, world.canary(url, *CANARY) as canary:
            until(lambda: status(url)["sides"]["candidate"]["asked"] > 0, "the candidate is asked")
            world.land(FLIGHTS)
            assert canary.ended() == 0, canary.log.read_text()
        report, page = canary.report, metrics(url)
        assert report["result"] == "finish" and report["accuracy_judged"]
        going = [one for one in report["decisions"] if one["decision"] != "wait"]
        assert [(one["decision"], one["share"]) for one in going] == [
            ("advance", 0.1), ("advance", 0.5), ("finish", 1.0),
        ]  # fmt: skip
        assert going[-1]["accuracy"]["candidate"] > 0.9
        assert status(url)["share"] == 1.0 and status(url)["holder"] == ""
        assert 'flight_rollout_decisions_total{decision="finish",limit=""} 1.0' in page
        assert 'flight_rollout_accuracy{side="candidate"}' in page
    assert sent["bad"] == 0, sent


def rolled_back(world: World, url: str, limits: set[str], land: bool = False) -> None:
    """Roll a faulty version out, and check that it doesn't get far."""
    options = () if land else ("--without-accuracy",)
    if land:
        world.land(FLIGHTS)
    with world.traffic(url, *TRAFFIC) as sent, world.canary(url, *CANARY, *options) as canary:
        assert canary.ended() == 1, canary.log.read_text()
        asked = {name: side["asked"] for name, side in status(url)["sides"].items()}
    report, now = canary.report, status(url)
    (decision,) = report["decisions"]
    limit = decision["limit"]
    assert decision["decision"] == "roll back" and limit in limits
    assert decision["share"] == 0.1 and decision["reason"] in canary.log.read_text()
    assert report["recovery_seconds"] < 300
    assert asked["candidate"] <= MOST_AT_TEN_PERCENT * sum(asked.values()) + 5
    assert now["share"] == 0.0 and now["sides"]["candidate"]["in_flight"] == 0
    assert now["lost"] == 0 and sent["bad"] == 0, sent
    assert f'decisions_total{{decision="roll back",limit="{limit}"}} 1.0' in metrics(url)


@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        ({"errors": 0.3}, {"errors"}),
        ({"slow": 0.5, "seconds": 2.2}, {"p99"}),
        # Longer than the router waits.
        pytest.param({"slow": 0.5, "seconds": 6.0}, {"p99", "errors"}, marks=pytest.mark.long),
    ],
    ids=["fails", "dawdles", "hangs"],
)
def test_a_version_with_a_fault_is_rolled_back(
    world: World, stable: str, faulty: str, fault: dict[str, float], limits: set[str]
) -> None:
    httpx.put(f"{faulty}/fault", json=fault).raise_for_status()
    with behind(world, stable, faulty) as url:
        rolled_back(world, url, limits)
        # What it failed, the stable side answered.
        assert (status(url)["saved"] > 0) == ("errors" in limits)


def test_a_version_that_is_wrong_is_rolled_back(world: World, stable: str, models: Models) -> None:
    with (
        running(world.log("wrong"), *SERVICE, **models["v3"]) as wrong,
        behind(world, stable, wrong) as url,
    ):
        rolled_back(world, url, {"accuracy"}, land=True)


@pytest.mark.long
def test_a_version_that_dies_is_rolled_back(world: World, stable: str, models: Models) -> None:
    """Killed at 10 %: every later request for it counts as its error, and nobody notices."""
    with (
        started(world.log("doomed"), *SERVICE, **models["v2"]) as (doomed, process),
        behind(world, stable, doomed) as url,
        world.traffic(url, *TRAFFIC) as sent,
        world.canary(url, *CANARY, "--without-accuracy") as canary,
    ):
        until(lambda: status(url)["sides"]["candidate"]["asked"] > 20, "the candidate is asked")
        process.kill()
        assert canary.ended() == 1
        assert canary.report["decisions"][-1]["limit"] == "errors"
        assert status(url)["share"] == 0.0 and status(url)["lost"] == 0
    assert sent["bad"] == 0, sent


def test_without_traffic_nothing_is_promoted(world: World, stable: str, better: str) -> None:
    """Nobody asks: it waits its windows, says so, and takes the candidate off the air."""
    little = ("--window", "0.3", "--windows", "2", "--without-accuracy")
    with behind(world, stable, better) as url, world.canary(url, *little) as canary:
        assert canary.ended() == 3
        said = canary.log.read_text()
        assert "At 10 %: wait. too little to judge errors by: 0 of the 100" in said
        assert canary.report["result"] == "give up" and status(url)["share"] == 0.0


def test_one_canary_at_a_time_and_stopped_by_hand_it_leaves_no_share(
    world: World, stable: str, better: str
) -> None:
    with behind(world, stable, better) as url, world.canary(url, "--window", "60") as first:
        until(lambda: status(url)["share"] == 0.1, "the first canary begins")
        with world.canary(url) as second:
            assert second.ended() == 2
            assert "another canary is under way" in second.log.read_text()
        assert status(url)["share"] == 0.1
        first.process.send_signal(signal.SIGINT)
        assert first.ended() == 130 and first.report["result"] == "stopped"
        assert status(url)["share"] == 0.0
        assert "Traceback" not in first.log.read_text()


@pytest.mark.long
def test_a_canary_that_is_killed_leaves_no_share_behind(
    world: World, stable: str, better: str
) -> None:
    with behind(world, stable, better) as url:
        with world.canary(url, "--window", "60", "--every", "1") as canary:
            until(lambda: status(url)["share"] == 0.1, "the canary begins")
            canary.process.kill()
        until(lambda: status(url)["share"] == 0.0, "the lease runs out", 20)
        assert 'decisions_total{decision="expired",limit=""} 1.0' in metrics(url)


@pytest.mark.long
def test_a_canary_that_loses_its_router_says_so(world: World, stable: str, better: str) -> None:
    sides = ("--stable", stable, "--candidate", better)
    with (
        started(world.log("router"), *ROUTER, *sides, **world.given) as (url, process),
        world.canary(url, "--window", "60", "--every", "0.5") as canary,
    ):
        until(lambda: status(url)["share"] == 0.1, "the canary begins")
        process.kill()
        assert canary.ended(30) == 2
        assert "a router that starts again begins with 0 %" in canary.log.read_text()
        assert canary.report["result"] == "stopped"


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "design"), [(["--mirror"], "paired"), (["--share", "0.5"], "split")]
)
def test_versions_are_compared_by_what_they_said_in_service(
    world: World, stable: str, models: Models, options: list[str], design: str
) -> None:
    """A mirror makes pairs of live flights; a traffic split makes two groups of them."""
    world.forget()
    command = [python("serving"), "-m", "src.rollout.ab", "v1", "v3", "--landed"]
    with (
        running(world.log("wrong"), *SERVICE, **models["v3"]) as wrong,
        world.router("--stable", stable, "--candidate", wrong, *options) as url,
        world.traffic(url, *TRAFFIC) as sent,
    ):
        until(lambda: asked(url) > 600, "flights are predicted")
    world.land(FLIGHTS)
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **world.given}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"v1 and v3, {design}:" in done.stdout and "v1 is better: " in done.stdout
    assert sent["bad"] == 0, sent


def asked(url: str) -> int:
    """Requests that the router has handed over so far."""
    return int(status(url)["sides"]["stable"]["asked"])


def up(url: str) -> int:
    """Workers that the router thinks are up."""
    return sum(one["up"] for one in status(url)["sides"]["stable"]["backends"])


@pytest.mark.faults
def test_kill_9_behind_two_workers(
    world: World, stable: str, models: Models, rng: random.Random
) -> None:
    """The same kill seen through two routers, one with and one without fail-over."""
    with ExitStack() as ends:
        doomed, process = ends.enter_context(started(world.log("doomed"), *SERVICE, **models["v1"]))
        workers = ("--stable", stable, "--stable", doomed)
        routers = [ends.enter_context(world.router(*workers, *more)) for more in MODES]
        results = [ends.enter_context(world.traffic(url, *LOAD)) for url in routers]
        until(lambda: all(asked(url) > 100 for url in routers), "both routers are busy")
        time.sleep(rng.uniform(0, 0.3))  # the moment is chance; nothing waits for it
        process.kill()
        then = [asked(url) for url in routers]
        until(lambda: all(up(url) == 1 for url in routers), "the routers notice")
        until(
            lambda: all(asked(url) > had + 100 for url, had in zip(routers, then, strict=True)),
            "the other worker carries on",
        )
        lost = [status(url)["lost"] for url in routers]
        saved = status(routers[0])["saved"]
        ends.pop_all().close()
    with_failover, without = results
    print(f"saved {saved}, lost {lost}, of {UNDER_WAY} under way in each of two routers")
    assert with_failover["bad"] == 0 == lost[0], with_failover
    assert without["bad"] == lost[1] <= UNDER_WAY, without
    assert set(without["statuses"]) <= {"200", "502"}


MODES: tuple[tuple[str, ...], ...] = ((), ("--no-failover",))


@pytest.mark.long
def test_a_worker_that_comes_back_is_used_again(world: World, stable: str, models: Models) -> None:
    with ExitStack() as ends:
        log = world.log("first")
        first, process = ends.enter_context(started(log, *SERVICE, **models["v1"]))
        url = ends.enter_context(world.router("--stable", stable, "--stable", first))
        process.kill()
        until(lambda: up(url) == 1, "the router notices")
        port = first.rpartition(":")[2]
        ends.enter_context(started(world.log("second"), *SERVICE[:-1], port, **models["v1"]))
        until(lambda: up(url) == 2, "the router uses the new worker")


@pytest.mark.long
@pytest.mark.faults
def test_a_worker_that_is_frozen_costs_patience_and_no_request(
    world: World, stable: str, models: Models, rng: random.Random
) -> None:
    """SIGSTOP: connections stay open and nobody answers, until the router asks the next."""
    if not hasattr(signal, "SIGSTOP"):
        pytest.skip("this system can't freeze a process")
    with ExitStack() as ends:
        frozen, process = ends.enter_context(started(world.log("frozen"), *SERVICE, **models["v1"]))
        url = ends.enter_context(world.router("--stable", stable, "--stable", frozen))
        result = ends.enter_context(world.traffic(url, *LOAD))
        until(lambda: asked(url) > 200, "the router is busy")
        time.sleep(rng.uniform(0, 0.3))
        os.kill(process.pid, signal.SIGSTOP)
        try:
            until(lambda: up(url) == 1, "the router notices")
            then = asked(url)
            until(lambda: asked(url) > then + 200, "the other worker carries on")
        finally:
            os.kill(process.pid, signal.SIGCONT)
        until(lambda: up(url) == 2, "the router uses it again")
        ends.pop_all().close()
    assert result["bad"] == 0, result
