"""Lifetime value: how often a customer will buy (BG/NBD) and for how much (Gamma-Gamma).

BG/NBD: P. Fader, B. Hardie, K. Lee, "Counting Your Customers" the Easy Way: An Alternative to the
Pareto/NBD Model, Marketing Science 24 (2005). Gamma-Gamma: P. Fader, B. Hardie, The Gamma-Gamma
Model of Monetary Value (2013). Time is in weeks. Arguments may be numbers or arrays of one shape.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaln, expit, gammaln, hyp2f1

from shop_profile.history import YEAR, Behaviour

DAYS_A_WEEK = 7
# Parameters are searched as logarithms within these bounds: beyond them floats lose their digits.
LOG_BOUNDS = (-8.0, 14.0)
TOO_NEAR = 1e-6


@dataclass(frozen=True, slots=True)
class BgNbd:
    """Customers buy at Gamma(r, alpha) rates and leave after a purchase with Beta(a, b) odds."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, x: Any, t_x: Any, age: Any) -> Any:
        """Logarithm of equation (6) for each customer.

        `x` repeat purchases, the last one `t_x` weeks after the first, which was `age` weeks ago.
        """
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        stayed = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + age)
        left = (
            betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + t_x)
        )
        return common + np.where(x > 0, np.logaddexp(stayed, left), stayed)

    def alive(self, x: Any, t_x: Any, age: Any) -> Any:
        """Probability that a customer has not left; 1 for one who never bought again."""
        odds_of_having_left = (
            np.log(self.a)
            - np.log(self.b + np.maximum(x, 1) - 1)
            + (self.r + x) * (np.log(self.alpha + age) - np.log(self.alpha + t_x))
        )
        return np.where(x > 0, expit(-odds_of_having_left), 1.0)

    def expected(self, x: Any, t_x: Any, age: Any, weeks: float) -> Any:
        """Expected purchases in the next `weeks`, equation (10).

        Euler's transformation of the hypergeometric function (Abramowitz & Stegun 15.3.3) keeps
        its first two arguments small, so that hundreds of purchases don't overflow.
        """
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        # Where one of these is a whole number, the form divides 0 by 0 (a or a + b is 1), or scipy
        # computes hyp2f1 as the difference of infinities: step aside by a millionth.
        while any(abs(value - round(value)) < TOO_NEAR for value in (a, a + b, r - a)):
            a += 2 * TOO_NEAR
        z = weeks / (alpha + age + weeks)
        series = (1 - z) ** (a - 1) * hyp2f1(a - 1, a + b - 1 - r, a + b + x - 1, z)
        return (a + b + x - 1) / (a - 1) * (1 - series) * self.alive(x, t_x, age)


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """Values of a customer's purchases are Gamma(p, v), and v is Gamma(q, gamma) among them."""

    p: float
    q: float
    gamma: float

    def log_likelihood(self, count: Any, mean: Any) -> Any:
        """Logarithm of equation (1a) for customers with `count` purchases worth `mean` euros."""
        p, q, gamma = self.p, self.q, self.gamma
        return (
            gammaln(p * count + q) - gammaln(p * count) - gammaln(q)
            + q * np.log(gamma) + (p * count - 1) * np.log(mean) + p * count * np.log(count)
            - (p * count + q) * np.log(gamma + count * mean)
        )  # fmt: skip

    def expected(self, count: Any, mean: Any) -> Any:
        """Expected euros of a purchase, equation (5): few purchases lean on everybody's mean."""
        return self.p * (self.gamma + count * mean) / (self.p * count + self.q - 1)


def fit_bgnbd(x: np.ndarray, t_x: np.ndarray, age: np.ndarray) -> BgNbd:
    """The parameters under which the customers are most likely; ValueError when there are none."""
    return BgNbd(*_most_likely(lambda p: BgNbd(*p).log_likelihood(x, t_x, age), 4))


