"""The 95th percentile, from buckets.

A histogram counts in buckets: how many answers took at most 0.1 s, at most 0.5 s, at most 1 s,
all of them ("at most infinity"). Write `quantile` as Prometheus does it in `histogram_quantile`:

1. the rank is q times the number of all observations;
2. find the first bucket whose count reaches the rank;
3. take a straight line through the bucket: between its lower bound (0 for the first bucket) and its
   upper bound, as far as the rank lies between the counts;
4. in the bucket "at most infinity" there is no line: answer the highest finite bound.

`buckets` holds (upper bound, how many took at most that), sorted; the last bound is infinity.
Without any observation the answer is NaN. q outside of 0 … 1 is a ValueError.
"""

from collections.abc import Sequence


def quantile(q: float, buckets: Sequence[tuple[float, int]]) -> float:
    """The estimated q-quantile of what was observed."""
    raise NotImplementedError("TODO: find the bucket, then the place in it")
