"""Five hundred ask at once, one question to the database.

The cache works, until the value of a popular key runs out: then everybody who asks at that moment
finds nothing, and all of them ask the database. Repair `get`:

- who asks while a load is under way waits for that load, and gets its value;
- different keys are loaded at the same time;
- when a load fails, all who waited for it get its error, and the next one to ask tries again.
"""

from collections.abc import Awaitable, Callable
from typing import Any


class Cache:
    """Values by key, loaded when they are asked for."""

    def __init__(self, load: Callable[[str], Awaitable[Any]]) -> None:
        self.load = load
        self.values: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        """The value of `key`, loaded if it isn't here; the error of `load` comes out."""
        # TODO: while one loads, the others see nothing and load as well.
        if key not in self.values:
            self.values[key] = await self.load(key)
        return self.values[key]
