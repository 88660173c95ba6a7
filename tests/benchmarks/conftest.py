"""Benchmarks print ratios to a floor or a peer measured in the same run; only ratios can fail.

`learn.py bench --json FILE` writes a list of {name, ratio, target, better, ok}.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.page import page

Measure = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bench-json", metavar="FILE", help="write the results as JSON")
    parser.addoption("--bench-page", metavar="FILE", help="write the results as a page")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = []


RESULTS: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measure:
    """Record a ratio: `measured(name, ratio, target, better, says)`, then fail if it misses.

    `better` is 'lower' or 'higher'; `says` gives the absolute figures beside the ratio.
    """

    def record(name: str, ratio: float, target: float, better: str, says: str) -> None:
        ok = ratio <= target if better == "lower" else ratio >= target
        request.config.stash[RESULTS].append(
            {"name": name, "ratio": round(ratio, 3), "target": target, "better": better, "ok": ok}
            | {"says": says}
        )
        assert ok, f"{name}: {ratio:.2f}, wanted {better} than {target} ({says})"

    return record


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    results = config.stash[RESULTS]
    for result in results:
        sign = "ok    " if result["ok"] else "MISSED"
        bound = "at most" if result["better"] == "lower" else "at least"
        terminalreporter.write_line(
            f"{sign} {result['name']}: {result['ratio']:g} ({bound} {result['target']:g}); "
            f"{result['says']}"
        )
    if config.getoption("bench_page"):
        Path(config.getoption("bench_page")).write_text(page(results), encoding="utf-8")
    file = config.getoption("bench_json")
    if file:
        promised = ("name", "ratio", "target", "better", "ok")
        rows = [{key: result[key] for key in promised} for result in results]
        Path(file).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
