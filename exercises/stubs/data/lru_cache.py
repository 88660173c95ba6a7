"""An LRU cache.

Write a cache of at most `size` values. When it is full and another one comes, the value goes that
was not used for longest (least recently used). Using means: `get` found it, or `put` wrote it.
`put` of a key that is there replaces the value. `hits` and `misses` count the calls of `get`.

None is a value like any other. Both methods take the same time however large the cache is: nothing
may look through all keys.
"""

from collections.abc import Hashable
from typing import Any


class LRU:
    """Keeps the values that were used last."""

    def __init__(self, size: int = 128) -> None:
        """ValueError when `size` is below 1."""
        raise NotImplementedError("TODO: what has to be remembered?")

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        raise NotImplementedError("TODO: found, and used just now")

    def put(self, key: Hashable, value: Any) -> None:
        """Keep `value`; when there are too many, forget the one not used for longest."""
        raise NotImplementedError("TODO: keep it, and forget one if need be")

    def __len__(self) -> int:
        """How many values are kept."""
        raise NotImplementedError("TODO: how many?")
