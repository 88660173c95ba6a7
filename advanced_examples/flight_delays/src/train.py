"""Train mean, XGBoost, network and ensemble, write them as one version and register it.

    python src/train.py                     as params.yaml says
    python src/train.py --preset named      the network's 50 epochs of batch 32, for comparison

Reads data/processed/features.parquet. Writes models/<version>, metrics/train.json and the points of
the learning curves under plots/, logs all of it with MLflow (mlruns.db) and makes the version the
champion if it is no worse on validation than the present one.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from features.vector import INPUTS
from src import bundle, params, paths, registry
from src.ensemble import Weights, fit_confidence, fit_interval, mixed, tune_weights
from src.model_data import ModelDataError, Part, load, with_gaps
from src.monitoring.drift import renew_reference, write_reference
from src.network import NAMED, DelayNetwork, Epoch, export, predict, train_network
from src.scores import score
from src.trees import train_trees

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PRESETS: Mapping[str, Mapping[str, Any]] = {"default": {}, "named": NAMED}


class Trained(NamedTuple):
    """All that training makes, before it is written; `seconds` is how long each model took."""

    mean: float
    trees: xgb.Booster
    network: DelayNetwork
    rounds: dict[str, list[float]]
    epochs: list[Epoch]
    seconds: dict[str, float]


class Tuned(NamedTuple):
    """What is set on validation, and the predictions there (n) by model, minutes."""

    weights: Weights
    interval: bundle.Interval
    confidence: bundle.Confidence
    said: dict[str, NDArray[np.floating]]


def train(parts: Mapping[str, Part], chosen: Mapping[str, Any]) -> Trained:
    """Train the mean, the trees and the network on `train`; `validation` only stops the network."""
    learn, held, seed = parts["train"], parts["validation"], chosen["seed"]
    gaps = with_gaps(learn, chosen["training"]["gaps"], seed)
    shown = np.concatenate([learn.matrix, gaps[0]]), np.concatenate([learn.target, gaps[1]])
    judge = held.matrix, held.target
    start = time.perf_counter()
    mean = float(learn.target.mean(dtype=np.float64))
    averaged = time.perf_counter()
    trees, rounds = train_trees(shown, judge, chosen["xgboost"], seed)
    grown = time.perf_counter()
    network, epochs = train_network(shown, judge, network_settings(chosen), seed)
    seconds = {
        "baseline": averaged - start,
        "xgboost": grown - averaged,
        "network": time.perf_counter() - grown,
    }
    return Trained(mean, trees, network, rounds, epochs, seconds)


def network_settings(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The network's section of params.yaml, with the figures of its preset.

    Raises:
        ParamsError: there is no such preset.
    """
    settings = dict(chosen["network"])
    preset = settings.pop("preset", "default")
    if preset not in PRESETS:
        raise params.ParamsError(f"network.preset must be {' or '.join(PRESETS)}, not {preset!r}.")
    return settings | dict(PRESETS[preset])


def tune(trained: Trained, held: Part, chosen: Mapping[str, Any]) -> Tuned:
    """Set weights, intervals and confidences on validation, complete and with gaps."""
    trees, quantiles = (
        trained.trees.inplace_predict(held.matrix),
        predict(trained.network, held.matrix),
    )
    middle = quantiles[:, bundle.MIDDLE]
    start = tuple(chosen["ensemble"]["start_weights"])
    weights = tune_weights(trees, middle, held.target, start)
    together = mixed(trees, middle, weights)
    matrix, target = with_gaps(held, 1.0, chosen["seed"])
    gap_quantiles = predict(trained.network, matrix)
    gap_delays = mixed(
        trained.trees.inplace_predict(matrix), gap_quantiles[:, bundle.MIDDLE], weights
    )
    interval = fit_interval((together, quantiles, held.target), (gap_delays, gap_quantiles, target))
    widths = [
        sum(bundle.offsets(rows)) + 2 * more
        for rows, more in ((quantiles, interval.complete), (gap_quantiles, interval.incomplete))
    ]
    confidence = fit_confidence(
        np.concatenate([together, gap_delays]),
        np.concatenate(widths),
        np.concatenate([held.target, target]),
    )
    said = {
        "baseline": np.full(len(held.target), trained.mean, np.float32),
        "xgboost": trees,
        "network": middle,
        "ensemble": together,
    }
    return Tuned(weights, interval, confidence, said)


def write(
    folder: Path,
    name: str,
    trained: Trained,
    tuned: Tuned,
    parts: Mapping[str, Part],
    newest: Part | None = None,
) -> dict[str, Any]:
    """Write the bundle into `folder`; returns its bundle.json.

    Drift is measured against the training flights; `newest` take the place of those of their weeks.
    """
    trained.trees.save_model(folder / bundle.TREES)
    export(trained.network, len(INPUTS), folder / bundle.NETWORK)
    learnt, held = parts["train"], parts["validation"]
    write_reference(folder, learnt.matrix, learnt.columns["departure_time"])
    if newest is not None:
        renew_reference(folder, newest.matrix, newest.columns["departure_time"])
    about = {
        "version": name,
        "training_date": datetime.now(UTC).isoformat(timespec="seconds"),
        "trained_on": {
            part: {"flights": len(data.target), "first": data.days[0], "last": data.days[1]}
            for part, data in parts.items()
        },
        "inputs": list(INPUTS),
        "baseline_minutes": round(trained.mean, 4),
        "weights": {"xgboost": tuned.weights.trees, "network": tuned.weights.network},
        "interval": tuned.interval._asdict(),
        "confidence": tuned.confidence._asdict(),
        "metrics": {
            "validation": {
                model: score(held.target, said, held.best)._asdict()
                for model, said in tuned.said.items()
            }
        },
        "training_seconds": {model: round(took, 2) for model, took in trained.seconds.items()},
        "size_bytes": {
            "xgboost": (folder / bundle.TREES).stat().st_size,
            "network": (folder / bundle.NETWORK).stat().st_size,
        },
        "made_with": {name: installed(name) for name in ("torch", "numpy", "onnxruntime")}
        | {"xgboost": xgb.__version__},
    }
    bundle.seal(folder, about)
    return about


