"""The recommendations API beside an empty FastAPI endpoint: one worker, the load client beside it.

Both are asked in turn, several times, by a client in a process of its own. What the service tells
analytics in the meantime is part of its work: at the end nothing of it may be waiting or lost.
"""

import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from recommendations_api import process
from recommendations_api.prepare import prepared
from recommendations_api.settings import from_environment

Measure = Callable[..., None]
Result = dict[str, Any]

KEY, UNLIMITED = "bench-key", 1_000_000_000
ROUNDS, SECONDS = 7, 1.5
HOT, COLD = range(1, 201), range(201, 1_801)


@dataclass(frozen=True)
class Rounds:
    """What the load client measured, round by round."""

    empty: list[Result]
    cached: list[Result]
    cold: Result


@pytest.fixture(scope="module")
def rounds(service: Callable[[str], str]) -> Iterator[Rounds]:
    for name in ("postgres", "redis", "mongo", "rabbitmq"):
        service(name)
    own = replace(
        from_environment(), name="bench_recommendations", api_keys={KEY: "bench"},
        rate=UNLIMITED, burst=1_000_000,
    )  # fmt: skip
    with ExitStack() as ends:
        settings = ends.enter_context(prepared(own))
        base_url = ends.enter_context(process.service(settings)).url
        empty_api = process.running("tests.benchmarks.empty_api", process.LISTENS, settings)
        empty_port = port(ends.enter_context(empty_api).url)
        load(port(base_url), HOT, connections=4, seconds=2)
        empty, cached = [], []
        for _ in range(ROUNDS):
            empty.append(load(empty_port))
            cached.append(load(port(base_url), HOT))
        cold = load(port(base_url), COLD, connections=4, once=True)
        assert_all_was_told(httpx.get(f"{base_url}/metrics").text)
        yield Rounds(empty, cached, cold)


def port(base_url: str) -> int:
    return int(base_url.rpartition(":")[2])


def load(
    to: int, users: range | None = None, connections: int = 32, seconds: float = SECONDS,
    once: bool = False,
) -> Result:  # fmt: skip
    """Let the load client ask for random users, or each of them `once`; without users, for /."""
    route = "/api/users/{}/personalized-recommendations"
    paths = [route.format(user) for user in users] if users else ["/"]
    options = ["--connections", connections, "--seconds", seconds, "--key", KEY]
    command = [sys.executable, "-m", "tests.benchmarks.http_load", to, *paths, *options]
    command += ["--once"] if once else []
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    result: Result = json.loads(done.stdout)
    assert result["bad"] == 0
    return result


def assert_all_was_told(metrics: str) -> None:
    def value(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", metrics, re.M)
        return float(found[1]) if found else 0.0

    assert value('recommendations_events_total{fate="dropped"}') == 0
    assert value('recommendations_events_total{fate="outbox"}') == 0
    assert value("recommendations_events_waiting") < 1_000


def median(results: list[Result], figure: str) -> float:
    return statistics.median(result[figure] for result in results)


def test_cached_answers_keep_up_with_an_empty_endpoint(measured: Measure, rounds: Rounds) -> None:
    cached, empty = (median(each, "rate") for each in (rounds.cached, rounds.empty))
    says = f"from Redis {cached:,.0f}/s, empty endpoint {empty:,.0f}/s, 32 connections"
    measured("recommendations from Redis over empty endpoint", cached / empty, 0.35, "higher", says)


def test_the_slowest_cached_answers(measured: Measure, rounds: Rounds) -> None:
    cached, empty = (median(each, "p99") for each in (rounds.cached, rounds.empty))
    says = f"p99 from Redis {cached:.1f} ms, empty endpoint {empty:.1f} ms"
    measured("p99 from Redis over empty endpoint", cached / empty, 4, "lower", says)


def test_the_slowest_cold_answers(measured: Measure, rounds: Rounds) -> None:
    stores = rounds.cold["stores"]
    assert set(stores) == {"postgres", "mongo", "engine", "redis"}
    shares = ", ".join(f"{s} {ms / sum(stores.values()):.0%}" for s, ms in stores.items())
    says = f"p50 {rounds.cold['p50']:.1f} ms, {rounds.cold['answers']} answers; of it {shares}"
    measured("p99 of cold answers, share of 250 ms", rounds.cold["p99"] / 250, 1, "lower", says)
