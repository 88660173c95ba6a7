"""The parts of lesson 02: what is retried, how long it waits, and what it says without network."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from course.settings import HOST
from tests.support import load_lesson

lesson = load_lesson("async_examples/02_async_http_client.py")


class RefusedError(Exception):
    """An answer that says when to come back."""

    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def with_session(scenario: Any) -> Any:
    async def run() -> Any:
        async with lesson.weather_service() as session:
            return await scenario(session)

    return asyncio.run(run())


def test_one_session_opens_one_connection() -> None:
    many, one, own_limits = asyncio.run(lesson.one_session())
    assert (many, one) == (len(lesson.CITIES), 1)
    assert own_limits == (100, 300)


def test_all_ways_get_the_same_answers() -> None:
    ways = asyncio.run(lesson.compare_ways(0.05))
    answers = [way[2] for way in ways.values()]
    assert [city["city"] for city in answers[0]] == lesson.CITIES
    assert all(answer == answers[0] for answer in answers)
    assert ways["in turn"][1] == 1
    assert ways["four at once"][1] <= 4


@pytest.mark.parametrize("limit", [1, 2, 12])
def test_the_semaphore_bounds_the_requests(limit: int) -> None:
    assert asyncio.run(lesson.bounded(limit)) <= limit


def test_each_timeout_has_its_own_error() -> None:
    assert asyncio.run(lesson.time_out(0.1)) == {
        "total": "TimeoutError",
        "sock_read": "SocketTimeoutError",
        "connect": "ConnectionTimeoutError",
    }


def test_only_what_may_pass_is_worth_a_retry() -> None:
    again = {case: retry for case, _, retry in asyncio.run(lesson.name_failures())}
    assert again == {
        "503": True,
        "429": True,
        "bad JSON": True,
        "dropped connection": True,
        "404": False,
        "400": False,
    }
    assert lesson.worth_retrying(TimeoutError())
    assert not lesson.worth_retrying(aiohttp.InvalidURL("nowhere"))


@given(attempt=st.integers(1, 20), base=st.floats(0.001, 10))
def test_backoff_stays_under_a_ceiling_that_doubles(attempt: int, base: float) -> None:
    assert 0 <= lesson.backoff(attempt, base) <= base * 2 ** (attempt - 1)
    assert lesson.backoff(attempt, base, max) == base * 2 ** (attempt - 1)


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (RefusedError(Retry_After="3"), 3),
        (RefusedError(Retry_After="soon"), 0),
        (RefusedError(Retry_After="-5"), 0),
        (RefusedError(Retry_After="Fri, 24 Oct 2025 12:00:00 GMT"), 0),
        (RefusedError(), 0),
        (TimeoutError(), 0),
    ],
)
def test_retry_after_is_read_as_seconds(failure: Exception, seconds: float) -> None:
    assert lesson.retry_after(failure) == seconds


def test_retry_after_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < lesson.retry_after(RefusedError(Retry_After=later)) <= 60


def test_a_request_that_always_fails_is_given_up_after_the_last_attempt() -> None:
    async def hopeless(session: aiohttp.ClientSession) -> int:
        with pytest.raises(aiohttp.ClientResponseError):
            await lesson.patient_get(session, "/weather/Kyiv", 0.001, fail=1)
        return (await lesson.get_json(session, "/stats"))["requests"]

    assert with_session(hopeless) == lesson.ATTEMPTS


def test_retries_lose_nothing_and_a_404_is_asked_for_once() -> None:
    lost, answers, asked = asyncio.run(lesson.retry(0.01))
    assert lost == 6
    assert answers == len(lesson.CITIES)
    assert asked == 1


def test_who_obeys_retry_after_never_comes_too_early() -> None:
    impatient, patient, lost = asyncio.run(lesson.obey_retry_after())
    assert impatient > 0
    assert (patient, lost) == (0, 0)


def test_without_network_the_live_step_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    # Nobody listens there any more.
    assert asyncio.run(lesson.ask_live(f"http://{HOST}:{port}")) == {}
    assert "Is there no network?" in capsys.readouterr().out


def test_the_live_step_reads_what_the_service_answers(capsys: pytest.CaptureFixture[str]) -> None:
    async def forecast(request: web.Request) -> web.Response:
        assert {"latitude", "longitude", "current"} == set(request.query)
        return web.json_response({"current": {"temperature_2m": 7.5}})

    async def ask() -> Any:
        application = web.Application()
        application.router.add_get("/v1/forecast", forecast)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        try:
            return await lesson.ask_live(f"http://{HOST}:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()

    assert asyncio.run(ask()) == {"Kyiv": 7.5, "Lviv": 7.5, "Odesa": 7.5}
    assert "Kyiv: 7.5 °C" in capsys.readouterr().out
