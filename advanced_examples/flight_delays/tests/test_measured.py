"""The figures in the README are those of the default run, which docs/measured.json holds.

tests/integration/test_default_run.py makes that run anew and compares (with --full).
"""

from __future__ import annotations

import json
import re

import pytest

from src.paths import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
MEASURED = json.loads((PROJECT / "docs" / "measured.json").read_text(encoding="utf-8"))
MODELS = ("xgboost", "network", "ensemble", "best reachable")
TRIPLE = re.compile(r"-?[\d.]+ / [\d.]+ / -?[\d.]+")


def three(figures: list[float]) -> str:
    """MAE, RMSE and R² as the README writes them."""
    mae, rmse, r2 = figures
    return f"{mae:.2f} / {rmse:.2f} / {r2:.3f}"


def row(name: str) -> list[str]:
    """The cells of the README's table row that begins with `name`; none without such a row."""
    found = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", README, re.MULTILINE)
    return [cell.strip() for cell in found[1].split("|")] if found else []


@pytest.mark.parametrize("name", MEASURED["models"])
def test_the_models_figures_are_those_that_were_measured(name: str) -> None:
    cells = row({"xgboost": "XGBoost"}.get(name, name))
    if len(cells) >= 2 and cells[1]:
        assert cells[1] == three(MEASURED["models"][name])
        best = MEASURED["models"]["best reachable"][0]
        over = f"{MEASURED['models'][name][0] / best - 1:+.1%}"
        assert cells[2] == ("" if name == "best reachable" else over)


@pytest.mark.parametrize("name", [*MEASURED["airlines"], *MEASURED["routes"]])
def test_figures_by_airline_and_route_are_those_that_were_measured(name: str) -> None:
    figures = (MEASURED["airlines"] | MEASURED["routes"])[name]
    if cells := [cell for cell in row(name) if TRIPLE.fullmatch(cell)]:
        assert cells == [three(figures[model]) for model in MODELS]


def test_the_ensemble_is_best_and_near_the_best_reachable() -> None:
    mae = {name: figures[0] for name, figures in MEASURED["models"].items()}
    assert mae["ensemble"] < min(mae["xgboost"], mae["network"])
    assert mae["ensemble"] <= 1.10 * mae["best reachable"]
