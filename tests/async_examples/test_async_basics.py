"""The parts of lesson 01: what waits, what is cancelled and what is left behind."""

import asyncio

import pytest

from tests.support import load_lesson

lesson = load_lesson("async_examples/01_async_basics.py")


def test_in_turn_the_waits_add_up_and_together_they_overlap() -> None:
    waits = [0.1] * 10
    ordered, slow = asyncio.run(lesson.one_after_another(waits))
    files, fast = asyncio.run(lesson.all_together(waits))
    assert files == ordered == [f"file{number}.csv" for number in range(10)]
    assert fast * 3 < slow


def test_gather_keeps_the_order_of_the_call() -> None:
    files, _ = asyncio.run(lesson.all_together([0.2, 0.1, 0.02]))
    assert files == ["file0.csv", "file1.csv", "file2.csv"]


def test_a_forgotten_await_is_warned_of() -> None:
    kind, warning = asyncio.run(lesson.forget_to_await())
    assert kind == "coroutine"
    assert warning == "coroutine 'download' was never awaited"


def test_workers_take_turns() -> None:
    assert asyncio.run(lesson.draw_timeline()) == "ABCABCABC"


def test_after_an_error_gather_goes_on_and_a_task_group_cancels() -> None:
    waits = [0.02] * 10
    assert asyncio.run(lesson.fail_in_gather(waits))[0] == ["finished"] * 8
    log, errors = asyncio.run(lesson.fail_in_task_group(waits))
    assert log == ["cancelled"] * 8
    assert errors == [
        "file2: the server hung up (try again)",
        "file5: this is not CSV (no use trying again)",
    ]


def test_a_timeout_cleans_up_and_enough_time_is_no_timeout() -> None:
    log, took = asyncio.run(lesson.give_up(0.05, 30))
    assert log == ["big.part opened", "big.part removed", "gave up"]
    assert took < 10
    log, _ = asyncio.run(lesson.give_up(30, 0.05))
    assert log == ["big.part opened", "big.part removed"]


def test_the_fastest_mirror_wins_wherever_it_stands() -> None:
    winners, log = asyncio.run(lesson.fastest_mirror({"far": 20, "near": 0.05, "farther": 30}))
    assert winners == {"near.csv"}
    assert sorted(log)[1::2] == ["far removed", "farther removed", "near removed"]


@pytest.mark.parametrize("limit", [1, 3, 10, 50])
def test_the_semaphore_lets_in_as_many_as_it_may(limit: int) -> None:
    assert asyncio.run(lesson.limited([0.05] * 10, limit)) == min(limit, 10)


@pytest.mark.parametrize("count", [2, 3, 10, 40])
def test_the_queue_loses_nothing_and_stays_short(count: int) -> None:
    fetched, longest = asyncio.run(lesson.produce_and_consume([0.005] * count))
    assert sorted(fetched) == list(range(count))
    assert longest <= 4


def test_a_blocking_call_stops_the_heart_and_a_thread_does_not() -> None:
    blocked, aside = asyncio.run(lesson.block_the_loop(0.3))
    assert blocked == 0
    assert aside >= 3


def test_stopping_early_closes_the_generator() -> None:
    assert asyncio.run(lesson.read_pages()) == ["page 1", "page 2", "page 3", "source closed"]


def test_computing_does_not_interleave() -> None:
    assert asyncio.run(lesson.compute_together(1000)) == "AABBCC"
