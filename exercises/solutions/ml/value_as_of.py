"""Find a moment in a sorted history: halve what is left with each comparison."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter


def value_as_of(history: Sequence[tuple[datetime, float]], moment: datetime) -> float | None:
    """The value that was known at `moment`."""
    place = bisect_right(history, moment, key=itemgetter(0))
    return history[place - 1][1] if place else None
