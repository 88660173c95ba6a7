"""shop_profile/cache.py while Redis is killed, frozen and started again: never a wrong answer."""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from shop_profile.cache import Cache, Tier, connect

from course.stack.own import OwnRedis
from course.workspace import own_redis
from tests.data_services.cache_bench import PATIENCE, Truth, a_prefix, with_cache

pytestmark = pytest.mark.faults

SHORT = 0.05  # seconds of patience, as in a web service
KEYS, READERS, SECONDS = 6, 12, 2.0


@pytest.fixture
def server() -> Iterator[OwnRedis]:
    with own_redis(f"test_{uuid.uuid4().hex}") as server:
        if server is None:
            pytest.skip("no real Redis can be started on this machine")
        yield server


def kill(server: OwnRedis) -> None:
    server.kill()


def freeze(server: OwnRedis) -> None:
    psutil.Process(server.pid).suspend()


def bring_back(server: OwnRedis) -> None:
    """Whatever was done to it: it answers again, with its data."""
    if psutil.pid_exists(server.pid) and psutil.Process(server.pid).is_running():
        psutil.Process(server.pid).resume()
    else:
        server.start()


async def get(cache: Cache, truth: Truth) -> tuple[Any, Tier]:
    return await cache.get_or_load("key", 60, truth.loader("key"))


@pytest.mark.parametrize("fault", [kill, freeze])
def test_without_redis_the_answer_is_right_and_says_so(
    server: OwnRedis, fault: Callable[[OwnRedis], None]
) -> None:
    truth = Truth(key="value")

    async def scenario(cache: Cache) -> list:
        await get(cache, truth)
        cache._patience = SHORT
        fault(server)
        start = time.monotonic()
        answers = [await get(cache, truth)]
        took = time.monotonic() - start
        assert took < 1.0, f"{took} s is no {SHORT} s"
        bring_back(server)
        cache._patience = PATIENCE
        return [*answers, await get(cache, truth)]

    answers = with_cache(server.url, scenario)
    assert answers == [("value", Tier.LOADER_ALONE), ("value", Tier.REDIS)]


@pytest.mark.parametrize("fault", [kill, freeze])
def test_redis_may_die_between_the_miss_and_the_store(
    server: OwnRedis, fault: Callable[[OwnRedis], None]
) -> None:
    async def load(cache: Cache) -> str:
        cache._patience = SHORT
        fault(server)
        return "value"

    async def scenario(cache: Cache) -> list:
        answers = [await cache.get_or_load("key", 60, lambda: load(cache))]
        bring_back(server)
        cache._patience = PATIENCE
        truth = Truth(key="value")
        return [*answers, await get(cache, truth), await get(cache, truth)]

    first, *later = with_cache(server.url, scenario)
    assert first == ("value", Tier.LOADER_ALONE)
    assert later[-1] == ("value", Tier.REDIS)


@pytest.mark.parametrize("fault", [kill, freeze])
def test_a_redis_that_comes_back_with_its_data_does_not_bring_old_answers_back(
    server: OwnRedis, fault: Callable[[OwnRedis], None]
) -> None:
    truth = Truth(key="old")

    async def scenario(cache: Cache) -> list:
        await get(cache, truth)
        cache._patience = SHORT
        fault(server)
        truth.values["key"] = "new"
        told = await cache.invalidate("key")
        bring_back(server)
        cache._patience = PATIENCE
        return [told, await get(cache, truth), await get(cache, truth)]

    told, *answers = with_cache(server.url, scenario)
    assert told is False
    assert answers == [("new", Tier.LOADER), ("new", Tier.REDIS)]


def test_a_load_that_outlived_an_outage_does_not_store_what_changed_meanwhile(
    server: OwnRedis,
) -> None:
    """Its lease is still in Redis's log, but the invalidation that Redis missed goes before it."""
    truth = Truth(pause=0.5, key="old")

    async def scenario(cache: Cache) -> list:
        other_process = Cache(cache._redis, cache._prefix, patience=5.0)
        early = asyncio.create_task(get(cache, truth))
        await truth.begun.wait()
        server.kill()
        truth.values["key"] = "new"
        told = await cache.invalidate("key")
        server.start()
        return [told, (await early)[0], await get(other_process, truth), await get(cache, truth)]

    assert with_cache(server.url, scenario) == [
        False, "old", ("new", Tier.LOADER), ("new", Tier.REDIS),
    ]  # fmt: skip


