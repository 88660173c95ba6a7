"""shop_profile/cache.py on a healthy Redis: one load, right values, nothing old put back."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shop_profile.cache import Cache, Tier, connect

from tests.data_services.cache_bench import (
    NOWHERE,
    PATIENCE,
    Truth,
    a_prefix,
    landed,
    remove,
    until,
    with_cache,
)  # fmt: skip

CALLERS = 500
steps = st.lists(
    st.tuples(st.sampled_from(["get", "write", "invalidate", "evict"]), st.sampled_from("ab")),
    max_size=25,
)


@pytest.fixture(scope="module")
def url(service: Callable[[str], str]) -> str:
    return service("redis")


@pytest.mark.parametrize("where", ["redis", "nowhere"])
def test_500_concurrent_misses_are_exactly_one_load(url: str, where: str) -> None:
    truth = Truth(pause=0.05, key={"a": [1]})

    async def scenario(cache: Cache) -> list[tuple[Any, Tier]]:
        calls = (cache.get_or_load("key", 60, truth.loader("key")) for _ in range(CALLERS))
        answers = await asyncio.gather(*calls)
        answers[0][0]["a"].append("changed by one caller")
        return answers

    answers = with_cache(url if where == "redis" else NOWHERE, scenario)
    assert truth.loads == 1
    tier = Tier.LOADER if where == "redis" else Tier.LOADER_ALONE
    assert answers[1:] == [({"a": [1]}, tier)] * (CALLERS - 1)


def test_other_keys_do_not_wait_for_each_other(url: str) -> None:
    async def scenario(cache: Cache) -> list[tuple[Any, Tier]]:
        both = asyncio.Barrier(2)

        async def load() -> str:
            await both.wait()
            return "loaded"

        return await asyncio.gather(*(cache.get_or_load(key, 60, load) for key in "ab"))

    assert with_cache(url, scenario) == [("loaded", Tier.LOADER)] * 2


@pytest.mark.parametrize("stay", [0, 1, 20])
def test_a_cancelled_leader_leaves_the_others_their_answer(url: str, stay: int) -> None:
    truth = Truth(pause=0.1, key="value")

    async def scenario(cache: Cache) -> tuple[list, tuple]:
        ask = [asyncio.create_task(cache.get_or_load("key", 60, truth.loader("key")))
               for _ in range(stay + 2)]  # fmt: skip
        await truth.begun.wait()
        for task in ask[:2]:
            task.cancel()
        answers = await asyncio.gather(*ask, return_exceptions=True)
        await until(landed(cache))
        return answers, await cache.get_or_load("key", 60, truth.loader("key"))

    answers, later = with_cache(url, scenario)
    assert [type(answer) for answer in answers[:2]] == [asyncio.CancelledError] * 2
    assert answers[2:] == [("value", Tier.LOADER)] * stay
    assert later == ("value", Tier.REDIS) and truth.loads == 1


def test_a_loaders_error_reaches_all_who_wait_and_is_not_stored(url: str) -> None:
    truth = Truth(key="value")

    async def fail() -> None:
        truth.loads += 1
        await asyncio.sleep(0.05)
        raise LookupError("the database is on fire")

    async def scenario(cache: Cache) -> tuple[list, tuple, list]:
        calls = (cache.get_or_load("key", 60, fail) for _ in range(50))
        errors = await asyncio.gather(*calls, return_exceptions=True)
        keys = await cache._redis.keys(f"{cache._prefix}*")
        return errors, await cache.get_or_load("key", 60, truth.loader("key")), keys

    errors, later, keys = with_cache(url, scenario)
    assert [str(error) for error in errors] == ["the database is on fire"] * 50
    assert later == ("value", Tier.LOADER) and truth.loads == 2
    assert keys == [], "neither a value nor a lease is left"


def test_an_error_that_nobody_waits_for_is_not_reported_as_lost(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.05)
        raise LookupError("nobody hears this")

    async def scenario(cache: Cache) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await cache.get_or_load("key", 60, fail)
        await until(landed(cache))

    with_cache(url, scenario)
    assert "never retrieved" not in caplog.text


@pytest.mark.parametrize("value", [None, "", 0, False, [], {"ä": [1.5, None]}, "x" * 100_000])
def test_any_json_value_is_the_same_from_either_tier(url: str, value: Any) -> None:
    truth = Truth(key=value)

    async def scenario(cache: Cache) -> list:
        return [await cache.get_or_load("key", 60, truth.loader("key")) for _ in range(3)]

    answers = with_cache(url, scenario)
    assert answers == [(value, Tier.LOADER), (value, Tier.REDIS), (value, Tier.REDIS)]
    assert truth.loads == 1


def test_a_value_is_what_json_makes_of_it_from_the_first_answer_on(url: str) -> None:
    truth = Truth(key={1: ("a", "b")})

    async def scenario(cache: Cache) -> list:
        return [await cache.get_or_load("key", 60, truth.loader("key")) for _ in range(2)]

    assert [value for value, _ in with_cache(url, scenario)] == [{"1": ["a", "b"]}] * 2


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), ({1, 2}, TypeError)])
def test_what_json_cannot_hold_is_refused(url: str, value: Any, error: type[Exception]) -> None:
    async def scenario(cache: Cache) -> None:
        with pytest.raises(error):
            await cache.get_or_load("key", 60, Truth(key=value).loader("key"))

    with_cache(url, scenario)


def test_bad_settings_are_refused_at_once() -> None:
    async def scenario(cache: Cache) -> None:
        with pytest.raises(ValueError, match="ttl must be positive, not 0"):
            await cache.get_or_load("key", 0, Truth().loader("key"))
        with pytest.raises(ValueError, match="jitter"):
            Cache(cache._redis, "test", jitter=1.0)

    with_cache(NOWHERE, scenario)


@pytest.mark.parametrize("text", [b"{", b"", b"\xff\xfe", b'{"a": 1} and more', 7])
@pytest.mark.parametrize("decode", [True, False])
def test_rubbish_in_redis_is_a_miss_and_is_replaced(url: str, text: Any, decode: bool) -> None:
    truth = Truth(key="value")

    async def scenario(cache: Cache) -> list:
        name = cache._names("key")[0]
        if text == 7:
            await cache._redis.lpush(name, "a list")
        else:
            await cache._redis.set(name, text)
        return [await cache.get_or_load("key", 60, truth.loader("key")) for _ in range(2)]

    answers = with_cache(url, scenario, client={"decode_responses": decode})
    assert answers == [("value", Tier.LOADER), ("value", Tier.REDIS)]


@pytest.mark.parametrize(("drawn", "least", "most"), [(0.0, 59, 60), (0.999, 47, 48.1)])
def test_jitter_takes_a_share_off_and_never_adds(
    url: str, drawn: float, least: float, most: float
) -> None:
    async def scenario(cache: Cache) -> int:
        await cache.get_or_load("key", 60, Truth().loader("key"))
        return await cache._redis.pttl(cache._names("key")[0])

    left = with_cache(url, scenario, jitter=0.2, chance=lambda: drawn) / 1_000
    assert least < left <= most


def test_a_value_ends_with_its_ttl_whatever_our_clock_says(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis counts the time; the wall clock of this process may be stepped."""
    truth, real = Truth(key="value"), time.time

    async def is_gone(cache: Cache) -> bool:
        return not await cache._redis.exists(cache._names("key")[0])

    async def scenario(cache: Cache) -> list[Tier]:
        tiers = []
        for step in (0, 3_600, -3_600):
            monkeypatch.setattr(time, "time", lambda step=step: real() + step)
            tiers.append((await cache.get_or_load("key", 1, truth.loader("key")))[1])
        await until(lambda: is_gone(cache))
        return [*tiers, (await cache.get_or_load("key", 1, truth.loader("key")))[1]]

    tiers = with_cache(url, scenario, jitter=0.0)
    assert tiers == [Tier.LOADER, Tier.REDIS, Tier.REDIS, Tier.LOADER]


