"""Batches: take `size` rows at a time from the iterator, until it gives none."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any


def load(rows: Iterable[Any], send: Callable[[list[Any]], None], size: int = 100) -> int:
    """Send all rows, `size` at a time; how many there were."""
    remaining, count = iter(rows), 0
    while batch := list(islice(remaining, size)):
        send(batch)
        count += len(batch)
    return count
