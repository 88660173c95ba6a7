"""Caching strategies: fast answers that are not wrong.

You will see what lru_cache does and where it bites, three tiers, ways to read, to write and to
forget, 500 callers who miss at the same moment, and a Redis that is killed while it is needed.

Run      python advanced_examples/data_services/03_caching_strategies.py    (--step pauses)
Needs    PostgreSQL, Redis
Minutes  60
Next     04_rabbitmq_messaging.py
"""

import asyncio
import gc
import json
import random
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from statistics import median
from typing import Any

from cachetools import LRUCache
from caching import forgetting, stampedes
from caching.tiers import ThreeTiers, TierReport, draw
from caching.workbench import (
    NAME,
    PATIENCE,
    TABLES,
    TTL,
    TTL_OF_NOTHING,
    Source,
    key,
    remove_keys,
    stores,
    typical,
    visitors,
)  # fmt: skip
from caching.write_behind import ViewCounter
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisAway
from shop_profile.cache import Cache, Tier

from course.lesson import Lesson, run
from course.measure import seconds
from course.workspace import own_redis, own_schema, own_turn

CLAIMED = 11_456  # times faster, says a tutorial
QUESTIONS = 1_500
REPORT = """
    SELECT category, sum(quantity * unit_price)::text FROM order_items
    JOIN products USING (product_id) JOIN orders USING (order_id) GROUP BY category
"""


def plain_fibonacci(n: int) -> int:
    return n if n < 2 else plain_fibonacci(n - 1) + plain_fibonacci(n - 2)


@lru_cache(maxsize=128)
def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def memory(lesson: Lesson) -> None:
    """lru_cache: one line makes a slow function fast.

    `@lru_cache(maxsize=128)` keeps the 128 results that were used last. Fibonacci asks for the same
    numbers over and over, so it gains enormously. A tutorial claims 11,456x. No such number belongs
    to lru_cache: it grows with n, without end.
    """
    rows = []
    for n in (15, 20, 25):
        slow, fast = min(seconds(partial(plain_fibonacci, n)) for _ in range(9)), []
        for _ in range(5):
            fibonacci.cache_clear()
            fast.append(seconds(partial(fibonacci, n)))
        rows.append((n, slow * 1e3, min(fast) * 1e3, slow / min(fast)))
    info = fibonacci.cache_info()
    lesson.table(rows, ["n", "plain ms", "cached ms", "times faster"], measured=True)
    lesson.check("each 5 more in n gain at least 3x more", rows[2][-1] > 3 * rows[1][-1])
    lesson.check("cache_info() says", (info.hits, info.misses) == (23, 26), str(info))
    calls = {n: 2 * fibonacci(n + 1) - 1 for n in range(40)}
    first = next(n for n in calls if calls[n] / (n + 1) >= CLAIMED)
    evidence = f"{calls[first]:,} calls against {first + 1}"
    lesson.check(f"counted in calls, {CLAIMED:,}x is passed at n = 26", first == 26, evidence)


class Shop:
    """Its method is cached the wrong way."""

    @lru_cache(maxsize=128)  # noqa: B019 - the trap that the step shows
    def tags(self, product_id: int) -> list[str]:
        return [f"product {product_id}"]