def test_a_load_that_began_before_an_invalidation_stores_nothing(url: str) -> None:
    truth = Truth(pause=0.2, key="old")

    async def scenario(cache: Cache) -> list:
        early = asyncio.create_task(cache.get_or_load("key", 60, truth.loader("key")))
        await truth.begun.wait()
        truth.values["key"] = "new"
        assert await cache.invalidate("key")
        after = asyncio.create_task(cache.get_or_load("key", 60, truth.loader("key")))
        answers = [await early, await after]
        return [*answers, await cache.get_or_load("key", 60, truth.loader("key"))]

    early, after, later = with_cache(url, scenario)
    assert early == ("old", Tier.LOADER), "it asked before the change"
    assert after == ("new", Tier.LOADER), "it must not join the old load"
    assert later == ("new", Tier.REDIS)


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(steps=steps)
def test_the_cache_is_a_dictionary_beside_a_dictionary(url: str, steps: list) -> None:
    """Exactly: what was loaded stays until it is invalidated or evicted, and not longer."""

    async def scenario(cache: Cache) -> None:
        truth, model = Truth(a=0, b=0), {}
        for number, (step, key) in enumerate(steps, 1):
            if step == "get":
                expected = (model[key], Tier.REDIS) if key in model else (
                    truth.values[key], Tier.LOADER)  # fmt: skip
                assert await cache.get_or_load(key, 60, truth.loader(key)) == expected
                model[key] = expected[0]
            elif step == "write":
                truth.values[key] = number
            elif step == "invalidate":
                assert await cache.invalidate(key)
                model.pop(key, None)
            else:
                await cache._redis.delete(cache._names(key)[0])
                model.pop(key, None)

    with_cache(url, scenario)


