"""Write-behind: count in Redis, and tell the database now and then, many changes at once.

What is counted but not flushed lives in Redis only and is lost with it: for views, never for money.
"""

import uuid

import asyncpg
from redis.asyncio import Redis

TABLES = """
    CREATE TABLE views (product_id integer PRIMARY KEY, count integer NOT NULL);
    CREATE TABLE flushed (batch_id uuid PRIMARY KEY);
"""
NEW_BATCH = "INSERT INTO flushed VALUES ($1) ON CONFLICT DO NOTHING RETURNING true"
ADD = """
    INSERT INTO views SELECT * FROM unnest($1::integer[], $2::integer[])
    ON CONFLICT (product_id) DO UPDATE SET count = views.count + excluded.count
"""


class ViewCounter:
    """Counts views of products under `prefix`; `redis` must answer with text."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._counted, self._batch = f"{prefix}:{{views}}", f"{prefix}:{{views}}:batch"

    async def count(self, product_id: int, times: int = 1) -> None:
        """Count a view, without the database."""
        await self._redis.hincrby(self._counted, str(product_id), times)

    async def flush(self, pool: asyncpg.Pool) -> None:
        """Add what was counted to the database.

        It may die at any point and be repeated: a batch keeps its number, and the database takes
        each number once, in the transaction that adds the counts. One flush at a time.
        """
        await self.commit(pool)
        await self._redis.delete(self._batch)

    async def commit(self, pool: asyncpg.Pool) -> None:
        """The part of a flush until the database has committed; the batch is still there."""
        if not await self._redis.exists(self._batch):  # else an earlier flush died on the way
            if not await self._redis.exists(self._counted):
                return
            async with self._redis.pipeline(transaction=True) as both:
                both.rename(self._counted, self._batch)
                both.hset(self._batch, "id", str(uuid.uuid4()))
                await both.execute()
        views = await self._redis.hgetall(self._batch)
        batch_id = views.pop("id")
        async with pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(NEW_BATCH, batch_id):
                products, counts = map(int, views), map(int, views.values())
                await connection.execute(ADD, list(products), list(counts))
