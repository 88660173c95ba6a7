"""Drift: the population stability index.

The model was trained on last year's flights. Do today's look the same? PSI compares two
distributions, bucket by bucket, with e = the share of the training data in the bucket and a = the
share of today's:

    PSI = sum of (a - e) * ln(a / e)

Write `shares`: the share of the values in each bucket between the `edges` ([0, 10, 20] makes two
buckets; a value at an edge belongs to the bucket that begins there; what lies outside belongs to
the first or the last bucket). Write `psi` of two lists of values; a share below 0.0001 counts as
0.0001, for ln(0) doesn't exist. Write `judge`: "steady" below 0.1, "warning" below 0.25, else
"critical". No values at all are a ValueError.
"""

from collections.abc import Sequence


def shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    """The share of the values in each bucket; they add up to 1."""
    raise NotImplementedError("TODO: count by bucket")


def psi(expected: Sequence[float], actual: Sequence[float], edges: Sequence[float]) -> float:
    """The population stability index: 0 when the shares are equal."""
    raise NotImplementedError("TODO: the sum over the buckets")


def judge(index: float) -> str:
    """What to do about it."""
    raise NotImplementedError("TODO: steady, warning or critical")
