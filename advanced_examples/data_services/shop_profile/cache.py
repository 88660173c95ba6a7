"""A cache that may be slow or away, but never wrong: cache-aside on Redis for asyncio.

    cache = Cache(connect(url), prefix="api:profile:2")
    value, tier = await cache.get_or_load("123", ttl=3600, loader=load_profile)
    await cache.invalidate("123")                # after the database has committed a change

Redis is asked first, then the loader. Around that:

- Single-flight: callers of one key who come while an answer is under way share it. The work is a
  task of its own, so a caller who is cancelled leaves the others waiting for nothing less.
- A lease guards what is stored: a miss takes one, `invalidate` deletes it, and only its holder may
  store. So a load that began before an invalidation never puts old data back, however late it ends.
  Source: Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.
- With `wait`, the lease is a lock between processes as well: one loads, the others wait for what it
  stores, but not for ever. It saves work; it does not guarantee that only one works.
- Redis away, or slower than `patience`: the loader answers and the tier says so. An invalidation
  that did not arrive is remembered and repeated before this process trusts Redis again.

What it can't do: an invalidation does not reach the answers under way in other processes. Who joins
one there may get what the database held when it began. And while Redis is away, other processes
don't hear of an invalidation at all: if it comes back with its data, they may answer with the old
value until the first process repeats it, or the TTL ends. Keep TTLs short where that matters.
"""

import asyncio
import json
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

AWAY = (RedisError, OSError)  # the builtin TimeoutError is an OSError
PATIENCE = 0.05  # seconds; a healthy Redis answers in 1
CONNECTIONS = 50
LEASE = 60.0  # seconds; a load that takes longer is answered, but not stored
JITTER = 0.1

LOOK_AGAIN = 0.02  # seconds between two looks for what another process loads

TAKE = """
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
return redis.call('GET', KEYS[1])
"""
STORE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
GIVE_BACK = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

Loader = Callable[[], Awaitable[Any]]


class Tier(StrEnum):
    """Who answered."""

    REDIS = "redis"
    LOADER = "loader"
    LOADER_ALONE = "loader, redis unreachable"


def connect(
    url: str, patience: float = PATIENCE, connections: int = CONNECTIONS, **options: Any
) -> Redis:
    """A client fit for a cache: it gives up soon, since the database can answer as well.

    Left alone, redis-py 8 waits 5 s for an answer, and `Redis(host=…)` tries ten times more: a
    request would hang for a minute. Here only a broken connection is tried again, once and at once:
    the server may have been restarted. Who finds all `connections` busy waits `patience` for one.
    """
    settings = {
        "max_connections": connections,
        "timeout": patience,
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    }
    return Redis.from_pool(BlockingConnectionPool.from_url(url, **settings, **options))


