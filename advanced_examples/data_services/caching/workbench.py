"""What the parts of the caching lesson share: its stores, its keys, its traffic."""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from statistics import median

import asyncpg
from redis.asyncio import Redis
from shop_profile.cache import connect as connect_cache

from caching import write_behind
from course import connect

NAME = "data_03"
TABLES = f"""
    CREATE TABLE people (customer_id integer PRIMARY KEY, name text NOT NULL);
    INSERT INTO people SELECT customer_id, name FROM public.customers;
    {write_behind.TABLES}
"""
PROFILE = """
    SELECT count(DISTINCT order_id) AS orders, sum(quantity * unit_price)::text AS spent,
           mode() WITHIN GROUP (ORDER BY category) AS favourite
    FROM orders JOIN order_items USING (order_id) JOIN products USING (product_id)
    WHERE customer_id = $1
"""
PATIENCE = 5.0  # seconds; a web service would set 0.05, here a busy machine must change no result
TTL, TTL_OF_NOTHING = 3600, 30  # seconds
CUSTOMERS = 2_000


def key(*words: object) -> str:
    """A key of this lesson."""
    return ":".join(map(str, (NAME, *words)))


def remove_keys() -> None:
    """Delete all keys of this lesson."""
    with closing(connect.redis()) as redis:
        names = list(redis.scan_iter(key("*"), count=1_000))
        if names:
            redis.delete(*names)


class Source:
    """The database, and how often it was asked for a name."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool, self.asked = pool, 0

    async def name(self, customer_id: int) -> str | None:
        """The customer's name; None when there is no such customer."""
        self.asked += 1
        query = "SELECT name FROM people WHERE customer_id = $1"
        return await self.pool.fetchval(query, customer_id)

    async def profile(self, customer_id: int) -> dict[str, object]:
        """What the customer bought, added up over all orders."""
        self.asked += 1
        return dict(await self.pool.fetchrow(PROFILE, customer_id))

    async def rename(self, customer_id: int, name: str) -> None:
        """Change a customer's name, committed when this returns."""
        query = "UPDATE people SET name = $2 WHERE customer_id = $1"
        await self.pool.execute(query, customer_id, name)


@asynccontextmanager
async def stores(redis_url: str = "") -> AsyncIterator[tuple[Redis, Source]]:
    """Redis, answering with text, and the database with the lesson's own tables first."""
    path = {"search_path": f"{NAME},public"}
    url = redis_url or connect.url("redis")
    async with (
        connect_cache(url, PATIENCE, decode_responses=True) as redis,
        asyncpg.create_pool(
            connect.url("postgres"), min_size=1, max_size=5, server_settings=path
        ) as pool,
    ):
        yield redis, Source(pool)


async def typical(ask: Callable[[], Awaitable[object]], times: int) -> float:
    """Milliseconds that `ask` typically takes: the median."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - start)
    return median(took) * 1e3


def visitors(rng: random.Random, count: int, popular: bool = True) -> list[int]:
    """`count` customers as visitors ask for them.

    With `popular` the r-th customer is asked for 1/r as often as the first (Zipf's law), without it
    all alike.
    """
    weights = [1 / rank if popular else 1.0 for rank in range(1, CUSTOMERS + 1)]
    return rng.choices(range(1, CUSTOMERS + 1), weights, k=count)