def curves(trained: Trained) -> None:
    """Write the learning curves as points for `dvc plots`."""
    paths.plots().mkdir(parents=True, exist_ok=True)
    rounds = zip(trained.rounds["train"], trained.rounds["validation"], strict=True)
    tables = {
        "xgboost_rounds": (
            ("round", "train_mae", "validation_mae"),
            [(number, *maes) for number, maes in enumerate(rounds, start=1)],
        ),
        "network_epochs": (Epoch._fields[:-1], [epoch[:-1] for epoch in trained.epochs]),
    }
    for name, (head, rows) in tables.items():
        with (paths.plots() / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([head, *rows])


def record(
    store: MlflowClient,
    trained: Trained,
    tuned: Tuned,
    parts: Mapping[str, Part],
    chosen: Mapping[str, Any],
    newest: Part | None = None,
) -> dict[str, Any]:
    """Write, log and register the version, which does not answer yet; returns its bundle.json."""
    with tempfile.TemporaryDirectory() as space:
        folder = Path(space) / "bundle"
        folder.mkdir()
        about = write(folder, registry.next_version(store), trained, tuned, parts, newest)
        figures = {
            f"validation_{figure}_{model}": value
            for model, scores in about["metrics"]["validation"].items()
            for figure, value in scores.items()
            if value is not None
        }
        figures |= {f"seconds_{model}": took for model, took in about["training_seconds"].items()}
        registry.register(
            store,
            folder,
            chosen,
            figures,
            {
                "network_validation_mae": [epoch.validation_mae for epoch in trained.epochs],
                "xgboost_validation_mae": trained.rounds["validation"],
            },
        )
        bundle.put(folder, paths.models() / about["version"])
    return about


def keep(
    trained: Trained, tuned: Tuned, parts: Mapping[str, Part], chosen: Mapping[str, Any]
) -> tuple[dict[str, Any], registry.Decision]:
    """Record the version, and let it answer if it has earned it on validation."""
    store, held = registry.client(), parts["validation"]
    about = record(store, trained, tuned, parts, chosen)
    bundle.write_whole(paths.models() / bundle.NEWEST, about["version"] + "\n")
    mae = score(held.target, tuned.said["ensemble"]).mae
    decision = registry.by_validation(mae, rival_mae(store, held))
    registry.admit(store, about["version"], decision)
    return about, decision


def rival_mae(store: Any, held: Part) -> float | None:
    """The present champion's MAE on today's validation flights; None where it can't tell."""
    name = registry.holder(store, registry.CHAMPION)
    if name is None:
        return None
    try:
        rival = registry.load(name)
    except (bundle.BundleError, registry.RegistryError) as error:
        print(f"The champion {name} can't be compared with: {error}")
        return None
    return score(held.target, rival.predict(held.matrix).delay_minutes).mae


def report(about: Mapping[str, Any], decision: registry.Decision, epochs: int) -> None:
    """Print what was trained."""
    print(f"\n{'validation':10} {'MAE':>7} {'RMSE':>7} {'R2':>7} {'over best':>10} {'seconds':>8}")
    for model, scores in about["metrics"]["validation"].items():
        over = scores["over_best"]
        took = about["training_seconds"].get(model)
        print(
            f"{model:10} {scores['mae']:7.2f} {scores['rmse']:7.2f} {scores['r2']:7.3f} "
            f"{'unknown' if over is None else f'{over:+.1%}':>10} "
            f"{'' if took is None else f'{took:.1f}':>8}"
        )
    weights = about["weights"]
    print(f"\nWeights {weights['xgboost']:.2f} and {weights['network']:.2f}; {epochs} epochs.")
    role = "champion" if decision.promoted else "challenger"
    print(f"{about['version']} is the {role}: {decision.reason}.")


def main(argv: list[str] | None = None) -> int:
    """Train as params.yaml and the command line say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, help="the network's (default: params.yaml)")
    wanted = parser.parse_args(argv)
    try:
        chosen = params.load()
        if wanted.preset:
            chosen["network"]["preset"] = wanted.preset
        parts = load()
        print(f"Training on {len(parts['train'].target):,} flights, {len(INPUTS)} inputs.")
        trained = train(parts, chosen)
        tuned = tune(trained, parts["validation"], chosen)
        about, decision = keep(trained, tuned, parts, chosen)
    except (ModelDataError, params.ParamsError, registry.RegistryError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    curves(trained)
    paths.metrics().mkdir(parents=True, exist_ok=True)
    kept = ("version", "metrics", "weights", "interval", "training_seconds", "size_bytes")
    text = json.dumps({name: about[name] for name in kept}, indent=2) + "\n"
    (paths.metrics() / "train.json").write_text(text, encoding="utf-8")
    report(about, decision, len(trained.epochs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
