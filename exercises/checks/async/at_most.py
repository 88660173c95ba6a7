"""Never more than the limit, and no place stays empty."""

import asyncio
from contextlib import suppress

from course.exercises import expect, require

PATIENCE = 1.0  # seconds


class Site:
    """Pages of which the first comes when all have begun, or after a while; remembers the peak."""

    def __init__(self) -> None:
        self.under_way = self.peak = 0
        self.begun: list[str] = []
        self.begun_before_slow_ended = 0
        self.all_begun = asyncio.Event()

    async def fetch(self, name: str) -> str:
        self.begun.append(name)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        if len(self.begun) == len(NAMES):
            self.all_begun.set()
        await asyncio.sleep(0.005)
        if name == "page 0":
            with suppress(TimeoutError):
                await asyncio.wait_for(self.all_begun.wait(), PATIENCE)
            self.begun_before_slow_ended = len(self.begun)
        self.under_way -= 1
        return f"text of {name}"


NAMES = [f"page {number}" for number in range(9)]


async def check_limit(their):
    """At most three are under way at once."""
    site = Site()
    await their.fetch_all(site.fetch, NAMES, 3)
    require(
        site.peak <= 3,
        f"{site.peak} were under way at once, 3 are allowed",
        "Something must be taken before each fetch, of which there are only `limit`.",
    )
    require(
        site.peak == 3,
        f"only {site.peak} was under way at once, 3 are allowed",
        "An await in a loop waits for one page before it asks for the next.",
    )


async def check_order(their):
    """Every text comes back, in order."""
    texts = await their.fetch_all(Site().fetch, NAMES, 3)
    expect(texts, [f"text of {name}" for name in NAMES])


async def check_no_empty_place(their):
    """A slow page does not hold the others up."""
    site = Site()
    await their.fetch_all(site.fetch, NAMES, 3)
    require(
        site.begun_before_slow_ended == 9,
        f"while the slow page came, {site.begun_before_slow_ended} of 9 had begun",
        "Groups of `limit` wait for the slowest of each group. Let each page wait for a free place "
        "of its own instead.",
    )
