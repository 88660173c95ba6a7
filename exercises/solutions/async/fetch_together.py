"""Fetch pages together: gather starts all of them and keeps their order."""

import asyncio
from collections.abc import Awaitable, Callable

Fetch = Callable[[str], Awaitable[str]]


async def fetch_all(fetch: Fetch, names: list[str]) -> list[str]:
    """The text of every page, in the order of `names`."""
    return list(await asyncio.gather(*(fetch(name) for name in names)))
