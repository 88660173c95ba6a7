"""The ten best of a million, without sorting a million.

`best` sorts all products to show ten. Sorting compares each product with about twenty others. To
know the ten best, one comparison for nearly every product is enough. Of equal scores the one that
came first stands first, as now. The products may come from a generator: it can be read only once,
and a million of them should not be held.
"""

from collections.abc import Iterable
from typing import Any


def best(scored: Iterable[tuple[Any, str]], count: int = 10) -> list[str]:
    """The names with the highest scores, the highest first; `scored` holds (score, name)."""
    # TODO: nobody needs the order of those that aren't shown.
    in_order = sorted(scored, key=lambda pair: pair[0], reverse=True)
    return [name for _, name in in_order[:count]]
