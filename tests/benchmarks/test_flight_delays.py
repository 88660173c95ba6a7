"""The flights' service beside an empty FastAPI endpoint: one worker, the load client beside it.

Same server, same options, memory frozen in both; asked in turn, several times, by a client in a
process of its own. The model has the real shape: 200 trees of depth 6 and a 256-128-64 network.
"""

import json
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.flights.flight_service import KEY, PROJECT, python, running, stocked

Measure = Callable[..., None]
Result = dict[str, Any]

ROUNDS, SECONDS = 7, 2
RATE = 500
PROMISED = "the course text promises p50 45, p95 120, p99 250 ms at 500/s"


@dataclass
class Side:
    """What the load client measured of one side: as fast as it goes, and at a fixed rate."""

    fast: list[Result] = field(default_factory=list)
    paced: list[Result] = field(default_factory=list)


@pytest.fixture(scope="module")
def sides(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Side, Side]]:
    """The service and the empty endpoint."""
    folder = tmp_path_factory.mktemp("flights")
    ours, empty = Side(), Side()
    with ExitStack() as ends:
        given = ends.enter_context(stocked(service("redis"), folder, trees=200))
        api = ends.enter_context(running(folder / "api", "-m", "src.api", "--port", "0", **given))
        bare = ["tests/empty_api.py", "--port", "0"]
        peer = ends.enter_context(running(folder / "peer", *bare, **given))
        load(api, 1)
        for _ in range(ROUNDS):
            empty.fast.append(load(peer, SECONDS, "--get", "/"))
            ours.fast.append(load(api, SECONDS))
            empty.paced.append(load(peer, SECONDS, "--get", "/", "--rps", str(RATE)))
            ours.paced.append(load(api, SECONDS, "--rps", str(RATE)))
        assert_all_was_used(httpx.get(f"{api}/metrics").text)
        yield ours, empty


def load(url: str, seconds: float, *options: str) -> Result:
    """What the load client says; no answer may be bad."""
    command = [python("serving"), "tests/load_test.py", "--url", url, "--key", KEY, "--json"]
    done = subprocess.run(
        [*command, "--duration", f"{seconds}s", *options],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    result: Result = json.loads(done.stdout)
    assert result["bad"] == 0
    return result


def assert_all_was_used(metrics: str) -> None:
    """Every prediction rested on features from Redis."""
    assert 'flight_predictions_total{features="all"' in metrics
    assert 'features="degraded"' not in metrics


def median(results: list[Result], figure: str) -> float:
    return statistics.median(result[figure] for result in results)


def test_predictions_keep_up_with_an_empty_endpoint(
    measured: Measure, sides: tuple[Side, Side]
) -> None:
    ours, empty = (median(side.fast, "rate") for side in sides)
    says = f"predictions {ours:,.0f}/s, empty endpoint {empty:,.0f}/s, 32 connections"
    measured("flight predictions over empty endpoint", ours / empty, 0.15, "higher", says)


def test_the_slowest_predictions(measured: Measure, sides: tuple[Side, Side]) -> None:
    ours, empty = (median(side.fast, "p99") for side in sides)
    says = f"p99 {ours:.1f} ms, empty endpoint {empty:.1f} ms, 32 connections"
    measured("p99 of flight predictions over empty endpoint", ours / empty, 8, "lower", says)


def test_the_slowest_predictions_at_a_fixed_rate(
    measured: Measure, sides: tuple[Side, Side]
) -> None:
    ours, empty = (median(side.paced, "p99") for side in sides)
    p50, p95 = (median(sides[0].paced, figure) for figure in ("p50", "p95"))
    says = f"p50 {p50:.2f}, p95 {p95:.2f}, p99 {ours:.2f} ms, empty {empty:.2f} ms; {PROMISED}"
    measured(f"p99 of flight predictions at {RATE}/s over empty", ours / empty, 5, "lower", says)
