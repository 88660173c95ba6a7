"""What stands beside lesson data/03: XFetch, write-behind, three tiers, the lock and the rush."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from caching import stampedes, workbench, write_behind
from caching.early import get_early, refresh_now
from caching.tiers import DATABASE, MEMORY, REDIS, ThreeTiers, draw
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from shop_profile import cache as cache_module
from shop_profile.cache import Cache, connect

from course.workspace import own_schema, own_turn
from tests.data_services.cache_bench import PATIENCE, Truth, a_prefix, remove, with_cache

few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def url(service: Callable[[str], str]) -> str:
    return service("redis")


@pytest.fixture
def tables(service: Callable[[str], str], url: str) -> Iterator[None]:
    service("postgres")
    with own_turn(workbench.NAME), own_schema(workbench.NAME, workbench.TABLES):
        try:
            yield
        finally:
            workbench.remove_keys()


@given(
    left=st.floats(0, 100), load=st.floats(0.001, 50), beta=st.floats(0.1, 10),
    drawn=st.floats(0, 1, exclude_max=True),
)  # fmt: skip
@example(left=1.0, load=0.0, beta=1.0, drawn=0.99)
def test_xfetch_decides_by_the_formula(left: float, load: float, beta: float, drawn: float) -> None:
    """The draw is below exp(-left / (beta * load)), but for rounding at the very edge."""
    chance = math.exp(-left / (beta * load)) if load else 0.0
    edge = abs((1 - drawn) - chance) < 1e-9
    assert edge or refresh_now(left, load, beta, lambda: drawn) == (1 - drawn < chance)


def test_xfetch_renews_what_has_expired_and_never_fails_for_a_draw() -> None:
    assert refresh_now(0.0, 0.0, chance=lambda: 0.0)
    assert refresh_now(-1.0, 2.0, chance=lambda: 0.0)
    assert refresh_now(1e9, 2.0, chance=lambda: math.nextafter(1.0, 0.0)) is False


def early_answers(url: str, draws: list[float], load_takes: float) -> tuple[list[Any], list[float]]:
    """Answers to one question per draw, and when (by question) something was loaded."""
    now, loads, prefix = [0.0], [], a_prefix()

    async def load() -> int:
        loads.append(len(answers))
        now[0] += load_takes
        return len(loads)

    answers: list[Any] = []

    async def scenario() -> None:
        async with connect(url, PATIENCE, decode_responses=True) as redis:
            for drawn in draws:
                ask = get_early(redis, f"{prefix}:key", 60, load,
                                clock=lambda: now[0], chance=lambda drawn=drawn: drawn)  # fmt: skip
                answers.append(await ask)
            await remove(url, prefix)

    asyncio.run(scenario())
    return answers, loads


def test_xfetch_renews_early_by_the_injected_clock_and_draw(url: str) -> None:
    """60 s left, a load of 30 s: renewed when the draw is below exp(-2) = 0.135."""
    answers, loads = early_answers(url, [0.0, 0.8, 0.87, 0.8], load_takes=30)
    assert (answers, loads) == ([1, 1, 2, 2], [0, 2])


@pytest.mark.parametrize("load_takes", [0.001, -3_600.0])
def test_xfetch_leaves_quick_loads_alone_even_when_the_clock_goes_back(
    url: str, load_takes: float
) -> None:
    answers, loads = early_answers(url, [0.999] * 5, load_takes)
    assert (answers, loads) == ([1] * 5, [0])


def test_a_herd_with_xfetch_never_waits() -> None:
    assert stampedes.herd(early=False) == (450, 450)
    loads, waited = stampedes.herd(early=True)
    assert waited == 0 and 10 <= loads < 100


def views(pool: Any) -> Awaitable[list]:
    return pool.fetch("SELECT product_id, count FROM views ORDER BY product_id")


@few
@given(steps=st.lists(st.integers(1, 5) | st.sampled_from(["flush", "dies"]), max_size=15))
def test_write_behind_counts_each_view_once_whenever_a_flush_dies(
    tables: None, steps: list
) -> None:
    prefix = a_prefix()

    async def scenario() -> None:
        async with workbench.stores() as (redis, source):
            await source.pool.execute("TRUNCATE views")
            counter, counted = write_behind.ViewCounter(redis, prefix), Counter()
            for step in steps:
                if step == "flush":
                    await counter.flush(source.pool)
                elif step == "dies":
                    await counter.commit(source.pool)
                else:
                    await counter.count(step)
                    counted[step] += 1
            await counter.flush(source.pool)  # what a dead one left
            await counter.flush(source.pool)  # what was counted since
            assert [tuple(row) for row in await views(source.pool)] == sorted(counted.items())
            assert await redis.keys(f"{prefix}*") == []

    asyncio.run(scenario())


def test_views_counted_during_a_flush_wait_for_the_next_one(tables: None) -> None:
    async def scenario() -> tuple[list, list]:
        async with workbench.stores() as (redis, source):
            counter = write_behind.ViewCounter(redis, workbench.key("late"))
            await counter.count(1)
            await counter.commit(source.pool)
            await counter.count(1)
            await counter.flush(source.pool)
            first = await views(source.pool)
            await counter.flush(source.pool)
            return first, await views(source.pool)

    first, second = asyncio.run(scenario())
    assert [[tuple(row) for row in rows] for rows in (first, second)] == [[(1, 1)], [(1, 2)]]


def test_three_tiers_answer_from_the_nearest(url: str) -> None:
    truth = Truth(a=1, b=2)

    async def scenario(cache: Cache) -> list[tuple[str, int, int]]:
        near, far = ThreeTiers(cache, 60), ThreeTiers(cache, 60, size=1)
        for tiers, key in ((near, "a"), (near, "a"), (far, "a"), (far, "b"), (far, "a")):
            assert await tiers.get(key, truth.loader(key)) == truth.values[key]
        return [(r.name, r.asked, r.answered) for t in (near, far) for r in t.reports.values()]

    assert with_cache(url, scenario) == [
        (MEMORY, 2, 1), (REDIS, 1, 0), (DATABASE, 1, 1),
        (MEMORY, 3, 0), (REDIS, 3, 2), (DATABASE, 1, 1),
    ]  # fmt: skip
    assert truth.loads == 2


def test_memory_does_not_keep_what_was_to_be_forgotten_while_it_was_loaded(url: str) -> None:
    truth = Truth(pause=0.2, key="old")

    async def scenario(cache: Cache) -> list:
        tiers = ThreeTiers(cache, 60)
        early = asyncio.create_task(tiers.get("key", truth.loader("key")))
        await truth.begun.wait()
        truth.values["key"] = "new"
        await cache.invalidate("key")
        tiers.forget("key")
        return [await early, await tiers.get("key", truth.loader("key"))]

    assert with_cache(url, scenario) == ["old", "new"]


def test_the_chart_shows_shares_and_waits_of_all_tiers() -> None:
    tiers = ThreeTiers(None, 60)  # type: ignore[arg-type]
    for name, took in ((MEMORY, 0.002), (MEMORY, 0.002), (REDIS, 0.2), (DATABASE, 2.0)):
        tiers._count(name, took)
    shares, waits = draw(list(tiers.reports.values())).axes
    assert [text.get_text() for text in shares.texts] == ["50 %", "25 %", "25 %"]
    assert [text.get_text() for text in waits.texts] == ["2.0 µs", "200 µs", "2,000 µs"]


def test_500_misses_in_two_processes_are_exactly_one_load(url: str) -> None:
    prefix = a_prefix()
    answered = asyncio.run(stampedes.two_processes(prefix))

    async def count() -> bytes:
        async with connect(url, PATIENCE) as redis:
            loads = await redis.get(f"{prefix}:loads")
            await remove(url, prefix)
            return loads

    assert asyncio.run(count()) == b"1"
    assert answered == {"loader": 250, "redis": 250}


def test_the_lessons_unlock_is_the_scripts_of_the_package() -> None:
    assert stampedes.UNLOCK == cache_module.GIVE_BACK


def test_visitors_prefer_the_first_customers() -> None:
    asked = Counter(workbench.visitors(random.Random(1), 20_000))
    alike = Counter(workbench.visitors(random.Random(1), 20_000, popular=False))
    assert 1.5 < asked[1] / asked[2] < 2.6 and max(asked) <= workbench.CUSTOMERS
    assert max(alike.values()) < 40
