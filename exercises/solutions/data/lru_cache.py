"""An LRU cache: who is used moves to the end, so the front is who wasn't used for longest."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class LRU:
    """Keeps the values that were used last."""

    def __init__(self, size: int = 128) -> None:
        """ValueError when `size` is below 1."""
        if size < 1:
            raise ValueError(f"a cache needs at least one place, not {size}")
        self.size = size
        self.values: OrderedDict[Hashable, Any] = OrderedDict()
        self.hits = self.misses = 0

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        if key not in self.values:
            self.misses += 1
            return default
        self.hits += 1
        self.values.move_to_end(key)
        return self.values[key]

    def put(self, key: Hashable, value: Any) -> None:
        """Keep `value`; when there are too many, forget the one not used for longest."""
        self.values[key] = value
        self.values.move_to_end(key)
        if len(self.values) > self.size:
            self.values.popitem(last=False)

    def __len__(self) -> int:
        """How many values are kept."""
        return len(self.values)
