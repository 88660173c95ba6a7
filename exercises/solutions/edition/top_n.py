"""The ten best: a heap of ten places, one comparison for nearly every product."""

import heapq
from collections.abc import Iterable
from operator import itemgetter
from typing import Any


def best(scored: Iterable[tuple[Any, str]], count: int = 10) -> list[str]:
    """The names with the highest scores, the highest first; `scored` holds (score, name)."""
    return [name for _, name in heapq.nlargest(count, scored, key=itemgetter(0))]
