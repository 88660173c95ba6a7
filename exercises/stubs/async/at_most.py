"""Together, but never more than N at once.

A server that is asked a thousand things at once falls over, or locks you out. Write `fetch_all` so
that at most `limit` pages are under way at any moment, and never fewer than it could be: as soon as
one has come, the next is asked for. Return the texts in the order of `names`.
"""

from collections.abc import Awaitable, Callable

Fetch = Callable[[str], Awaitable[str]]


async def fetch_all(fetch: Fetch, names: list[str], limit: int) -> list[str]:
    """The text of every page, in the order of `names`; at most `limit` are under way at once."""
    raise NotImplementedError("TODO: fetch the pages, at most `limit` at once")
