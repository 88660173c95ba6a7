"""A counter that begins anew: a lower sample counts whole."""

from collections.abc import Iterable
from itertools import pairwise


def increase(samples: Iterable[float]) -> float:
    """How much was counted between the first sample and the last; 0 for fewer than two."""
    return sum(
        later - earlier if later >= earlier else later for earlier, later in pairwise(samples)
    )
