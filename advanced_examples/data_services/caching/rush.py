"""A process full of callers who want the same key at the same moment: a stampede to measure.

Run      python -m caching.rush PREFIX --callers 250 --load 0.3

It says `ready`, waits for a line on standard input, and prints as JSON who answered how many of the
callers. Loads are counted in the Redis key PREFIX:loads, so that several processes count together.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter

from shop_profile.cache import Cache, connect

from course import connect as services

PATIENCE = 5.0  # seconds; the machine may be busy, and this is about loads, not about time
WAIT = 30.0


async def rush(url: str, prefix: str, callers: int, load_seconds: float) -> Counter[str]:
    """How many callers each tier answered; a load takes `load_seconds`."""
    async with connect(url, PATIENCE) as redis:
        await redis.ping()
        cache = Cache(redis, prefix, patience=PATIENCE, wait=WAIT)

        async def load() -> int:
            number = await redis.incr(f"{prefix}:loads")
            await asyncio.sleep(load_seconds)
            return number

        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        calls = (cache.get_or_load("popular", 60, load) for _ in range(callers))
        return Counter(f"{tier}" for _, tier in await asyncio.gather(*calls))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix")
    parser.add_argument("--callers", type=int, default=250)
    parser.add_argument("--load", type=float, default=0.3, help="seconds that a load takes")
    options = parser.parse_args()
    url = services.url("redis")
    print(json.dumps(asyncio.run(rush(url, options.prefix, options.callers, options.load))))


if __name__ == "__main__":
    main()
