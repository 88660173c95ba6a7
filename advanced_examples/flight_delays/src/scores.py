"""How far predictions are from the truth, and from the best that anybody could predict."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]


class Scores(NamedTuple):
    """Errors of `flights` predictions, minutes; `r2` is the share of the variance explained.

    `over_best` is how much the MAE lies above the best reachable one (0.1: a tenth more), `share`
    the best MAE as a share of this one. Both are None where the best isn't known: in real data.
    """

    flights: int
    mae: float
    rmse: float
    r2: float
    over_best: float | None
    share: float | None


def score(target: Values, predicted: Values, best: Values | None = None) -> Scores:
    """Scores of `predicted` (n) against `target` (n), beside those of `best` (n).

    R² is 1 - sum of squared errors / sum of squares around the mean of `target`.

    Raises:
        ValueError: no flights, or lengths that differ.
    """
    if len(target) == 0 or len(target) != len(predicted):
        raise ValueError(f"{len(predicted)} predictions for {len(target)} flights.")
    off = np.asarray(target, np.float64) - np.asarray(predicted, np.float64)
    around = np.asarray(target, np.float64) - np.mean(target, dtype=np.float64)
    variance = float((around**2).sum())
    mae = float(np.abs(off).mean())
    reachable = None if best is None else float(np.abs(target - best).mean())
    return Scores(
        flights=len(off),
        mae=round(mae, 4),
        rmse=round(float(np.sqrt((off**2).mean())), 4),
        r2=round(1 - float((off**2).sum()) / variance, 4) if variance > 0 else float("nan"),
        over_best=None if reachable is None else round(mae / reachable - 1, 4),
        share=None if reachable is None else round(reachable / mae, 4),
    )
