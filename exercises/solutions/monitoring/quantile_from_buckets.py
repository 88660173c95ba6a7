"""A quantile from buckets: the bucket that reaches the rank, and a straight line through it.

Source: histogram_quantile() in the documentation of Prometheus.
"""

import math
from collections.abc import Sequence


def quantile(q: float, buckets: Sequence[tuple[float, int]]) -> float:
    """The estimated q-quantile of what was observed."""
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile is between 0 and 1, not {q}")
    total = buckets[-1][1]
    if total == 0:
        return math.nan
    rank, lower, below = q * total, 0.0, 0
    for upper, count in buckets:
        if count >= rank and count > below:
            if math.isinf(upper):
                break
            return lower + (upper - lower) * (rank - below) / (count - below)
        if not math.isinf(upper):
            lower, below = upper, count
    return lower
