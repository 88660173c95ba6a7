"""The tiers of lesson edition/03: bounded in bytes, one load for many, and a Redis that may die."""

import random
import sys
import threading
import time
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from recommender import store
from recommender.cache import BYTES_OF_A_PLACE, NearTier, SingleFlight, TieredCache, deep_size
from recommender.redis_tier import RedisTier, packed, unpacked

from course.stack.own import OwnRedis
from course.stack.redis import redis_server

pairs = st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 1))
neighbours = st.lists(pairs, max_size=10).map(tuple)
PATIENCE = 30.0


class Known:
    """A store that knows `2 * key`, and counts."""

    name = "known"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def get(self, key: int) -> tuple:
        self.asked.append(key)
        return ((2 * key, 0.5),)


@given(st.lists(st.tuples(st.integers(0, 20), st.none() | st.binary(max_size=400)), max_size=80))
def test_the_near_tier_is_an_lru_within_its_bytes(steps: list[tuple[int, bytes | None]]) -> None:
    """The model: a list in order of use, cut to the limit from its old end. None is a question."""
    limit, model = 2_000, OrderedDict()
    cache = TieredCache(limit, Known())

    def size(key: int) -> int:
        return BYTES_OF_A_PLACE + deep_size(key) + deep_size(model[key])

    for key, value in steps:
        if value is not None:
            cache.near.put(key, value)
            model.pop(key, None)
            model[key] = value
        elif key in model:
            assert cache.get(key) == model[key]
            model.move_to_end(key)
        while sum(map(size, model)) > limit:
            model.popitem(last=False)
        assert list(cache.near.entries.items()) == list(model.items())
        assert cache.near.bytes == sum(map(size, model)) <= limit


def test_what_alone_is_too_big_is_not_kept_and_throws_nothing_out() -> None:
    tier = NearTier(1_000)
    tier.put(1, b"small")
    tier.put(2, bytes(2_000))
    assert list(tier.entries) == [1]
    tier.put(1, bytes(2_000))
    assert not tier.entries
    assert tier.bytes == 0


def test_the_bytes_are_those_that_python_takes() -> None:
    for limit in (1, 2, 5):
        tracemalloc.start()
        before, tier = tracemalloc.get_traced_memory()[0], NearTier(limit << 20)
        for key in range(1_000, 1_000 + limit * 5_000):
            tier.put(key, ((key + 1, key / 3), (key + 2, key / 7)))
        real = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert 0.6 < real / tier.bytes < 1


def test_deep_size_counts_what_a_tuple_holds() -> None:
    value = ((300, 0.5), (301, 0.25))
    parts = [value, *value, *value[0], *value[1]]
    assert deep_size(value) == sum(map(sys.getsizeof, parts))


def test_each_answer_is_counted_at_the_tier_that_gave_it() -> None:
    cache = TieredCache(10_000, Known(), middle := InMemory())
    middle.values[3] = ((6, 0.5),)
    for key in (1, 3, 1, 3, 2):
        assert cache.get(key) == ((2 * key, 0.5),)
    found = [(tier.asked, tier.answered) for tier in cache.answers()]
    assert found == [(5, 2), (3, 1), (2, 2)]
    assert sorted(middle.values) == [1, 2, 3]
    cache.forget_counts()
    cache.warm(range(10))
    assert [tier.asked for tier in cache.answers()] == [0, 0, 0]
    assert cache.answers()[0].hit_rate == 0.0


class InMemory:
    """A middle tier that is a dictionary."""

    name = "middle"

    def __init__(self) -> None:
        self.values: dict[int, Any] = {}

    def get(self, key: int) -> Any | None:
        return self.values.get(key)

    def put(self, key: int, value: Any) -> None:
        self.values[key] = value


def together(ask: Callable[[], Any], callers: int) -> list:
    ready = threading.Barrier(callers)

    def one(_caller: int) -> Any:
        ready.wait(PATIENCE)
        try:
            return ask()
        except BaseException as error:  # what the caller would see
            return error

    with ThreadPoolExecutor(callers) as threads:
        return list(threads.map(one, range(callers)))


