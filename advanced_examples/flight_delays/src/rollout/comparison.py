"""Two versions compared: the difference, how sure it is, and how many flights it would take.

Two designs. *Paired*: both versions predicted the same flights, so what makes a flight hard to
predict hits both and falls out of the difference. *Split*: each predicted flights of its own, which
is what a router's traffic split gives; the same certainty then takes many times the flights.

Differences are `first - second`. For the mean error more than 0 speaks for the second version, for
the accuracy less than 0 does. All intervals hold the true difference in 95 cases of 100.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from src.monitoring.outcomes import LATE_MINUTES

LEVEL, POWER = 0.95, 0.8
LEAST_DAYS = 20  # with fewer, days can't be drawn: flights are, and the text says so
DRAWS, SEED = 4000, 1
Minutes = NDArray[np.floating[Any]]


class Difference(NamedTuple):
    """A figure of both versions, `first - second` with its interval, and flights needed.

    `needed` is how many landed flights (split: for each version) would show `wanted`.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    wanted: float
    needed: int

    @property
    def sure(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0


class Comparison(NamedTuple):
    """Mean absolute error (minutes) and accuracy of two versions on `flights` (split: of each).

    `chance` is how often chance alone would make the accuracies differ so much: McNemar's exact
    test on pairs, Fisher's on split traffic.
    """

    design: str
    flights: tuple[int, int]
    error: Difference
    accuracy: Difference
    chance: float
    remark: str


def paired(
    target: Minutes, first: Minutes, second: Minutes, days: NDArray[Any],
    wanted_minutes: float, wanted_share: float,
) -> Comparison:  # fmt: skip
    """Both versions' predictions (n) of the same flights with their true delays, and their days.

    Flights of a day share their weather, so they are no independent witnesses: whole days are drawn
    (a bootstrap by cluster; Cameron, Gelbach and Miller, 2008).

    Raises:
        ValueError: fewer than two flights.
    """
    if len(target) < 2:
        raise ValueError("it takes at least two flights that both versions predicted")
    off, right = errors(target, first, second), rights(target, first, second)
    names = np.unique(days)
    by_day = len(names) >= LEAST_DAYS
    remark = f"whole days are drawn ({len(names)})" if by_day else (
        f"only {len(names)} days: flights are taken as independent, which flatters the certainty"
    )  # fmt: skip
    first_only = int((right[0] & ~right[1]).sum())
    second_only = int((right[1] & ~right[0]).sum())
    apart = first_only + second_only
    return Comparison(
        "paired", (len(target), len(target)),
        mean_difference(*off, days if by_day else None, wanted_minutes),
        mean_difference(*right.astype(float), days if by_day else None, wanted_share),
        float(stats.binomtest(first_only, apart).pvalue) if apart else 1.0, remark,
    )  # fmt: skip


def mean_difference(
    first: Minutes, second: Minutes, days: NDArray[Any] | None, wanted: float
) -> Difference:
    """The difference of two paired columns (n)."""
    apart = first - second
    if days is None:
        low, high = t_interval(apart)
    else:
        low, high = drawn_days(apart, days)
    # What days have in common makes the interval wider than n flights would: `needed` grows alike.
    deviation = (high - low) / 2 / z(LEVEL) * math.sqrt(len(apart))
    needed = math.ceil((factor() * deviation / wanted) ** 2)
    return Difference(
        float(first.mean()), float(second.mean()), float(apart.mean()), low, high, wanted, needed
    )


def drawn_days(apart: Minutes, days: NDArray[Any]) -> tuple[float, float]:
    """The interval of a mean when whole days are drawn again and again."""
    _, place = np.unique(days, return_inverse=True)
    sums, counts = np.bincount(place, apart), np.bincount(place)
    chance = np.random.default_rng(SEED)
    taken = chance.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), DRAWS)
    means = (taken @ sums) / (taken @ counts)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def t_interval(apart: Minutes) -> tuple[float, float]:
    """Student's interval of a mean."""
    if np.ptp(apart) == 0:
        return float(apart[0]), float(apart[0])
    found = stats.ttest_1samp(apart, 0.0).confidence_interval(LEVEL)
    return float(found.low), float(found.high)


def split(
    target: tuple[Minutes, Minutes], said: tuple[Minutes, Minutes],
    wanted_minutes: float, wanted_share: float,
) -> Comparison:  # fmt: skip
    """Each version's predictions of flights of its own, with their true delays.

    Welch's interval for the errors, Newcombe's for the accuracies (Statist. Med. 17, 1998).

    Raises:
        ValueError: fewer than two flights of a version.
    """
    if min(map(len, target)) < 2:
        raise ValueError("it takes at least two landed flights of each version")
    off = [np.abs(true - guess) for true, guess in zip(target, said, strict=True)]
    right = [late(true) == late(guess) for true, guess in zip(target, said, strict=True)]
    sizes = (len(target[0]), len(target[1]))
    hits = (int(right[0].sum()), int(right[1].sum()))
    table = [[hit, size - hit] for hit, size in zip(hits, sizes, strict=True)]
    return Comparison(
        "split", sizes, welch(off[0], off[1], wanted_minutes), newcombe(hits, sizes, wanted_share),
        float(stats.fisher_exact(table).pvalue),
        "each version predicted flights of its own",
    )  # fmt: skip


def welch(first: Minutes, second: Minutes, wanted: float) -> Difference:
    """The difference of two independent means."""
    found = stats.ttest_ind(first, second, equal_var=False).confidence_interval(LEVEL)
    spread = math.sqrt(float(first.var(ddof=1) + second.var(ddof=1)))
    needed = math.ceil((factor() * spread / wanted) ** 2)
    means = float(first.mean()), float(second.mean())
    return Difference(
        *means, means[0] - means[1], float(found.low), float(found.high), wanted, needed
    )


def newcombe(hits: tuple[int, int], sizes: tuple[int, int], wanted: float) -> Difference:
    """The difference of two independent shares, from the Wilson intervals of both."""
    shares = [hit / size for hit, size in zip(hits, sizes, strict=True)]
    ends = [
        stats.binomtest(hit, size).proportion_ci(LEVEL, method="wilson")
        for hit, size in zip(hits, sizes, strict=True)
    ]
    apart = shares[0] - shares[1]
    low = apart - math.hypot(shares[0] - ends[0].low, ends[1].high - shares[1])
    high = apart + math.hypot(ends[0].high - shares[0], shares[1] - ends[1].low)
    spread = math.sqrt(sum(share * (1 - share) for share in shares))
    needed = math.ceil((factor() * spread / wanted) ** 2)
    return Difference(*shares, apart, low, high, wanted, needed)


def errors(target: Minutes, *said: Minutes) -> Minutes:
    """Absolute errors (versions, n)."""
    return np.stack([np.abs(target - guess) for guess in said])


def rights(target: Minutes, *said: Minutes) -> NDArray[np.bool_]:
    """Whether each flight was rightly called late or not (versions, n)."""
    return np.stack([late(target) == late(guess) for guess in said])


def late(minutes: Minutes) -> NDArray[np.bool_]:
    """Which of these count as late."""
    return minutes >= LATE_MINUTES


def z(level: float) -> float:
    """Standard deviations around the mean that hold `level` of a normal distribution."""
    return float(stats.norm.ppf((1 + level) / 2))


def factor() -> float:
    """Standard errors that a difference must be to be seen in POWER of all trials."""
    return z(LEVEL) + float(stats.norm.ppf(POWER))