async def traps(lesson: Lesson) -> None:
    """Where lru_cache bites.

    - Arguments must be hashable.
    - All callers get the same object: a list that one changes is changed for all.
    - On a method, `self` is an argument, so the cache keeps the object alive.
    - Asked for more keys in turn than it holds, it never hits.
    - It is not single-flight: while one thread computes, others compute the same.
    - On `async def` it keeps a coroutine, which can be awaited once.
    - It has no TTL, and each process has its own.
    """
    with lesson.expected_error(TypeError):
        fibonacci([25])
    shop = Shop()
    shop.tags(1).append("sold out")
    lesson.check("a changed result stays changed", shop.tags(1) == ["product 1", "sold out"])
    ghost = weakref.ref(shop)
    del shop
    gc.collect()
    lesson.check("nobody else has the shop, but it is alive", ghost() is not None)
    Shop.tags.cache_clear()
    lesson.check("the cache was what held it", ghost() is None)
    square = lru_cache(maxsize=128)(lambda number: number**2)
    deque((square(number % 129) for number in range(1_290)), maxlen=0)
    lesson.check("129 keys in turn, 128 places: no hit", square.cache_info().hits == 0)
    all_in, loads = threading.Barrier(8), deque()
    load = lru_cache(lambda number: (loads.append(number), all_in.wait(30)))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(load, [1] * 8))
    lesson.check("8 threads miss one key: 8 loads", len(loads) == 8)
    cached_sleep = lru_cache(asyncio.sleep)
    await cached_sleep(0)
    with lesson.expected_error(RuntimeError):
        await cached_sleep(0)


async def three_tiers(lesson: Lesson) -> None:
    """Three tiers: memory, Redis, database.

    Each is larger, slower and further away than the one before. A rule of thumb says below 0.1 ms,
    1 to 5 ms and 50 to 100 ms. Measure your own: those figures mean a network and a heavy query. A
    row by its key is about as quick as Redis, so caching it gains next to nothing.
    """
    local = {5: "a name"}
    async with stores() as (redis, source):
        await redis.set(key("tier"), "a name")
        rows = [
            ("memory", "< 0.1 ms", seconds(partial(local.get, 5), 20_000) / 20),
            ("Redis", "1–5 ms", await typical(partial(redis.get, key("tier")), 300)),
            ("database, row by key", "50–100 ms", await typical(partial(source.name, 5), 300)),
            ("database, report", "50–100 ms", await typical(partial(source.pool.fetch, REPORT), 9)),
        ]
    table = [(tier, claim, f"{here * 1e3:,.2f} µs") for tier, claim, here in rows]
    lesson.table(table, ["tier", "claimed", "here"], measured=True)
    near, middle, by_key, report = (row[-1] for row in rows)
    lesson.check("memory answers in less than 0.1 ms", near < 0.1)
    lesson.check("Redis on this machine is no slower than claimed", middle < 5)
    lesson.check("a row by its key is quicker than claimed", by_key < 50)
    lesson.check("a report takes at least 3x as long as Redis", report > 3 * middle)


async def cache_aside(
    redis: Redis, name: str, load: Callable[[], Awaitable[Any]], keep_none: bool = True
) -> Any:
    """What is stored under `name`; loaded and stored if need be, None for a short time."""
    text = await redis.get(name)
    if text is None:
        value = await load()
        text = json.dumps(value)
        if value is not None or keep_none:
            await redis.set(name, text, ex=TTL_OF_NOTHING if value is None else TTL)
    return json.loads(text)


async def reading(lesson: Lesson) -> None:
    """Cache-aside, and negative caching.

    Look into the cache; else ask the database and store what it said. Store a None as well, for a
    short time: otherwise every question for a customer who does not exist reaches the database. Who
    creates that customer deletes the None.
    """
    async with stores() as (redis, source):
        for who, keep_none, asked in ((5, True, 1), (0, False, 100), (0, True, 1)):
            source.asked = 0
            for _ in range(100):
                await cache_aside(redis, key(who), partial(source.name, who), keep_none)
            what = "customer 5" if who else f"nobody, None {'' if keep_none else 'not '}stored"
            claim = f"100 questions for {what}: {asked} to the database"
            lesson.check(claim, source.asked == asked)
        lesson.check("None has a short TTL", await redis.ttl(key(0)) <= TTL_OF_NOTHING)


