"""A row at a time is a journey at a time.

`load` sends each row by itself: 1,000 rows, 1,000 journeys. Send them in batches of `size` instead,
the last one shorter. The rows may come from a file of any length, so don't collect them all before
sending: while a batch is sent, at most `size` rows may be held.

`send(rows)` sends a list of rows in one journey; an empty list is not worth one.
"""

from collections.abc import Callable, Iterable
from typing import Any


def load(rows: Iterable[Any], send: Callable[[list[Any]], None], size: int = 100) -> int:
    """Send all rows, `size` at a time; how many there were."""
    # TODO: fewer journeys.
    count = 0
    for row in rows:
        send([row])
        count += 1
    return count