def test_a_redis_that_lost_its_data_refuses_what_it_does_not_know(server: OwnRedis) -> None:
    truth, begun, go_on = Truth(key="new"), asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        begun.set()
        await go_on.wait()
        return "old"

    async def scenario(cache: Cache) -> list:
        early = asyncio.create_task(cache.get_or_load("key", 60, slow))
        await begun.wait()
        await cache._redis.flushall()  # this Redis is ours alone
        go_on.set()
        return [await early, await get(cache, truth)]

    assert with_cache(server.url, scenario) == [("old", Tier.LOADER), ("new", Tier.LOADER)]


class Storm:
    """Readers and a writer on one cache; every answer is held against what it may be.

    The versions of a key only grow. A reader may see any version from the one whose invalidation
    had returned when it asked, to the newest one when it is answered.
    """

    def __init__(self, cache: Cache, rng: random.Random) -> None:
        self.cache, self.rng, self.over = cache, rng, False
        self.newest = [0] * KEYS
        self.settled = [0] * KEYS
        self.tiers: Counter[Tier] = Counter()

    async def read(self, key: int) -> None:
        async def load() -> list[int]:
            version = self.newest[key]
            await asyncio.sleep(self.rng.uniform(0, 0.02))
            return [key, version]

        least = self.settled[key]
        (owner, version), tier = await self.cache.get_or_load(str(key), 60, load)
        assert owner == key, f"the answer for {owner} was given for {key}"
        assert least <= version <= self.newest[key], f"{version} is older than {least} ({tier})"
        self.tiers[tier] += 1

    async def reader(self) -> None:
        while not self.over:
            patience = self.rng.choice([0.005, 5, 5])  # some callers give up at once
            try:
                async with asyncio.timeout(patience):
                    await self.read(self.rng.randrange(KEYS))
            except TimeoutError:
                assert patience < 1, "an answer took five seconds"
            await asyncio.sleep(self.rng.uniform(0, 0.01))

    async def writer(self) -> None:
        while not self.over:
            key = self.rng.randrange(KEYS)
            self.newest[key] += 1
            version = self.newest[key]
            await self.cache.invalidate(str(key))
            self.settled[key] = max(self.settled[key], version)
            await asyncio.sleep(self.rng.uniform(0, 0.03))

    async def breaker(self, server: OwnRedis) -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(self.rng.uniform(0.05, 0.3))
            self.rng.choice([kill, kill, freeze])(server)
            await asyncio.sleep(self.rng.uniform(0, 0.3))
            await asyncio.to_thread(bring_back, server)
        await asyncio.sleep(0.2)
        self.over = True


def test_killed_at_random_points_no_answer_is_wrong(server: OwnRedis, rng: random.Random) -> None:
    async def scenario() -> Storm:
        async with asyncio.timeout(60), connect(server.url, SHORT) as redis:
            storm = Storm(Cache(redis, a_prefix(), patience=SHORT), rng)
            async with asyncio.TaskGroup() as tasks:
                for _ in range(READERS):
                    tasks.create_task(storm.reader())
                tasks.create_task(storm.writer())
                tasks.create_task(storm.breaker(server))
            storm.cache._patience = PATIENCE
            for key in range(KEYS):
                storm.settled[key] = storm.newest[key]  # nothing changes any more: exactly this
                await storm.read(key)
                await storm.read(key)
            return storm

    storm = asyncio.run(scenario())
    assert storm.tiers[Tier.REDIS] and storm.tiers[Tier.LOADER] and storm.tiers[Tier.LOADER_ALONE]


def test_visits_cut_short_never_answer_for_another_key(
    server: OwnRedis, rng: random.Random
) -> None:
    """A connection given up in the middle of an answer must not be used for the next question."""

    async def scenario() -> Counter:
        tiers: Counter[Tier] = Counter()
        async with connect(server.url, 5.0) as redis:
            prefix = a_prefix()

            async def ask(key: str, patience: float) -> None:
                cache = Cache(redis, prefix, patience=patience)
                truth = Truth(**{key: f"value of {key}"})
                value, tier = await cache.get_or_load(key, 60, truth.loader(key))
                assert value == f"value of {key}"
                tiers[tier] += 1

            for _ in range(60):
                keys = (f"k{rng.randrange(50)}" for _ in range(20))
                patiences = (rng.choice([0.0002, 0.001, 0.003, 5]) for _ in range(20))
                await asyncio.gather(*map(ask, keys, patiences))
        return tiers

    tiers = asyncio.run(scenario())
    assert tiers[Tier.REDIS] and tiers[Tier.LOADER_ALONE]
