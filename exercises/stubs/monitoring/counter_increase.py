"""A counter that begins at 0 again.

A counter only grows, until its process is started anew: then it begins at 0. Write `increase`: how
much was counted over all the samples, as `increase()` of Prometheus thinks of it. When a sample is
lower than the one before it, the counter began anew, and everything in the lower sample came since.

    increase([10, 15, 3, 7])   ->   12     (5, then a new start: 3, then 4)
"""

from collections.abc import Iterable


def increase(samples: Iterable[float]) -> float:
    """How much was counted between the first sample and the last; 0 for fewer than two."""
    raise NotImplementedError("TODO: add up the differences")
