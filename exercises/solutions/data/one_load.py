"""One load for all who ask at once: the first one leaves a task, and the others await it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Cache:
    """Values by key, loaded when they are asked for."""

    def __init__(self, load: Callable[[str], Awaitable[Any]]) -> None:
        self.load = load
        self.values: dict[str, Any] = {}
        self.loading: dict[str, asyncio.Task[Any]] = {}

    async def get(self, key: str) -> Any:
        """The value of `key`, loaded if it isn't here; the error of `load` comes out."""
        if key in self.values:
            return self.values[key]
        if key not in self.loading:
            self.loading[key] = asyncio.create_task(self.keep(key))
        # Shielded: who stops waiting must not stop the load for the others.
        return await asyncio.shield(self.loading[key])

    async def keep(self, key: str) -> Any:
        """Load the value and keep it; a failure leaves nothing behind."""
        try:
            self.values[key] = await self.load(key)
            return self.values[key]
        finally:
            del self.loading[key]
