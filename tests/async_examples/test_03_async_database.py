"""The parts of lesson 03: the broken rule, the retry, what is loaded, and what is left behind."""

import argparse
import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.console import Console
from course.lesson import Lesson
from course.settings import ROOT
from course.workspace import own_schema
from tests.support import load_lesson, one_part, run_when_its_turn_comes, told_without_a_service

PATH = "async_examples/03_async_database.py"
lesson = load_lesson(PATH)
few_settings = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
batches = st.lists(
    st.tuples(st.integers(0, 30), st.text("ab', \t\\\n", max_size=4) | st.none()),
    unique_by=lambda row: row[0],
).map(lambda rows: [(*row, Decimal("1.50")) for row in rows])


@pytest.fixture
def tables(service: Callable[[str], str]) -> Iterator[None]:
    service("postgres")
    with own_schema(lesson.SCHEMA, lesson.TABLES):
        yield


def with_pool(scenario: Callable[[asyncpg.Pool], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with lesson.open_pool() as pool:
            return await scenario(pool)

    return asyncio.run(run())


async def readings(pool: asyncpg.Pool) -> list[tuple]:
    return [tuple(row) for row in await pool.fetch("TABLE readings ORDER BY number")]


@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read", "serializable"])
def test_only_serializable_keeps_one_on_duty(tables: None, isolation: str) -> None:
    async def both_leave(pool: asyncpg.Pool) -> tuple[list, int]:
        leave = partial(lesson.go_home, pool, isolation, asyncio.Barrier(2))
        results = await asyncio.gather(leave("Anna"), leave("Ivan"), return_exceptions=True)
        return results, await pool.fetchval("SELECT count(*) FROM on_call WHERE on_duty")

    results, left = with_pool(both_leave)
    refused = [result for result in results if isinstance(result, asyncpg.SerializationError)]
    expected = (1, 1) if isolation == "serializable" else (0, 0)
    assert (len(refused), left) == expected


def test_who_is_alone_on_duty_stays(tables: None) -> None:
    async def leave_one_by_one(pool: asyncpg.Pool) -> list[bool]:
        nobody_else = asyncio.Barrier(1)
        names = ("Anna", "Ivan")
        return [await lesson.go_home(pool, "serializable", nobody_else, name) for name in names]

    assert with_pool(leave_one_by_one) == [True, False]


@pytest.mark.parametrize("failures", [0, 1, 9])
def test_a_refused_transaction_is_tried_again(failures: int) -> None:
    async def work(attempt: int) -> bool:
        if attempt <= failures:
            raise asyncpg.SerializationError("refused")
        return True

    assert asyncio.run(lesson.with_retry(work)) == (True, failures + 1)


@pytest.mark.parametrize("error", [asyncpg.SerializationError, asyncpg.DeadlockDetectedError])
def test_the_retry_gives_up_and_says_why(error: type[Exception]) -> None:
    tried = []

    async def work(attempt: int) -> bool:
        tried.append(attempt)
        raise error("refused")

    with pytest.raises(error):
        asyncio.run(lesson.with_retry(work, attempts=3))
    assert tried == [1, 2, 3]


def test_other_errors_are_not_tried_again() -> None:
    tried = []

    async def work(attempt: int) -> bool:
        tried.append(attempt)
        raise asyncpg.UniqueViolationError("twice")

    with pytest.raises(asyncpg.UniqueViolationError):
        asyncio.run(lesson.with_retry(work))
    assert tried == [1]


@few_settings
@given(first=batches, second=batches)
def test_an_upsert_is_a_dictionary_update(tables: None, first: list, second: list) -> None:
    async def upsert_all(pool: asyncpg.Pool) -> list[tuple]:
        await pool.execute("TRUNCATE readings")
        for rows in (first, second, second):
            await lesson.upsert(pool, rows)
        return await readings(pool)

    expected = {row[0]: row for row in first} | {row[0]: row for row in second}
    assert with_pool(upsert_all) == sorted(expected.values())


def test_a_refused_upsert_changes_nothing(tables: None) -> None:
    old, again = (1, "old", Decimal("1.00")), (1, "new", Decimal("2.00"))

    async def refused(pool: asyncpg.Pool) -> list[tuple]:
        await lesson.upsert(pool, [old])
        for rows, error in (
            ([again, again], asyncpg.CardinalityViolationError),
            ([again, ("x", "new", 1)], TypeError),
            ([again, (None, "new", 1)], asyncpg.NotNullViolationError),
        ):
            with pytest.raises(error):
                await lesson.upsert(pool, rows)
        return await readings(pool)

    assert with_pool(refused) == [old]


@pytest.mark.parametrize("part", lesson.PARTS, ids=lambda part: part.__name__)
def test_every_part_stands_alone(tables: None, part: Callable) -> None:
    options = argparse.Namespace(fast=True, step=False, from_step=1)
    teller = Lesson(Console(), options)
    try:
        teller.step(part, teller)
    finally:
        teller.close()
    assert teller.claims
    assert [claim for claim, holds in teller.claims if not holds] == []


def schemas_left() -> int:
    """1 if the lesson's schema is still there: a transaction that holds a lock would keep it."""
    query = "SELECT count(*) FROM pg_namespace WHERE nspname = $1"
    return with_pool(lambda pool: pool.fetchval(query, lesson.SCHEMA))


def test_it_waits_for_its_turn_and_leaves_nothing_behind(service: Callable[[str], str]) -> None:
    service("postgres")
    run_when_its_turn_comes(own_schema(lesson.SCHEMA), ROOT / PATH, "--fast")
    assert schemas_left() == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
@pytest.mark.parametrize("step", [6, 10, 11])
def test_ctrl_c_ends_it_cleanly(service: Callable[[str], str], step: int) -> None:
    service("postgres")
    command, pipe = one_part(PATH, step), subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout
        while not process.stdout.readline().startswith("1  "):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"
    assert schemas_left() == 0


def test_without_postgres_it_says_so_and_ends_with_69() -> None:
    assert "PostgreSQL" in told_without_a_service(
        lesson, DATABASE_URL="postgresql://a:b@127.0.0.1:9/nowhere"
    )
