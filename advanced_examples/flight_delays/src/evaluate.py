"""Judge a model on the test flights: by model, airline and route, and against the best reachable.

    python src/evaluate.py                the version trained last
    python src/evaluate.py --version v2   another one

Reads data/processed/features.parquet and models/. Writes metrics/evaluation.json, the model card
reports/model_card.md and charts under plots/. Test flights come after all that training and tuning
have seen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.vector import INPUTS, as_matrix
from src import bundle, params, paths
from src.model_card import card
from src.model_charts import draw
from src.model_data import SOURCES, ModelDataError, Part, load, without
from src.scores import score
from src.trees import gains

AIRLINES = ("AA", "UA", "DL", "SW")
ROUTES = ("JFK-LAX", "SFO-ORD", "LAX-DEN", "ATL-SEA")
FEWEST_FLIGHTS = 30  # fewer tell nothing
EXPLAINED = 2_000
BINS = 10
GAPS = {**{name: (name,) for name in SOURCES}, "everything": tuple(SOURCES)}
Said = dict[str, NDArray[np.floating]]


def predictions(model: bundle.Bundle, matrix: NDArray[np.float32]) -> Said:
    """What each model says of each flight (n), minutes."""
    return {
        "baseline": np.full(len(matrix), model.about["baseline_minutes"], np.float32),
        "xgboost": model.by_trees(matrix),
        "network": model.quantiles(matrix)[:, bundle.MIDDLE],
        "ensemble": model.predict(matrix).delay_minutes,
    }


def by_group(test: Part, said: Said, column: str, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Scores by airline or route (`column`) and model; groups with too few flights are left out."""
    groups = {}
    for name in wanted:
        rows = getattr(test, column) == name
        if rows.sum() >= FEWEST_FLIGHTS:
            best = None if test.best is None else test.best[rows]
            groups[name] = {
                model: score(test.target[rows], minutes[rows], best)._asdict()
                for model, minutes in said.items()
            }
            if best is not None:
                groups[name]["best reachable"] = score(test.target[rows], best, best)._asdict()
    return groups


def honesty(target: NDArray[np.float32], predicted: bundle.Prediction) -> dict[str, float]:
    """What was promised and what came: share inside the interval, share within 15 minutes."""
    inside = (target >= predicted.low) & (target <= predicted.high)
    near = np.abs(target - predicted.delay_minutes) <= bundle.WITHIN_MINUTES
    return {
        "mae": score(target, predicted.delay_minutes).mae,
        "coverage": round(float(inside.mean()), 4),
        "interval_minutes": round(float((predicted.high - predicted.low).mean()), 2),
        "confidence": round(float(predicted.confidence.mean(dtype=np.float64)), 4),
        "within_15_minutes": round(float(near.mean()), 4),
    }


def calibration(target: NDArray[np.float32], predicted: bundle.Prediction) -> list[dict[str, Any]]:
    """`honesty` of the flights from the least to the most confident, in ten equal parts."""
    parts = np.array_split(np.argsort(predicted.confidence, kind="stable"), BINS)
    return [
        {
            "flights": len(rows),
            **honesty(target[rows], bundle.Prediction(*(c[rows] for c in predicted))),
        }
        for rows in parts
        if len(rows)
    ]


def evaluate(model: bundle.Bundle, test: Part) -> dict[str, Any]:
    """All figures of the report."""
    said = predictions(model, test.matrix)
    predicted = model.predict(test.matrix)
    overall = {
        name: score(test.target, minutes, test.best)._asdict() for name, minutes in said.items()
    }
    if test.best is not None:
        overall["best reachable"] = score(test.target, test.best, test.best)._asdict()
    degraded = {
        name: honesty(test.target, model.predict(as_matrix(without(test.columns, sources))))
        for name, sources in GAPS.items()
    }
    return {
        "version": model.version,
        "test": {"flights": len(test.target), "first": test.days[0], "last": test.days[1]},
        "models": overall,
        "airlines": by_group(test, said, "airline", AIRLINES),
        "routes": by_group(test, said, "route", ROUTES),
        "interval": {"promised": model.interval.level, **honesty(test.target, predicted)},
        "calibration": calibration(test.target, predicted),
        "missing": {"nothing": honesty(test.target, predicted), **degraded},
        "importance": importance(model, test),
        "weights": model.weights,
        "training_seconds": model.about["training_seconds"],
        "size_bytes": model.about["size_bytes"],
    }


def importance(model: bundle.Bundle, test: Part) -> dict[str, dict[str, float]]:
    """By input: share of the trees' gain, and mean minutes by which it moves their prediction."""
    minutes = np.abs(model.explain(sample(test))[:, : len(INPUTS)]).mean(axis=0)
    return {
        name: {"gain": round(gain, 5), "shap_minutes": round(float(minutes[INPUTS.index(name)]), 4)}
        for name, gain in gains(model.trees).items()
    }


def sample(test: Part) -> NDArray[np.float32]:
    """Flights, evenly over the test time, that are explained one by one."""
    rows = np.linspace(0, len(test.matrix) - 1, min(EXPLAINED, len(test.matrix))).astype(int)
    return test.matrix[rows]


def newest() -> str:
    """The version trained last.

    Raises:
        BundleError: none has been trained.
    """
    file = paths.models() / bundle.NEWEST
    if not file.exists():
        raise bundle.BundleError(f"{file} is missing. Train a model: `python src/train.py`.")
    return file.read_text(encoding="utf-8").strip()


def write(figures: Mapping[str, Any], model: bundle.Bundle, test: Part) -> None:
    """Write metrics, model card and charts."""
    paths.metrics().mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=2) + "\n"
    (paths.metrics() / "evaluation.json").write_text(text, encoding="utf-8")
    paths.reports().mkdir(parents=True, exist_ok=True)
    (paths.reports() / "model_card.md").write_text(card(figures, model.about), encoding="utf-8")
    rows = sample(test)
    draw(figures, model.explain(rows), rows, paths.plots())


def main(argv: list[str] | None = None) -> int:
    """Evaluate one version and print what matters most."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", help="such as v2 (default: the one trained last)")
    wanted = parser.parse_args(argv)
    try:
        model = bundle.Bundle.load(paths.models() / (wanted.version or newest()), threads=2)
        test = load()["test"]
    except (ModelDataError, bundle.BundleError, params.ParamsError) as error:
        print(error, file=sys.stderr)
        return 1
    figures = evaluate(model, test)
    write(figures, model, test)
    print(f"{model.version} on {len(test.target):,} test flights, {' to '.join(test.days)}")
    for name, scores in figures["models"].items():
        print(
            f"  {name:15} MAE {scores['mae']:6.2f}  RMSE {scores['rmse']:6.2f}"
            f"  R2 {scores['r2']:6.3f}"
        )
    sure = figures["interval"]
    print(
        f"{sure['coverage']:.1%} of the delays in their interval, {sure['promised']:.0%} promised;"
    )
    print(f"{sure['within_15_minutes']:.1%} within 15 minutes, {sure['confidence']:.1%} promised.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
