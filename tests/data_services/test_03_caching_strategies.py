"""Lesson data/03: its parts, what they leave behind, and how the script ends."""

import argparse
import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from caching import workbench
from shop_profile.cache import Cache

from course import connect
from course.console import Console
from course.lesson import Lesson
from course.settings import ROOT, STACK_DIR
from course.workspace import own_schema, own_turn
from tests.data_services.cache_bench import PATIENCE, Truth
from tests.support import load_lesson, one_part, told_without_a_service

PATH = "advanced_examples/data_services/03_caching_strategies.py"
lesson = load_lesson(PATH)


@pytest.fixture
def services(service: Callable[[str], str]) -> None:
    service("redis")
    service("postgres")


@pytest.fixture
def tables(services: None) -> Iterator[None]:
    with own_turn(workbench.NAME), own_schema(workbench.NAME, workbench.TABLES):
        workbench.remove_keys()
        try:
            yield
        finally:
            workbench.remove_keys()


def left_behind() -> list[str]:
    """Keys, the schema and the server of the lesson, where they are still there.

    Waits for the lock of `own_schema`, since other tests may run the lesson at this moment.
    """
    query = "SELECT nspname FROM pg_namespace WHERE nspname = %s"
    with closing(connect.postgres()) as session, session.cursor() as cursor:
        session.autocommit = True
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [workbench.NAME])
        cursor.execute(query, [workbench.NAME])
        left = [name for (name,) in cursor]
        with closing(connect.redis()) as redis:
            left += redis.scan_iter(workbench.key("*"))
        return left + [str(path) for path in STACK_DIR.glob(f"{workbench.NAME}_redis")]


@pytest.mark.parametrize("part", lesson.PARTS, ids=lambda part: part.__name__)
def test_every_part_stands_alone(tables: None, part: Callable) -> None:
    teller = Lesson(Console(), argparse.Namespace(fast=True, step=False, from_step=1))
    try:
        teller.step(part, teller)
    finally:
        teller.close()
    assert teller.claims
    assert [claim for claim, holds in teller.claims if not holds] == []


def test_fibonacci_is_the_same_with_and_without_the_cache() -> None:
    numbers = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    assert [lesson.fibonacci(n) for n in range(10)] == numbers
    assert [lesson.plain_fibonacci(n) for n in range(10)] == numbers


@pytest.mark.parametrize("value", ["a name", None, {"a": [1, 2.5]}, False, ""])
def test_the_lessons_cache_aside_and_the_packages_cache_answer_the_same(
    tables: None, value: Any
) -> None:
    truth = Truth(key=value)

    async def scenario() -> tuple[list, list]:
        async with workbench.stores() as (redis, _):
            by_hand = partial(lesson.cache_aside, redis, workbench.key("hand"), truth.loader("key"))
            cache = Cache(redis, workbench.NAME, patience=PATIENCE)
            final = [await cache.get_or_load("key", 60, truth.loader("key")) for _ in range(3)]
            return [await by_hand() for _ in range(3)], [answer for answer, _ in final]

    assert asyncio.run(scenario()) == ([value] * 3, [value] * 3)
    assert truth.loads == 2, "one load each"


def test_the_cached_places_are_those_of_lru_cache() -> None:
    asked = workbench.visitors(workbench.random.Random(3), 2_000)
    theirs = lesson.lru_cache(maxsize=128)(lambda who: who)
    for who in asked:
        theirs(who)
    info = theirs.cache_info()
    assert lesson.hit_rate(asked, 128) == info.hits / (info.hits + info.misses)


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
@pytest.mark.parametrize(("step", "said"), [(11, "✓ B's release"), (13, "✓ left alone")])
def test_ctrl_c_ends_it_cleanly(services: None, step: int, said: str) -> None:
    """While it waits for processes of its own, and while it has a Redis of its own."""
    command, pipe = one_part(PATH, step, "--fast"), subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout
        while not process.stdout.readline().startswith(said):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"
    assert left_behind() == []


@pytest.mark.parametrize(
    "settings",
    [{"REDIS_URL": "redis://127.0.0.1:9/0"}, {"DATABASE_URL": "postgresql://a:b@127.0.0.1:9/no"}],
    ids=["redis", "postgres"],
)
def test_without_a_service_it_says_so_and_ends_with_69(settings: dict[str, str]) -> None:
    assert "To get it:" in told_without_a_service(lesson, **settings)
