"""How forecasts are marked: risks, amounts and recommendations against what came."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score


def marks(came: Any, risk: Any) -> tuple[float, float, float]:
    """AUC, Brier score, and lift at 10 %: the riskiest tenth's rate, divided by everybody's.

    `came` says whether it happened, `risk` how probable it was said to be, from 0 to 1.
    """
    came, risk = np.asarray(came, bool), np.asarray(risk, float)
    riskiest = np.argsort(-risk, kind="stable")[: max(1, len(risk) // 10)]
    return (
        float(roc_auc_score(came, risk)),
        float(brier_score_loss(came, risk)),
        float(came[riskiest].mean() / came.mean()),
    )


def amount_marks(came: Any, forecast: Any) -> tuple[float, float, float]:
    """Mean absolute error, root mean square error, and how far the sum is off (0.1: 10 % over)."""
    came, forecast = np.asarray(came, float), np.asarray(forecast, float)
    error = forecast - came
    rmse = float(np.sqrt((error**2).mean()))
    return float(np.abs(error).mean()), rmse, float(error.sum() / came.sum())


def in_groups(said: Any, came: Any, groups: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Means of forecast and outcome in `groups` of equal size by forecast: a calibration curve."""
    order = np.argsort(said, kind="stable")
    pieces = np.array_split(np.column_stack([said, came]).astype(float)[order], groups)
    x, y = np.array([piece.mean(axis=0) for piece in pieces]).T
    return x, y


def hit_rate(scores: np.ndarray, baskets: Iterable[list[int]], shown: int) -> float:
    """Share of products found when each in turn is hidden from its basket of indices.

    `scores`, (products, products), say how much a product speaks for another; the `shown` best for
    the rest of the basket are looked through. Baskets of one product have no rest and don't count.
    """
    hits = tries = 0
    for basket in baskets:
        for hidden in basket if len(basket) > 1 else ():
            rest = [product for product in basket if product != hidden]
            best = scores[rest].max(axis=0)
            best[rest] = -np.inf
            hits += int((best > best[hidden]).sum() < shown)
            tries += 1
    return hits / tries
