"""Who will come back, and what that is worth: churn, lifetime value, segments.

Nobody cancels in a shop. A customer simply stops, and the shop sees only silence, which may be a
pause. So churn is a probability: how likely is it that this customer is gone for good?

A customer buys at a rate of λ purchases a month while alive, and stops at a rate of μ a month
(Schmittlein, Morrison, Colombo: Counting your customers, 1987). We allow fifteen kinds of
customers, a λ and a μ each, and let the data say how common each kind is.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp
from statistics import fmean

MONTHS_OF_DATA, MONTHS_AHEAD = 24, 12
RATES, STOPS = (0.15, 0.35, 0.8, 1.8, 4.0), (0.01, 0.04, 0.15)
KINDS = [(rate, stop) for rate in RATES for stop in STOPS]
ROUNDS = 25
GONE, DOUBTFUL, BEST = 0.3, 0.7, 0.10


class Segment(StrEnum):
    """What the shop does next depends on this."""

    DORMANT = "DORMANT"
    AT_RISK = "AT_RISK"
    ACTIVE = "ACTIVE"
    VIP = "VIP"


OFFERS = {
    Segment.DORMANT: "30 % off",
    Segment.ACTIVE: "personalised goods",
    Segment.VIP: "exclusive preview and support",
    Segment.AT_RISK: "free delivery",
}


@dataclass(frozen=True)
class History:
    """What the shop knows: months since the first purchase, of these until the last one,
    purchases after the first, and the mean value of a purchase in euros."""

    known: float
    last: float
    repeats: int
    value: float


@dataclass(frozen=True)
class Future:
    """What only the generator knows: is the customer alive, purchases in the coming year."""

    alive: bool
    purchases: int


@dataclass(frozen=True)
class Profile:
    """What the shop believes: `churn` is the probability of being gone, `ltv` euros in a year."""

    user_id: int
    segment: Segment
    churn: float
    ltv: float


def simulate(count: int, rng: random.Random) -> list[tuple[History, Future]]:
    """Customers of two years with their coming year. Rates vary smoothly, not in fifteen kinds."""
    customers = []
    for _ in range(count):
        rate, stop = rng.lognormvariate(-0.3, 0.9), rng.gammavariate(1.2, 0.04)
        known, life = rng.uniform(3, MONTHS_OF_DATA), rng.expovariate(stop)
        when, times = 0.0, []
        while when < min(life, known + MONTHS_AHEAD):
            times.append(when)
            when += rng.expovariate(rate)
        past = [moment for moment in times if moment <= known]
        history = History(known, past[-1], len(past) - 1, rng.lognormvariate(3.5, 0.5))
        customers.append((history, Future(life > known, len(times) - len(past))))
    return customers


def likelihoods(one: History) -> list[tuple[float, float]]:
    """For each kind, how likely this history is with the customer (alive, gone) today.

    Alive: λ^x e^-(λ+μ)T. Gone at some moment after the last purchase at t, which is the integral
    from t to T: λ^x μ/(λ+μ) (e^-(λ+μ)t - e^-(λ+μ)T). x repeats, T months known.
    """
    found = []
    for rate, stop in KINDS:
        both = rate + stop
        now, then = exp(-both * one.known), exp(-both * one.last)
        purchases = rate**one.repeats
        found.append((purchases * now, purchases * stop / both * (then - now)))
    return found


def shares_of_kinds(histories: Sequence[History]) -> list[float]:
    """How common each kind is, by expectation maximisation; they add up to 1.

    Suppose that all kinds are equally common. Say for each customer how likely each kind is. The
    averages are better shares: begin again with these. (Dempster, Laird, Rubin 1977.)
    """
    likely = [[alive + gone for alive, gone in likelihoods(one)] for one in histories]
    shares = [1 / len(KINDS)] * len(KINDS)
    for _ in range(ROUNDS):
        sums = [0.0] * len(KINDS)
        for row in likely:
            weights = [share * one for share, one in zip(shares, row, strict=True)]
            total = sum(weights)
            sums = [s + weight / total for s, weight in zip(sums, weights, strict=True)]
        shares = [s / len(likely) for s in sums]
    return shares


def expected_purchases(rate: float, stop: float, months: float = MONTHS_AHEAD) -> float:
    """Purchases in the coming months of a customer who is alive: λ/μ (1 - e^-μh)."""
    return rate / stop * (1 - exp(-stop * months))


def forecast(one: History, shares: Sequence[float]) -> tuple[float, float]:
    """(probability that the customer is gone, expected purchases in the coming year)."""
    alive = gone = purchases = 0.0
    for (rate, stop), share, (here, away) in zip(KINDS, shares, likelihoods(one), strict=True):
        alive += share * here
        gone += share * away
        purchases += share * here * expected_purchases(rate, stop)
    return gone / (alive + gone), purchases / (alive + gone)


def segment(churn: float, ltv: float, vip_from: float) -> Segment:
    """The segment of one customer: first who is lost or about to be, then who is worth most."""
    if churn > DOUBTFUL:
        return Segment.DORMANT
    if churn > GONE:
        return Segment.AT_RISK
    return Segment.VIP if ltv >= vip_from else Segment.ACTIVE


def profiles(histories: Sequence[History]) -> list[Profile]:
    """What the shop believes of each customer; who is among the best 10 % by value is a VIP."""
    shares = shares_of_kinds(histories)
    forecasts = [forecast(one, shares) for one in histories]
    values = [bought * one.value for (_, bought), one in zip(forecasts, histories, strict=True)]
    vip_from = sorted(values, reverse=True)[int(len(values) * BEST)]
    return [
        Profile(user_id, segment(churn, ltv, vip_from), churn, ltv)
        for user_id, ((churn, _), ltv) in enumerate(zip(forecasts, values, strict=True))
    ]


def calibration(
    found: Sequence[Profile], futures: Sequence[Future], steps: int = 5
) -> list[tuple[str, int, float, float]]:
    """(range of forecasts, customers, mean forecast, share truly gone) for each range."""
    rows = []
    for step in range(steps):
        low, high = step / steps, (step + 1) / steps
        inside = [p for p in found if low <= p.churn < high or p.churn == high == 1]
        if inside:
            gone = fmean(not futures[profile.user_id].alive for profile in inside)
            forecast_mean = fmean(profile.churn for profile in inside)
            rows.append((f"{low:.0%} to {high:.0%}", len(inside), forecast_mean, gone))
    return rows