def fit_gamma_gamma(count: np.ndarray, mean: np.ndarray) -> GammaGamma:
    """The parameters under which the values are most likely; needs means above 0.

    ValueError when there are none, or the values are so uneven that they have no mean (q up to 1).
    """
    found = GammaGamma(*_most_likely(lambda p: GammaGamma(*p).log_likelihood(count, mean), 3))
    if found.q <= 1:
        raise ValueError("the values of purchases are too uneven: cap the largest ones first")
    return found


def _most_likely(log_likelihood: Callable[[np.ndarray], np.ndarray], size: int) -> list[float]:
    """Maximise the mean of `log_likelihood` over `size` positive parameters."""
    from scipy.optimize import minimize

    found = minimize(
        lambda logs: -log_likelihood(np.exp(logs)).mean(),
        np.zeros(size),
        method="L-BFGS-B",
        bounds=[LOG_BOUNDS] * size,
    )
    at_the_edge = np.isclose(found.x[:, None], LOG_BOUNDS).any()
    if not np.isfinite(found.fun) or at_the_edge:
        raise ValueError("these customers don't determine the model: it needs more of them")
    return [float(value) for value in np.exp(found.x)]


@dataclass(frozen=True, slots=True)
class LifetimeModel:
    """Purchases times value; `correction` is what the year held out came to, of the forecast.

    `newcomers` is for those who never ordered: the logarithm of their euros in a year falls with
    the logarithm of the days since they registered (intercept, slope).
    """

    purchases: BgNbd
    values: GammaGamma
    correction: float
    newcomers: tuple[float, float]

    def value(self, customer: Behaviour) -> float:
        """Expected euros of the orders of the next 365 days."""
        if not customer.orders:
            intercept, slope = self.newcomers
            return math.exp(intercept + slope * math.log1p(customer.registered_ago))
        weeks = YEAR / DAYS_A_WEEK
        count = self.purchases.expected(*counts(customer), weeks) * self.correction
        return float(count * self.values.expected(customer.purchase_days, customer.day_value))


def counts(customer: Behaviour) -> tuple[int, float, float]:
    """(x, t_x, age) of a customer with orders, as BG/NBD wants them: repeats, weeks, weeks."""
    return (
        customer.purchase_days - 1,
        (customer.first_ago - customer.recency) / DAYS_A_WEEK,
        customer.first_ago / DAYS_A_WEEK,
    )


def fit_lifetime(
    today: Sequence[Behaviour], past: Sequence[tuple[Behaviour, tuple[int, float]]]
) -> LifetimeModel:
    """Fit on customers of `today`; `past` holds them a year ago with what the year brought.

    What it brought is (purchase days, euros). ValueError when either has too few customers.
    """
    buyers = [customer for customer in today if customer.orders]
    known = [(customer, days) for customer, (days, _) in past if customer.orders]
    if not buyers or not any(days for _, days in known):
        raise ValueError("nobody who had ordered a year ago has ordered since: too few customers")
    count = np.array([customer.purchase_days for customer in buyers])
    mean = np.array([customer.day_value for customer in buyers])
    before = np.array([counts(customer) for customer, _ in known]).T
    forecast = fit_bgnbd(*before).expected(*before, YEAR / DAYS_A_WEEK).sum()
    return LifetimeModel(
        purchases=fit_bgnbd(*np.array([counts(customer) for customer in buyers]).T),
        values=fit_gamma_gamma(count[mean > 0], mean[mean > 0]),
        correction=float(sum(days for _, days in known) / forecast),
        newcomers=_fit_newcomers([(c.registered_ago, e) for c, (_, e) in past if not c.orders]),
    )


def _fit_newcomers(waiting: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Intercept and slope, from days since registration and the euros of the year after."""
    from sklearn.linear_model import PoissonRegressor

    if not any(euros for _, euros in waiting):
        raise ValueError("nobody who had never ordered a year ago has ordered since: too few")
    days, euros = (np.array(column, float) for column in zip(*waiting, strict=True))
    found = PoissonRegressor(alpha=0, max_iter=1_000).fit(np.log1p(days)[:, None], euros)
    return float(found.intercept_), float(found.coef_[0])
