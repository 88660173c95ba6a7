"""A churn risk function: a score, and the logistic function written so that it never overflows."""

import math


def churn_risk(recency: float | None, orders_90d: float) -> float:
    """The risk, from 0 to 1."""
    if recency is None:
        return 0.5
    if math.isnan(recency) or math.isnan(orders_90d):
        raise ValueError(f"not a number: recency {recency}, orders {orders_90d}")
    return logistic((recency - 90) / 60 - 0.2 * orders_90d)


def logistic(score: float) -> float:
    """1 / (1 + e^-score), for any score."""
    if score >= 0:
        return 1 / (1 + math.exp(-score))
    return math.exp(score) / (1 + math.exp(score))
