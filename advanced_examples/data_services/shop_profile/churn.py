"""Churn: the probability that a customer orders nothing in the next 90 days."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shop_profile.history import Behaviour

WINDOW = 90  # days
Features = tuple[float, ...]


def features(customer: Behaviour) -> Features:
    """What the risk depends on. As days pass without an order, the first grows, the second falls.

    Who never ordered has one feature only: how long we have been waiting.
    """
    waiting = math.log1p(customer.recency)
    return (waiting, math.log1p(customer.orders_last_year)) if customer.orders else (waiting,)


def logistic(score: float) -> float:
    """1 / (1 + exp(-score)), without overflow on either side."""
    if score >= 0:
        return 1 / (1 + math.exp(-score))
    return math.exp(score) / (1 + math.exp(score))


@dataclass(frozen=True, slots=True)
class Logistic:
    """A probability: the logistic function of weighted features."""

    weights: tuple[float, ...]
    bias: float

    def score(self, values: Sequence[float]) -> float:
        """The log-odds for `values`, one for each weight."""
        return self.bias + sum(w * v for w, v in zip(self.weights, values, strict=True))


@dataclass(frozen=True, slots=True)
class ChurnModel:
    """Log-odds from the past, then a straight line that fits them to the latest known window.

    That second step is Platt's calibration. `newcomers` is for those who never ordered.
    """

    customers: Logistic
    calibration: Logistic
    newcomers: Logistic

    def risk(self, customer: Behaviour) -> float:
        """Probability from 0 to 1 that the next 90 days bring no order."""
        values = features(customer)
        if not customer.orders:
            return logistic(self.newcomers.score(values))
        return logistic(self.calibration.score((self.customers.score(values),)))


def fit_logistic(values: Sequence[Sequence[float]], outcomes: Sequence[bool]) -> Logistic:
    """Maximum likelihood without a penalty; ValueError unless both outcomes occur."""
    from sklearn.linear_model import LogisticRegression

    if len(set(outcomes)) < 2:
        raise ValueError("a churn model needs customers who came back and some who did not")
    model = LogisticRegression(C=math.inf, max_iter=1_000).fit(values, outcomes)
    return Logistic(tuple(model.coef_[0].tolist()), float(model.intercept_[0]))


def fit_churn(windows: Sequence[Sequence[tuple[Behaviour, bool]]]) -> ChurnModel:
    """Fit on `windows`, oldest first: customers as of a day, and whether each ordered nothing then.

    The last window only calibrates: it is the nearest to today.
    """
    pairs = [[(features(c), gone) for c, gone in window if c.orders] for window in windows]
    customers = fit_logistic(*zip(*(pair for window in pairs[:-1] for pair in window), strict=True))
    latest = [((customers.score(values),), gone) for values, gone in pairs[-1]]
    waiting = [(features(c), gone) for window in windows for c, gone in window if not c.orders]
    return ChurnModel(
        customers=customers,
        calibration=fit_logistic(*zip(*latest, strict=True)),
        newcomers=fit_logistic(*zip(*waiting, strict=True)),
    )
