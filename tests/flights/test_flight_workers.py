"""kill -9 behind two workers: what callers see of it.

With fail-over nobody loses anything: a prediction that was begun is asked again elsewhere. Without
it, at most the requests that were under way are lost. The load is closed loop: as many requests are
under way at any moment as there are connections.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.flights.flight_service import started, stocked
from tests.flights.rollout_world import World, status, until

SERVICE = ("-m", "src.api", "--port")
UNDER_WAY = 8
LOAD = ("--connections", str(UNDER_WAY))

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("flight_rollout")]


@pytest.fixture(scope="module")
def world(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("workers")
    with stocked(service("redis"), folder, trees=5) as given:
        yield World(folder, given)


@pytest.fixture(scope="module")
def lasting(world: World) -> Iterator[str]:
    """The worker that goes on."""
    with started(world.log("lasting"), *SERVICE, "0", **world.given) as (url, _):
        yield url


def asked(url: str) -> int:
    """Requests that the router has handed over so far."""
    return int(status(url)["sides"]["stable"]["asked"])


def up(url: str) -> int:
    """Workers that the router thinks are up."""
    return sum(one["up"] for one in status(url)["sides"]["stable"]["backends"])


def test_kill_9_behind_two_workers(world: World, lasting: str, rng: random.Random) -> None:
    """The same kill seen through two routers, one with and one without fail-over."""
    with ExitStack() as ends:
        doomed, process = ends.enter_context(
            started(world.log("doomed"), *SERVICE, "0", **world.given)
        )
        workers = ("--stable", lasting, "--stable", doomed)
        routers = [ends.enter_context(world.router(*workers, *more)) for more in MODES]
        results = [ends.enter_context(world.traffic(url, *LOAD)) for url in routers]
        until(lambda: all(asked(url) > 200 for url in routers), "both routers are busy")
        time.sleep(rng.uniform(0, 0.3))  # the moment is chance; nothing waits for it
        process.kill()
        then = [asked(url) for url in routers]
        until(lambda: all(up(url) == 1 for url in routers), "the routers notice")
        until(
            lambda: all(asked(url) > had + 200 for url, had in zip(routers, then, strict=True)),
            "the other worker carries on",
        )
        back = ("--port", doomed.rpartition(":")[2])
        ends.enter_context(started(world.log("back"), "-m", "src.api", *back, **world.given))
        until(lambda: all(up(url) == 2 for url in routers), "the routers use the new worker")
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
def test_a_worker_that_is_frozen_costs_patience_and_no_request(
    world: World, lasting: str, rng: random.Random
) -> None:
    """SIGSTOP: connections stay open and nobody answers, until the router asks the next."""
    if not hasattr(signal, "SIGSTOP"):
        pytest.skip("this system can't freeze a process")
    with ExitStack() as ends:
        frozen, process = ends.enter_context(
            started(world.log("frozen"), *SERVICE, "0", **world.given)
        )
        url = ends.enter_context(world.router("--stable", lasting, "--stable", frozen))
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