@pytest.mark.parametrize(("fails", "loads"), [(False, 1), (True, 2)])
def test_with_wait_another_process_loads_for_us_unless_it_fails(
    url: str, fails: bool, loads: int
) -> None:
    """Two caches that share nothing but Redis, as two processes do."""
    prefix, calls, begun = a_prefix(), Counter(), asyncio.Event()

    async def load(who: str) -> str:
        calls[who] += 1
        begun.set()
        await asyncio.sleep(0.2)
        if fails and who == "first":
            raise LookupError("no answer")
        return who

    async def scenario(first: Cache) -> list:
        async with connect(url, PATIENCE) as other:
            second = Cache(other, prefix, patience=PATIENCE, wait=30)
            leader = asyncio.create_task(first.get_or_load("key", 60, lambda: load("first")))
            await begun.wait()
            follower = second.get_or_load("key", 60, lambda: load("second"))
            return await asyncio.gather(leader, follower, return_exceptions=True)

    _, follower = with_cache(url, scenario, prefix=prefix, wait=30)
    assert follower == (("second", Tier.LOADER) if fails else ("first", Tier.REDIS))
    assert calls.total() == loads


def test_what_another_process_stored_while_we_took_the_lease_is_not_loaded_again(url: str) -> None:
    prefix, truth = a_prefix(), Truth(key="value")

    async def scenario(first: Cache) -> tuple[Any, Tier, list]:
        class HeldUp(Cache):
            async def _take_lease(self, key: str) -> tuple[str, bool]:
                await first.get_or_load(key, 60, truth.loader(key))
                return await super()._take_lease(key)

        second = HeldUp(first._redis, prefix, patience=PATIENCE)
        answer = await second.get_or_load("key", 60, truth.loader("key"))
        return *answer, await first._redis.keys(f"{prefix}*")

    value, tier, keys = with_cache(url, scenario, prefix=prefix)
    assert (value, tier, truth.loads) == ("value", Tier.REDIS, 1)
    assert len(keys) == 1, "the lease was given back"


def test_who_waits_for_a_dead_process_loads_in_the_end(url: str) -> None:
    async def scenario(cache: Cache) -> tuple[Any, Tier]:
        assert (await cache._take_lease("key"))[1]  # and nobody will ever store
        return await cache.get_or_load("key", 60, Truth(key="value").loader("key"))

    assert with_cache(url, scenario, wait=0.1) == ("value", Tier.LOADER)


def test_two_caches_with_other_prefixes_know_nothing_of_each_other(url: str) -> None:
    other = a_prefix()

    async def scenario(cache: Cache) -> tuple[Any, Tier]:
        second = Cache(cache._redis, other, patience=PATIENCE)
        await cache.get_or_load("key", 60, Truth(key="first").loader("key"))
        await cache.invalidate("key")
        await cache.get_or_load("key", 60, Truth(key="first").loader("key"))
        answer = await second.get_or_load("key", 60, Truth(key="second").loader("key"))
        await remove(url, other)
        return answer

    assert with_cache(url, scenario) == ("second", Tier.LOADER)
