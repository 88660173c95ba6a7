"""What the tests of the cache share: a cache on a Redis, a source of truth, a Redis to kill."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from shop_profile.cache import Cache, connect

PATIENCE = 5.0  # seconds; where time is not the subject, a busy machine must change nothing
NOWHERE = "redis://127.0.0.1:9/0"

Scenario = Callable[[Cache], Awaitable[Any]]


class Truth:
    """A database in miniature: values by key, a pause while it loads, and how often it was asked.

    `begun` is set when a load begins.
    """

    def __init__(self, pause: float = 0.0, **values: Any) -> None:
        self.values: dict[str, Any] = values
        self.pause, self.loads, self.begun = pause, 0, asyncio.Event()

    def loader(self, key: str) -> Callable[[], Awaitable[Any]]:
        """Loads what `key` has at the moment the load begins, and answers later."""

        async def load() -> Any:
            self.loads += 1
            self.begun.set()
            value = self.values.get(key)
            await asyncio.sleep(self.pause)
            return value

        return load


def a_prefix() -> str:
    """A prefix that no other test uses."""
    return f"test:{uuid.uuid4().hex}"


def with_cache(url: str, scenario: Scenario, prefix: str = "", **options: Any) -> Any:
    """Run `scenario` with a cache of its own on the Redis at `url`; its keys are removed."""
    prefix, patience = prefix or a_prefix(), options.pop("patience", PATIENCE)
    client = options.pop("client", {})

    async def run() -> Any:
        async with asyncio.timeout(60), connect(url, patience, **client) as redis:
            try:
                return await scenario(Cache(redis, prefix, patience=patience, **options))
            finally:
                if url != NOWHERE:
                    await remove(url, prefix)

    return asyncio.run(run())


async def remove(url: str, prefix: str) -> None:
    """Delete the keys under `prefix`."""
    async with connect(url, PATIENCE) as redis:
        async for name in redis.scan_iter(f"{prefix}*", count=1_000):
            await redis.delete(name)


def landed(cache: Cache) -> Callable[[], Awaitable[bool]]:
    """Whether no load of this process is under way: for `until`."""

    async def no_flight() -> bool:
        return not cache._flights

    return no_flight


async def until(truth: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `truth` holds, 50 seconds at most."""
    async with asyncio.timeout(50):
        while not await truth():  # noqa: ASYNC110 - Redis and processes set no event
            await asyncio.sleep(0.02)
