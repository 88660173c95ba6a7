"""XGBoost with the preset that the project was named with: 200 trees of depth 6, rate 0.05."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from features.vector import INPUTS

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
THREADS = 2


def train_trees(
    train: Pair, validation: Pair, chosen: Mapping[str, Any], seed: int
) -> tuple[xgb.Booster, dict[str, list[float]]]:
    """Boosted trees on matrix (n, inputs) and delays (n), and their MAE by round, minutes.

    `chosen` is the section `xgboost` of params.yaml. Least squares: the target is the mean delay.
    No row is sampled, so the same data give the same trees.
    """
    # Inputs are put into 256 bins once, so that the full matrix need not be held a second time.
    rows = xgb.QuantileDMatrix(*train, feature_names=list(INPUTS), nthread=THREADS)
    held = xgb.QuantileDMatrix(*validation, feature_names=list(INPUTS), ref=rows, nthread=THREADS)
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgb.train(
        {
            "objective": "reg:squarederror",
            "eval_metric": "mae",
            "tree_method": "hist",
            "max_depth": chosen["max_depth"],
            "learning_rate": chosen["learning_rate"],
            "nthread": THREADS,
            "seed": seed,
        },
        rows,
        num_boost_round=chosen["n_estimators"],
        evals=[(rows, "train"), (held, "validation")],
        evals_result=history,
        verbose_eval=False,
    )
    return booster, {name: values["mae"] for name, values in history.items()}


def gains(booster: xgb.Booster) -> dict[str, float]:
    """Each input's share of the gain in all splits, the largest first; unused inputs are 0."""
    found = booster.get_score(importance_type="total_gain")
    total = sum(float(gain) for gain in found.values()) or 1.0
    shares = {name: float(found.get(name, 0.0)) / total for name in INPUTS}
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))
