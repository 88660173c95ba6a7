"""The canary on real traffic to real processes: a good version, and faulty ones of each kind.

Windows are shortened, the limits are the literal ones. Versions that answer wrongly are models of
their own; those that fail or dawdle are the real service with a fault in it.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.flights.flight_service import PROJECT, python, running, stocked
from tests.flights.rollout_world import World, metrics, status, until

SERVICE = ("-m", "src.api", "--port", "0")
FAULTY = ("tests/faulty_service.py", "--port", "0")
FLIGHTS, RATE, WINDOW = 2000, 300, 4.0
TRAFFIC = ("--rps", str(RATE), "--flights", str(FLIGHTS))
CANARY = ("--window", str(WINDOW), "--every", "0.4", "--windows", "6")
# 2,000 flights are dealt by chance: the tenth of them is 200, give or take 4 times 13.
MOST_AT_TEN_PERCENT = 0.13

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("flight_rollout")]


@pytest.fixture(scope="module")
def world(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("rollout")
    with stocked(service("redis"), folder / "unused", trees=5) as given:
        yield World(folder, given)


@pytest.fixture(scope="module")
def good(world: World) -> dict[str, str]:
    """The environment of a service that is right about every flight of the traffic."""
    return world.model("v1", usual=-30)


@pytest.fixture(scope="module")
def stable(world: World, good: dict[str, str]) -> Iterator[str]:
    """The version that answers today."""
    with running(world.log("stable"), *SERVICE, **good) as url:
        yield url


@contextmanager
def behind(world: World, stable: str, environment: dict[str, str], *command: str) -> Iterator[str]:
    """The router's URL, with a candidate beside the stable side and no share yet."""
    world.forget()
    with ExitStack() as ends:
        candidate = ends.enter_context(running(world.log("new"), *command, **environment))
        yield ends.enter_context(world.router("--stable", stable, "--candidate", candidate))


def test_a_good_version_reaches_everybody(world: World, stable: str) -> None:
    better = world.model("v2", usual=-30)
    with behind(world, stable, better, *SERVICE) as url:
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


def rolled_back(
    world: World, url: str, limit: str, traffic: tuple[str, ...] = TRAFFIC, land: bool = False
) -> None:
    """Roll a faulty version out, and check that it doesn't get far."""
    options = () if land else ("--without-accuracy",)
    with world.traffic(url, *traffic) as sent, world.canary(url, *CANARY, *options) as canary:
        if land:
            until(lambda: status(url)["sides"]["candidate"]["asked"] > 0, "the candidate is asked")
            world.land(FLIGHTS)
        assert canary.ended() == 1, canary.log.read_text()
        asked = {name: side["asked"] for name, side in status(url)["sides"].items()}
    report, now = canary.report, status(url)
    (decision,) = report["decisions"]
    assert (decision["decision"], decision["limit"]) == ("roll back", limit)
    assert decision["share"] == 0.1 and decision["reason"] in canary.log.read_text()
    assert report["recovery_seconds"] < 300
    assert asked["candidate"] <= MOST_AT_TEN_PERCENT * sum(asked.values()) + 5
    assert now["share"] == 0.0 and now["sides"]["candidate"]["in_flight"] == 0
    assert now["lost"] == 0 and sent["bad"] == 0, sent
    assert f'decisions_total{{decision="roll back",limit="{limit}"}} 1.0' in metrics(url)


def test_a_version_that_fails_is_rolled_back(
    world: World, stable: str, good: dict[str, str]
) -> None:
    with behind(world, stable, good, *FAULTY, "--errors", "0.3") as url:
        rolled_back(world, url, "errors")
        assert status(url)["saved"] > 0  # what it failed, the stable side answered


def test_a_version_that_dawdles_is_rolled_back(
    world: World, stable: str, good: dict[str, str]
) -> None:
    with behind(world, stable, good, *FAULTY, "--slow", "0.5", "--seconds", "2.2") as url:
        rolled_back(world, url, "p99")


def test_a_version_that_is_wrong_is_rolled_back(world: World, stable: str) -> None:
    wrong = world.model("v3", usual=60)
    with behind(world, stable, wrong, *SERVICE) as url:
        rolled_back(world, url, "accuracy", land=True)


def test_a_version_that_dies_is_rolled_back(
    world: World, stable: str, good: dict[str, str]
) -> None:
    """Killed at 10 %: every later request for it counts as its error, and nobody notices."""
    with (
        running(world.log("dying"), *SERVICE, **good) as doomed,
        world.router("--stable", stable, "--candidate", doomed) as url,
        world.traffic(url, *TRAFFIC) as sent,
        world.canary(url, *CANARY, "--without-accuracy") as canary,
    ):
        until(lambda: status(url)["sides"]["candidate"]["asked"] > 20, "the candidate is asked")
        kill(doomed)
        assert canary.ended() == 1
        assert canary.report["decisions"][-1]["limit"] == "errors"
        assert status(url)["share"] == 0.0 and status(url)["lost"] == 0
    assert sent["bad"] == 0, sent


def kill(url: str) -> None:
    """Kill whoever listens at `url`, as `kill -9` does."""
    import psutil

    port = int(url.rpartition(":")[2])
    (owner,) = {
        one.pid for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port
    }  # fmt: skip
    psutil.Process(owner).kill()


def test_without_traffic_nothing_is_promoted(
    world: World, stable: str, good: dict[str, str]
) -> None:
    """Nobody asks: it waits its windows, says so, and takes the candidate off the air."""
    little = ("--window", "0.3", "--windows", "2", "--without-accuracy")
    with behind(world, stable, good, *SERVICE) as url, world.canary(url, *little) as canary:
        assert canary.ended() == 3
        said = canary.log.read_text()
        assert "At 10 %: wait. too little to judge errors by: 0 of the 100" in said
        assert canary.report["result"] == "give up" and status(url)["share"] == 0.0
        again = world.canary(url, "--window", "30", "--without-accuracy")
        with again as stopped:
            until(lambda: status(url)["share"] == 0.1, "the second canary begins")
            third = [python("serving"), "-m", "src.rollout.canary", "--router", url]
            refused = subprocess.run(
                [*third, "--report", str(world.log("third"))],
                cwd=PROJECT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert refused.returncode == 2 and "another canary is under way" in refused.stderr
            assert status(url)["share"] == 0.1
            stopped.process.send_signal(signal.SIGINT)
            assert stopped.ended() == 130
        assert status(url)["share"] == 0.0 and stopped.report["result"] == "stopped"
        assert "Traceback" not in stopped.log.read_text()


def test_a_canary_that_is_killed_or_loses_its_router_leaves_no_share_behind(
    world: World, stable: str, good: dict[str, str]
) -> None:
    with running(world.log("other"), *SERVICE, **good) as candidate:
        sides = ("--stable", stable, "--candidate", candidate)
        with world.router(*sides) as url:
            with world.canary(url, "--window", "60", "--every", "1") as canary:
                until(lambda: status(url)["share"] == 0.1, "the canary begins")
                canary.process.kill()
            until(lambda: status(url)["share"] == 0.0, "the lease runs out", 20)
            assert 'decisions_total{decision="expired",limit=""} 1.0' in metrics(url)
            with world.canary(url, "--window", "60", "--every", "0.5") as canary:
                until(lambda: status(url)["share"] == 0.1, "the canary begins")
                kill(url)
                assert canary.ended(30) == 2
            assert "a router that starts again begins with 0 %" in canary.log.read_text()
            assert canary.report["result"] == "stopped"
