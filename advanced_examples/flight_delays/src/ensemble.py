"""The ensemble: how much to trust each model, and how sure to be of what they say together.

All of it is tuned on validation: test is kept for the report.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from src.bundle import WITHIN_MINUTES, Confidence, Interval, offsets

LEVEL = 0.8
STEPS = 100
KNOTS = 64
Values = NDArray[np.floating]


class Weights(NamedTuple):
    """Shares of the two models in the answer; they sum to 1."""

    trees: float
    network: float


def mixed(trees: Values, network: Values, weights: Weights) -> Values:
    """The ensemble's prediction (n), minutes, from those of the models (n)."""
    return weights.trees * trees + weights.network * network


def tune_weights(
    trees: Values, network: Values, target: Values, start: tuple[float, float] = (0.6, 0.4)
) -> Weights:
    """Weights (to 0.01) with the least MAE on `target`; of equal ones the nearest to `start`.

    The MAE is convex in the weight, so nothing better hides between the steps.

    Raises:
        ValueError: the starting weights don't sum to 1.
    """
    if abs(sum(start) - 1) > 1e-9 or min(start) < 0:
        raise ValueError(f"ensemble.start_weights must be two shares with sum 1, not {start}.")
    shares = np.arange(STEPS + 1) / STEPS
    maes = [float(np.abs(mixed(trees, network, Weights(w, 1 - w)) - target).mean()) for w in shares]
    best = min(range(STEPS + 1), key=lambda i: (maes[i], abs(shares[i] - start[0])))
    return Weights(float(shares[best]), float(1 - shares[best]))


def widen(low: Values, high: Values, target: Values, level: float = LEVEL) -> float:
    """Minutes to add to both ends of intervals (n), so that `level` of such delays lie inside.

    Negative: they may be narrower. Conformalised quantile regression (Romano, Patterson and Candès,
    NeurIPS 2019): the (n + 1) * level smallest distance by which a delay lies outside.
    """
    outside = np.maximum(low - target, target - high)
    place = min(int(np.ceil((len(outside) + 1) * level)), len(outside)) - 1
    return float(np.partition(outside, place)[place])


def fit_interval(
    complete: tuple[Values, Values, Values], gaps: tuple[Values, Values, Values]
) -> Interval:
    """How far to widen: one figure for flights whose inputs are complete, one for the others.

    Both arguments hold the ensemble's delays (n), the network's quantiles (n, 3), the truth (n).
    """
    minutes = []
    for delays, quantiles, target in (complete, gaps):
        below, above = offsets(quantiles)
        minutes.append(widen(delays - below, delays + above, target) if len(target) else 0.0)
    return Interval(level=LEVEL, complete=minutes[0], incomplete=minutes[1])


def fit_confidence(delays: Values, width: Values, target: Values) -> Confidence:
    """The share of flights within WITHIN_MINUTES of the answer, by the width of their interval.

    Isotonic regression: the wider the interval, the less sure, and nothing else is assumed.
    """
    inside = (np.abs(target - delays) <= WITHIN_MINUTES).astype(np.float64)
    curve = IsotonicRegression(increasing=False, out_of_bounds="clip", y_min=0, y_max=1)
    curve.fit(width, inside)
    knots = np.unique(np.quantile(width, np.linspace(0.002, 0.998, KNOTS)))
    shares = curve.predict(knots)
    return Confidence(
        WITHIN_MINUTES,
        [round(float(knot), 4) for knot in knots],
        [round(float(share), 4) for share in shares],
    )