async def writing_through(lesson: Lesson) -> None:
    """Write-through: the database first, then the cache.

    The next reader hits. But two writers may reach the cache in another order than the database,
    and then the wrong value stays until its TTL ends. Deleting the key has no order to get wrong:
    prefer it, unless each key has one writer only.
    """
    async with stores() as (redis, source):
        read = partial(cache_aside, redis, key(5), partial(source.name, 5))
        await source.rename(5, "Anna")  # writer A
        await source.rename(5, "Ivan")  # writer B
        await redis.set(key(5), '"Ivan"', ex=TTL)  # writer B
        lesson.check("a reader needs no database", (await read(), source.asked) == ("Ivan", 0))
        await redis.set(key(5), '"Anna"', ex=TTL)  # writer A, who was held up
        wrong = await read() != await source.name(5)
        lesson.check("A comes late: the cache is wrong", wrong)
        await redis.delete(key(5))
        lesson.check("with the key deleted it is right", await read() == await source.name(5))


async def writing_behind(lesson: Lesson) -> None:
    """Write-behind: the cache now, the database later.

    A thousand views become one statement that changes ten rows. What is not flushed yet is lost if
    Redis loses it: count views this way, never money. A flush may die and be repeated: each batch
    has a number, and the database takes each number once (caching/write_behind.py).
    """
    total = "SELECT sum(count) FROM views"
    async with stores() as (redis, source):
        counter = ViewCounter(redis, NAME)
        for view in range(1_000):
            await counter.count(product_id=view % 10)
        lesson.check("1,000 views, and the database knows of none",
                     await source.pool.fetchval(total) is None)  # fmt: skip
        await counter.commit(source.pool)  # and here the process dies: the batch is still there
        await counter.flush(source.pool)
        views = await source.pool.fetchval(total)
        lesson.check("a repeated flush counts nothing twice", views == 1_000, f"{views:,} views")


def patient_redis(url: str) -> Redis:
    """A client whose waiting we chose: 1 s for an answer, one more try on a new connection."""
    once_more = Retry(NoBackoff(), 1, supported_errors=(RedisAway,))
    return Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=once_more)


async def redis_dies(lesson: Lesson) -> None:
    """Redis is killed in mid-run: slower and correct, never wrong, never down.

    A cache is a help, not a service to depend on. Left alone, redis-py 8 waits 5 s for an answer,
    and it depends on how you make the client whether it tries ten times more or never: callers
    would hang. So set `retry` and the timeouts yourself, in a web service 50 ms. And Redis comes
    back with its data, old names too: what was changed meanwhile must be deleted first.
    """
    made = [Redis(host="localhost"), Redis.from_url("redis://localhost")]
    plain = [client.connection_pool.make_connection() for client in made]
    waits = [(it.socket_timeout, it.retry.get_retries()) for it in plain]
    lesson.check("left alone: Redis(host=…) 5 s and 10 retries, from_url 5 s and none",
                 waits == [(5, 10), (5, 0)])  # fmt: skip
    with own_redis(f"{NAME}_redis") as server:
        if server is None:
            print("○ skipped: this machine has no real Redis server that we may start and kill")
            return
        async with stores() as (_, source), patient_redis(server.url) as redis:
            cache, rng, rows = Cache(redis, NAME, patience=PATIENCE), random.Random(11), []
            for state, change in (("up", None), ("killed", server.kill), ("back", server.start)):
                if change:
                    change()
                rows.append((state, *await serve(cache, source, rng, state)))
    lesson.table(rows, ["Redis is", "by Redis", "by database", "wrong", "ms"], measured=True)
    hits = [row[1] for row in rows]
    lesson.check("of 900 answers none is wrong or missing", sum(row[3] for row in rows) == 0)
    lesson.check("while Redis is away, the database answers all", hits[1] == 0)
    lesson.check("before and after, Redis answers most", hits[0] > 150 and hits[2] > 150)


async def serve(
    cache: Cache, source: Source, rng: random.Random, state: str
) -> tuple[int, int, int, float]:
    """Ask 300 times for one of 20 names, which change: (by Redis, by database, wrong, ms)."""
    by_redis = wrong = 0
    took = []
    for number in range(300):
        who = rng.randint(1, 20)
        if number % 10 == 0:
            await source.rename(who, f"name {number}, Redis {state}")
            await cache.invalidate(str(who))
        start = time.perf_counter()
        name, tier = await cache.get_or_load(str(who), TTL, partial(source.name, who))
        took.append(time.perf_counter() - start)
        by_redis += tier is Tier.REDIS
        wrong += name != await source.name(who)
    return by_redis, len(took) - by_redis, wrong, median(took) * 1e3


