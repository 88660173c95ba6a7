"""Pages are fetched at the same time, and come back in order."""

import asyncio

from course.exercises import expect, require


class Site:
    """Pages of which the first takes longest; remembers how many were under way at once."""

    def __init__(self) -> None:
        self.under_way = self.peak = 0

    async def fetch(self, name: str) -> str:
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        await asyncio.sleep(0.05 if name == "a" else 0.02)
        self.under_way -= 1
        return f"text of {name}"


async def check_order(their):
    """The texts come back in the order of the names."""
    expect(
        await their.fetch_all(Site().fetch, ["a", "b", "c"]),
        ["text of a", "text of b", "text of c"],
        "Page a is the slowest here, and must come first all the same.",
    )


async def check_together(their):
    """All pages are under way at the same time."""
    site = Site()
    await their.fetch_all(site.fetch, list("abcdefgh"))
    require(
        site.peak == 8,
        f"of 8 pages, at most {site.peak} were under way at once",
        "An await inside a loop waits for one page before it asks for the next.",
    )


async def check_nothing(their):
    """No names, no pages."""
    expect(await their.fetch_all(Site().fetch, []), [])
