"""Find a moment in a long history.

`value_as_of` looks through a customer's history for what was known at a moment. The history is
sorted by time, and the function doesn't make use of it: with a million entries it compares a
million times. Write it so that 1,000,000 entries take about 20 comparisons.

`history` holds (moment, value), sorted by moment. An entry counts from its own moment on. Of
several entries with the same moment the last one counts. Before the first there is nothing: None.
"""

from collections.abc import Sequence
from datetime import datetime


def value_as_of(history: Sequence[tuple[datetime, float]], moment: datetime) -> float | None:
    """The value that was known at `moment`."""
    # TODO: the history is sorted.
    found = None
    for when, value in history:
        if when <= moment:
            found = value
    return found