async def traffic(lesson: Lesson) -> None:
    """Hit rate and latency, tier by tier.

    A few customers are asked for often and most hardly ever, as in real traffic. Memory holds 128
    of 2,000 profiles, Redis all that were asked for. After a warm-up we count 1,500 questions.
    A miss costs more than no cache at all: it looks, asks, and stores.
    """
    rng = random.Random(5)
    async with stores() as (redis, source):
        tiers = ThreeTiers(Cache(redis, key("traffic"), patience=PATIENCE), TTL, seconds=600)
        for _warm_up_then_count in range(2):
            tiers.reset()
            for who in visitors(rng, QUESTIONS):
                await tiers.get(str(who), partial(source.profile, who))
        took = [await typical(partial(source.profile, who), 1) for who in visitors(rng, 200)]
    all_three = near, middle, _ = list(tiers.reports.values())
    reports = [*all_three, TierReport("no cache", len(took), took)]
    rows = [(r.name, r.asked, r.answered, f"{r.hit_rate:.0%}", r.typical, r.slow) for r in reports]
    columns = ["tier", "asked", "answered", "hit rate", "median ms", "p99 ms"]
    lesson.table(rows, columns, measured=True)
    lesson.chart(draw(all_three), "tiers")
    share = f"{near.hit_rate:.0%} from memory, {middle.hit_rate:.0%} of the rest from Redis"
    lesson.check("memory answers more than half", near.hit_rate > 0.5, share)
    lesson.check("and is at least 3x as fast as Redis", near.typical * 3 < middle.typical)


def hit_rate(asked: list[int], size: int) -> float:
    """The share of hits of an LRU cache with `size` places."""
    cache: LRUCache[int, bool] = LRUCache(size)
    hits = 0
    for who in asked:
        hits += who in cache
        cache[who] = True
        cache.get(who)
    return hits / len(asked)


def when_not(lesson: Lesson) -> None:
    """When not to cache, and what changes at 1,000 times the size.

    A hit saves the load, and a miss pays for the cache as well: with c for a look and d for a load,
    it pays when the hit rate is above c/d. So don't cache what is quick already, what is hardly
    asked for twice, or what must never be old: stock at the checkout, balances, permissions. First
    look for the missing index.

    At 1,000 times the size one Redis becomes a cluster, and one hot key still lives on one node:
    keep it in memory, or under several names. Warm up before you switch on, for a cold cache can
    bring down the database that it protected. Limit memory (maxmemory, allkeys-lfu). Measure the
    hit rate by kind of key, not in all.
    """
    rng = random.Random(6)
    rows = [
        (
            what,
            *(
                f"{hit_rate(visitors(rng, QUESTIONS, popular), size):.0%}"
                for size in (128, 512, 2_000)
            ),
        )
        for what, popular in (("a few are popular", True), ("all alike", False))
    ]
    lesson.table(rows, ["questions", "128 places", "512", "2,000"], "Hit rate, from a cold start")
    lesson.check("with all alike, 128 places hardly ever hit", float(rows[1][1].rstrip("%")) < 10)


PARTS = (
    memory, traps, three_tiers, reading, writing_through, writing_behind,
    forgetting.jitter, forgetting.events, forgetting.late_load,
    stampedes.stampede, stampedes.lock, stampedes.early,
    redis_dies, traffic, when_not,
)  # fmt: skip


def main(lesson: Lesson) -> None:
    """Every part as a step, with keys and tables of the lesson's own."""
    with own_turn(NAME), own_schema(NAME, TABLES):
        try:
            for part in PARTS:
                remove_keys()
                lesson.step(part, lesson)
        finally:
            remove_keys()


if __name__ == "__main__":
    run(main)