class Cache:
    """Values under `prefix`, as JSON. One object per process and event loop.

    `prefix` should carry a version: whoever changes the shape of the values counts it up. `jitter`
    is the share of a TTL that chance takes off, so that keys stored together don't expire
    together. `patience` (seconds) bounds each visit to Redis, reconnecting included. `wait` is how
    many seconds a miss waits for another process that loads the same key: a little more than a
    load takes, and less than a caller would stand.
    """

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        *,
        jitter: float = JITTER,
        patience: float = PATIENCE,
        lease: float = LEASE,
        wait: float = 0.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not 0 <= jitter < 1:
            raise ValueError(f"jitter is a share from 0 to below 1, not {jitter}")
        self._redis, self._prefix = redis, prefix
        self._jitter, self._patience = jitter, patience
        self._lease, self._wait = lease, wait
        self._chance = chance
        self._take_script = redis.register_script(TAKE)
        self._store_script = redis.register_script(STORE)
        self._give_back_script = redis.register_script(GIVE_BACK)
        self._flights: dict[str, asyncio.Task[tuple[str, Tier]]] = {}
        self._missed: dict[str, object] = {}  # invalidations that Redis has not confirmed

    async def get_or_load(self, key: str, ttl: float, loader: Loader) -> tuple[Any, Tier]:
        """The value of `key` and who answered; stored for `ttl` seconds at most.

        A value is what JSON makes of it, whoever answered: tuples become lists, keys text. Each
        caller gets an object of its own. None is a value and is stored like others.

        `loader` runs at most once for all who wait. Its error reaches them all and is not stored.
        It may outlive the caller: give it nothing that ends with the request. ValueError for a
        `ttl` that is not positive; TypeError or ValueError for a value that JSON can't hold.
        """
        if ttl <= 0:
            raise ValueError(f"ttl must be positive, not {ttl}")
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._answer(key, ttl, loader))
            self._flights[key] = flight
            flight.add_done_callback(partial(self._landed, key))
        text, tier = await asyncio.shield(flight)
        return json.loads(text), tier

    async def peek(self, key: str) -> Any:
        """What Redis holds for `key`; None for nothing, for no JSON, for a Redis that is away.

        The fast lane for a service's hits: one GET and nothing around it. On None go on with
        `get_or_load`, which shares, guards and tells. Only the client's timeouts bound it.
        """
        if self._missed:  # Redis may hold what was invalidated
            return None
        try:
            return json.loads(await self._redis.get(self._names(key)[0]) or "null")
        except (ValueError, *AWAY):
            return None

    async def invalidate(self, key: str) -> bool:
        """Forget the value of `key`; call it after the change is committed.

        Who asks after this returned gets a value loaded after it was called. False when Redis did
        not confirm: then this process goes around Redis until it does (see the module's text).
        """
        self._missed[key] = object()
        try:
            async with asyncio.timeout(self._patience):
                await self._repeat_missed()
            return True
        except AWAY:
            return False
        finally:
            self._flights.pop(key, None)  # those who wait began before; the next one begins anew

    async def _answer(self, key: str, ttl: float, loader: Loader) -> tuple[str, Tier]:
        tier, token = Tier.LOADER, None
        try:
            text, token = await self._find_or_take_lease(key)
            if text is not None:
                return text, Tier.REDIS
        except AWAY:
            tier = Tier.LOADER_ALONE
        try:
            text = json.dumps(await loader(), allow_nan=False)
        except BaseException:
            if token is not None:
                await self._give_back(key, token)
            raise
        if token is not None and not await self._store(key, ttl, text, token):
            tier = Tier.LOADER_ALONE
        return text, tier

    async def _find_or_take_lease(self, key: str) -> tuple[str | None, str | None]:
        """(stored JSON, None) or (None, token), at once unless another process loads the key."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._wait
        while True:
            async with asyncio.timeout(self._patience):
                text = await self._find(key)
                if text is not None:
                    return text, None
                token, is_ours = await self._take_lease(key)
                if is_ours and (text := await self._find(key)) is not None:
                    await self._give_back(key, token)  # another process stored it in between
                    return text, None
            if is_ours or clock() >= until:
                return None, token
            await asyncio.sleep(LOOK_AGAIN)

    async def _find(self, key: str) -> str | None:
        """The stored JSON; None when there is none, or something else stands there."""
        await self._repeat_missed()
        try:
            text = await self._redis.get(self._names(key)[0])
            if text is not None:
                json.loads(text)
                return text if isinstance(text, str) else text.decode()
        except (ValueError, ResponseError):  # no JSON, no UTF-8, or no text at all
            pass
        return None

    async def _take_lease(self, key: str) -> tuple[str, bool]:
        """The token of the key's lease, and whether it was free.

        Who misses the key while another loads it gets the same token: until somebody invalidates
        the key, what either loads is right.
        """
        ours, milliseconds = uuid.uuid4().hex, round(self._lease * 1000)
        token = await self._take_script(keys=[self._names(key)[1]], args=[ours, milliseconds])
        token = token.decode() if isinstance(token, bytes) else token
        return token, token == ours

    async def _give_back(self, key: str, token: str) -> None:
        """Without anything to store: let others take the lease at once."""
        with suppress(*AWAY):
            async with asyncio.timeout(self._patience):
                await self._give_back_script(keys=[self._names(key)[1]], args=[token])

    async def _store(self, key: str, ttl: float, text: str, token: str) -> bool:
        """Store the text if the lease still holds; False when Redis is away."""
        milliseconds = max(1, round(ttl * 1000 * (1 - self._jitter * self._chance())))
        try:
            async with asyncio.timeout(self._patience):
                await self._repeat_missed()
                await self._store_script(keys=self._names(key), args=[token, text, milliseconds])
            return True
        except AWAY:
            return False

    async def _repeat_missed(self) -> None:
        """Delete what Redis still holds although it was invalidated."""
        repeated = dict(self._missed)
        if repeated:
            await self._redis.delete(*(name for key in repeated for name in self._names(key)))
            for key, mark in repeated.items():
                if self._missed.get(key) is mark:  # else it was invalidated again meanwhile
                    del self._missed[key]

    def _names(self, key: str) -> tuple[str, str]:
        """Where value and lease stand; the braces keep them on one node of a Redis Cluster."""
        return f"{self._prefix}:{{{key}}}", f"{self._prefix}:{{{key}}}:lease"

    def _landed(self, key: str, flight: asyncio.Task[tuple[str, Tier]]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, even when everybody who waited was cancelled
