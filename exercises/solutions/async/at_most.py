"""Together, but never more than N at once: a semaphore has N places."""

import asyncio
from collections.abc import Awaitable, Callable

Fetch = Callable[[str], Awaitable[str]]


async def fetch_all(fetch: Fetch, names: list[str], limit: int) -> list[str]:
    """The text of every page, in the order of `names`; at most `limit` are under way at once."""
    places = asyncio.Semaphore(limit)

    async def when_there_is_room(name: str) -> str:
        async with places:
            return await fetch(name)

    return list(await asyncio.gather(*(when_there_is_room(name) for name in names)))
