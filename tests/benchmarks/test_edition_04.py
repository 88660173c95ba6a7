"""The web framework of edition/04 beside Bottle, Flask and Falcon, and a bare WSGI function.

The peers have an environment of their own; its Python runs all of them and ours in one process, in
turn (web_peers/dispatch.py). No network: what is measured is the way from the environment to the
bytes, through a hundred routes with a typed parameter, to JSON.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable

import pytest

from course.settings import ROOT
from tests.support import environment_python

Measure = Callable[..., None]
Times = dict[str, list[float]]

PEERS = ROOT / "tests" / "benchmarks" / "web_peers"
ROUNDS, REQUESTS = 15, 3_000


@pytest.fixture(scope="module")
def dispatch() -> Times:
    """Seconds for a request, by framework, in every round."""
    command = [sys.executable, str(ROOT / "learn.py"), "environment", str(PEERS)]
    made = subprocess.run(command, capture_output=True, check=False, text=True, timeout=600)
    if made.returncode:
        pytest.skip(f"the peers can't be installed: {made.stderr}")
    python = environment_python(PEERS / ".venv")
    told = subprocess.run(
        [str(python), str(PEERS / "dispatch.py"), str(ROUNDS), str(REQUESTS)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "advanced_edition")},
        capture_output=True, check=False, text=True, timeout=600,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def ratio(times: Times, peer: str) -> float:
    """How many times as long as ours the peer takes: the median of the rounds' ratios."""
    pairs = zip(times[peer], times["ours"], strict=True)
    return statistics.median(theirs / ours for theirs, ours in pairs)


def says(times: Times) -> str:
    medians = {name: statistics.median(every) * 1e6 for name, every in times.items()}
    return ", ".join(f"{name} {value:.1f}" for name, value in medians.items()) + " µs"


def test_dispatch_is_faster_than_bottle(measured: Measure, dispatch: Times) -> None:
    name = "web dispatch, 100 routes, JSON: Bottle over ours"
    measured(name, ratio(dispatch, "Bottle"), 1.0, "higher", says(dispatch))


def test_dispatch_leaves_flask_behind(measured: Measure, dispatch: Times) -> None:
    name = "web dispatch, 100 routes, JSON: Flask over ours"
    measured(name, ratio(dispatch, "Flask"), 5.0, "higher", says(dispatch))
