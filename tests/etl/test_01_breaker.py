"""The circuit breaker against a model, and one probe however many call."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from async_etl import CircuitBreaker, CircuitOpen, Refused, State, Unavailable
from hypothesis import given
from hypothesis import strategies as st

OPEN_FOR, FAILURES = 10.0, 3


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_breaker() -> tuple[CircuitBreaker, Clock]:
    clock = Clock()
    return CircuitBreaker("source", (Unavailable,), FAILURES, OPEN_FOR, clock), clock


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        raise error

    return work


async def answer() -> str:
    return "an answer"


async def outcome(breaker: CircuitBreaker, work: Callable[[], Awaitable]) -> str:
    try:
        return await breaker.call(work)
    except (CircuitOpen, Unavailable, Refused) as error:
        return type(error).__name__


steps = st.lists(
    st.tuples(st.sampled_from(["fail", "answer", "refuse"]), st.sampled_from([0, 4, 10]))
)


@given(steps)
def test_it_does_what_the_model_says(steps: list[tuple[str, int]]) -> None:
    breaker, clock = a_breaker()
    works = {"fail": failing(Unavailable("503")), "refuse": failing(Refused("404")),
             "answer": answer}  # fmt: skip

    async def play() -> None:
        in_a_row, opened_at = 0, None
        for what, pause in steps:
            clock.now += pause
            refused = opened_at is not None and clock.now < opened_at + OPEN_FOR
            came = await outcome(breaker, works[what])
            assert (came == "CircuitOpen") == refused
            if refused:
                continue
            in_a_row = in_a_row + 1 if what == "fail" else 0
            if what == "fail" and (opened_at is not None or in_a_row >= FAILURES):
                opened_at, in_a_row = clock.now, 0
            elif what != "fail":
                opened_at = None
            assert (breaker.state is State.OPEN) == (opened_at is not None)

    asyncio.run(play())


async def opened() -> tuple[CircuitBreaker, Clock]:
    breaker, clock = a_breaker()
    for _ in range(FAILURES):
        await outcome(breaker, failing(Unavailable("503")))
    assert breaker.state is State.OPEN
    return breaker, clock


@pytest.mark.parametrize(("works", "then"), [(True, State.CLOSED), (False, State.OPEN)])
def test_half_open_exactly_one_of_many_passes(works: bool, then: State) -> None:
    async def scenario() -> None:
        breaker, clock = await opened()
        clock.now += OPEN_FOR
        asked = 0

        async def source() -> None:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.01)
            assert breaker.state is State.HALF_OPEN
            if not works:
                raise Unavailable("503")

        came = await asyncio.gather(*(outcome(breaker, source) for _ in range(50)))
        assert asked == 1 and came.count("CircuitOpen") == 49
        assert breaker.state is then

    asyncio.run(scenario())


def test_a_cancelled_probe_leaves_the_probe_to_the_next() -> None:
    async def scenario() -> None:
        breaker, clock = await opened()
        clock.now += OPEN_FOR
        probe = asyncio.create_task(breaker.call(lambda: asyncio.sleep(30)))
        await asyncio.sleep(0)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        assert await outcome(breaker, answer) == "an answer"
        assert breaker.state is State.CLOSED

    asyncio.run(scenario())


@pytest.mark.parametrize("late", ["answer", "failure"])
def test_what_began_before_it_opened_is_old_news(late: str) -> None:
    async def scenario() -> None:
        breaker, clock = a_breaker()
        go = asyncio.Event()

        async def slow() -> str:
            await go.wait()
            return await (answer() if late == "answer" else failing(Unavailable("503"))())

        early = asyncio.create_task(outcome(breaker, slow))
        await asyncio.sleep(0)
        for _ in range(FAILURES):
            await outcome(breaker, failing(Unavailable("503")))
        if late == "failure":
            clock.now += OPEN_FOR
            assert await outcome(breaker, answer) == "an answer"
        before = breaker.state
        go.set()
        await early
        assert breaker.state is before

    asyncio.run(scenario())
