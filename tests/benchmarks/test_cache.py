"""The cache of Module 8: what a hit costs beside the plain GET that it cannot do without."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from shop_profile.cache import Cache, connect

from tests.data_services.cache_bench import PATIENCE, a_prefix, remove

Measure = Callable[..., None]
HITS, ROUNDS = 2_000, 7
VALUE = {"segment": "vip", "churn_risk": 0.12, "recommendations": list(range(5))}


async def per_second(ask: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    for _ in range(HITS):
        await ask()
    return HITS / (time.perf_counter() - start)


async def speeds(url: str) -> dict[str, float]:
    """Answers per second: GET with json.loads, and the cache, in turn."""
    prefix = a_prefix()
    async with connect(url, PATIENCE) as redis:
        cache = Cache(redis, prefix, patience=PATIENCE)

        async def load() -> object:
            return VALUE

        async def plain() -> object:
            return json.loads(await redis.get(f"{prefix}:plain"))

        async def cached() -> object:
            return await cache.get_or_load("key", 60, load)

        await redis.set(f"{prefix}:plain", json.dumps(VALUE))
        ways = {"plain GET": plain, "cache": cached}
        rounds = [
            {name: await per_second(ask) for name, ask in ways.items()} for _ in range(ROUNDS)
        ]
    await remove(url, prefix)
    return {name: statistics.median(round[name] for round in rounds) for name in ways}


def test_a_hit_is_at_least_half_as_fast_as_a_plain_get(
    measured: Measure, service: Callable[[str], str]
) -> None:
    found = asyncio.run(speeds(service("redis")))
    says = ", ".join(f"{name} {speed:,.0f}/s" for name, speed in found.items())
    measured("cache hit over plain GET", found["cache"] / found["plain GET"], 0.5, "higher", says)
