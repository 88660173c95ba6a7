"""Many at once, two keys at once, and a database that fails."""

import asyncio

from course.exercises import expect, require


class Database:
    """Counts what it is asked; fails for the first `failures` questions."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[str] = []
        self.failures = failures
        self.under_way = self.peak = 0

    async def load(self, key: str) -> str:
        self.asked.append(key)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        await asyncio.sleep(0.02)
        self.under_way -= 1
        if len(self.asked) <= self.failures:
            raise ConnectionError("the database is away")
        return f"value of {key}"


async def check_one_load(their):
    """Five hundred at once: one load"""
    database = Database()
    cache = their.Cache(database.load)
    answers = await asyncio.gather(*(cache.get("a") for _ in range(500)))
    require(
        len(database.asked) == 1,
        f"the database was asked {len(database.asked)} times for one key",
        "The first one who finds nothing should leave something for the others to wait for.",
    )
    expect(set(answers), {"value of a"}, "Everybody gets the value.")
    expect(await cache.get("a"), "value of a")
    expect(len(database.asked), 1, "Once it is there, nobody loads it again.")


async def check_two_keys(their):
    """Different keys do not wait for each other"""
    database = Database()
    cache = their.Cache(database.load)
    answers = await asyncio.gather(cache.get("a"), cache.get("b"), cache.get("a"))
    expect(answers, ["value of a", "value of b", "value of a"])
    require(
        database.peak == 2,
        "the two keys were loaded one after the other",
        "One lock for everything makes everybody wait. Keep something for each key.",
    )


async def check_failure(their):
    """A failure reaches all who waited, and isn't kept"""
    database = Database(failures=1)
    cache = their.Cache(database.load)
    answers = await asyncio.gather(*(cache.get("a") for _ in range(5)), return_exceptions=True)
    require(
        all(isinstance(answer, ConnectionError) for answer in answers),
        f"the five who waited got {answers[:2]} …",
        "The error of the load is the answer to everybody who waited for it.",
    )
    expect(await cache.get("a"), "value of a", "The next one tries again: don't keep the failure.")
    expect(len(database.asked), 2, "One load that failed, one that went well.")
