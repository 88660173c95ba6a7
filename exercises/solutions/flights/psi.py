"""Drift: the population stability index, bucket by bucket."""

import math
from bisect import bisect_right
from collections.abc import Sequence

SMALLEST = 0.0001  # ln(0) doesn't exist


def shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    """The share of the values in each bucket; they add up to 1."""
    if not values:
        raise ValueError("no values, no shares")
    last = len(edges) - 2
    counts = [0] * (last + 1)
    for value in values:
        counts[min(max(bisect_right(edges, value) - 1, 0), last)] += 1
    return [count / len(values) for count in counts]


def psi(expected: Sequence[float], actual: Sequence[float], edges: Sequence[float]) -> float:
    """The population stability index: 0 when the shares are equal."""
    pairs = zip(shares(expected, edges), shares(actual, edges), strict=True)
    raised = [(max(e, SMALLEST), max(a, SMALLEST)) for e, a in pairs]
    return sum((a - e) * math.log(a / e) for e, a in raised)


def judge(index: float) -> str:
    """What to do about it."""
    if index < 0.1:
        return "steady"
    return "warning" if index < 0.25 else "critical"
