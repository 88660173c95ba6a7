"""Fetch pages together instead of one after another.

`fetch` is an async function: `await fetch("a")` waits for the page "a" and returns its text.
Write `fetch_all` so that all pages are under way at the same time. Return their texts in the
order of `names`, whichever came first.

    await fetch_all(fetch, ["a", "b"])   ->   ["text of a", "text of b"]
"""

from collections.abc import Awaitable, Callable

Fetch = Callable[[str], Awaitable[str]]


async def fetch_all(fetch: Fetch, names: list[str]) -> list[str]:
    """The text of every page, in the order of `names`."""
    raise NotImplementedError("TODO: fetch the pages together")