def waiting_for(flights: SingleFlight, key: str, callers: int) -> None:
    """Return when `callers` wait for the flight of `key`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        flight = flights.flights.get(key)
        if flight is not None and flight.followers == callers:
            return
        time.sleep(0.001)
    raise AssertionError("they never waited")


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_one_load_for_all_who_wait(error: type[BaseException] | None) -> None:
    """Its value and its error reach all; when the leader is stopped, another one leads."""
    flights, loads = SingleFlight(), []

    def load(_key: str) -> str:
        loads.append(1)
        if len(loads) == 1:
            waiting_for(flights, "key", 7)
            if error:
                raise error
        return "value"

    heard = together(lambda: flights.do("key", load), 8)
    if error is KeyboardInterrupt:
        assert heard.count("value") == 7
        assert 2 <= len(loads) <= 8
    elif error:
        assert [type(one) for one in heard] == [error] * 8
        assert len(loads) == 1
    else:
        assert heard == ["value"] * 8
        assert len(loads) == 1
    assert flights.do("key", load) == "value"
    assert not flights.flights


def test_threads_that_read_and_evict_see_only_right_answers() -> None:
    cache = TieredCache(5_000, Known())

    def visit(seed: int) -> bool:
        rng = random.Random(seed)
        return all(cache.get(key) == ((2 * key, 0.5),) for key in rng.choices(range(60), k=5_000))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(visit, range(4)))
    assert 0 < cache.near.bytes <= 5_000


@given(neighbours)
def test_all_tiers_give_exactly_the_same(value: tuple) -> None:
    assert unpacked(packed(value)) == value


def test_the_store_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "similar.db"

    def breaks() -> Iterator[tuple[int, int, float]]:
        yield 1, 2, 0.5
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        store.write(path, breaks())
    assert list(tmp_path.iterdir()) == []
    assert store.write(path, [(1, 3, 0.5), (1, 2, 0.9), (2, 1, 0.9)]) == 3
    assert store.write(path, [(1, 3, 0.5), (1, 2, 0.9)]) == 2
    similar = store.SimilarityStore(path)
    assert (similar.get(1), similar.get(2)) == (((2, 0.9), (3, 0.5)), ())
    similar.close()
    assert [file.name for file in tmp_path.iterdir()] == ["similar.db"]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    if redis_server() is None:
        pytest.skip("this machine has no real Redis server")
    server = OwnRedis(tmp_path / "redis")
    server.start()
    yield server
    server.remove()


@pytest.mark.faults
def test_a_killed_redis_makes_it_slower_and_never_wrong(
    own_redis: OwnRedis, rng: random.Random
) -> None:
    """Kill a real Redis at a random moment; no answer is wrong, and when it is back it is used."""
    source, stop = Known(), rng.randrange(20, 180)
    patience = {"socket_timeout": 1, "socket_connect_timeout": 1}
    with redis.Redis.from_url(own_redis.url, **patience) as client:
        tier = RedisTier(client, "test:", redis.RedisError, rest=0.05)
        for visit in range(200):
            if visit == stop:
                own_redis.kill()
            key = rng.randrange(40)
            assert TieredCache(10_000, source, tier).get(key) == ((2 * key, 0.5),)
        assert tier.errors >= 1
        own_redis.start()
        deadline = time.monotonic() + PATIENCE
        while tier.get(50) is None and time.monotonic() < deadline:
            tier.put(50, source.get(50))
        assert tier.get(50) == ((100, 0.5),)


def test_redis_rests_after_an_error_and_foreign_bytes_are_a_miss(
    service: Callable[[str], str],
) -> None:
    now = [0.0]
    nobody = redis.Redis(host="127.0.0.1", port=9, socket_timeout=0.2, retry=None)
    tier = RedisTier(nobody, "x:", redis.RedisError, rest=10, clock=lambda: now[0])
    assert [tier.get(1), tier.put(1, ()), tier.get(1)] == [None] * 3
    assert tier.errors == 1
    now[0] = 10.0
    assert tier.get(1) is None
    assert tier.errors == 2

    prefix = f"test_edition_03:{random.getrandbits(64)}:"
    with redis.Redis.from_url(service("redis")) as client:
        tier = RedisTier(client, prefix, redis.RedisError)
        try:
            client.set(f"{prefix}5", b"not ours")
            assert tier.get(5) is None
            cache = TieredCache(10_000, Known(), tier)
            assert cache.get(5) == ((10, 0.5),)
            assert tier.get(5) == ((10, 0.5),)
            assert 0 < client.ttl(f"{prefix}5") <= 3600
        finally:
            client.delete(f"{prefix}5")
