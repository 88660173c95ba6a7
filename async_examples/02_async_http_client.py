"""Async HTTP: many requests at once, and no answer lost.

You will see a weather service asked in turn and together, then slow, failing, throttling and
hanging up, and a client that gets every answer all the same.

Run      python async_examples/02_async_http_client.py        (--live asks a real service too)
Needs    nothing
Minutes  30
Next     sql_examples/04_sql_examples.sql
"""

import argparse
import asyncio
import hashlib
import json
import random
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import aiohttp

from course import demo_api
from course.lesson import Lesson, run

CITIES = [city.name for city in demo_api.CITIES.values()]
MISCHIEF = {"fail": 0.2, "garble": 0.15, "drop": 0.15, "seed": 12}
ATTEMPTS = 5
PIECE = 65_536
# Shorter waits would drown in the pauses that a busy machine makes of its own accord.
SHORTEST = 0.3
LIVE_URL = "https://api.open-meteo.com"
FAILURES = (aiohttp.ClientError, TimeoutError, json.JSONDecodeError)


@asynccontextmanager
async def weather_service(**options: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """A fresh weather service on this machine, and one session with it."""
    async with demo_api.serve() as url, aiohttp.ClientSession(url, **options) as session:
        yield session


async def get_json(session: aiohttp.ClientSession, path: str, **parameters: Any) -> Any:
    """The JSON at `path`; one of FAILURES when it can't be had."""
    async with session.get(path, params=parameters) as response:
        response.raise_for_status()
        return await response.json()


async def one_session() -> tuple[int, int, tuple[int, float]]:
    """Use one session for the whole program.

    A session keeps its connections open and uses them again. A session for each request pays for a
    new connection every time: one round trip more, and over HTTPS two or three. Say nothing else,
    and a session opens up to 100 connections and gives each request 5 minutes.
    """
    async with demo_api.serve() as url:
        for city in CITIES:
            async with aiohttp.ClientSession(url) as session:
                await get_json(session, f"/weather/{city}")
                many = await get_json(session, "/stats")
    async with weather_service() as session:
        for city in CITIES:
            await get_json(session, f"/weather/{city}")
        one = await get_json(session, "/stats")
        own_limits = session.connector.limit, session.timeout.total
    return many["connections"], one["connections"], own_limits


async def in_turn(url: str, delay: float) -> list[Any]:
    """All cities, one request after another."""
    async with aiohttp.ClientSession(url) as session:
        return [await get_json(session, f"/weather/{city}", delay=delay) for city in CITIES]


async def together(url: str, delay: float, limit: int = 100) -> list[Any]:
    """All cities at the same time, over at most `limit` connections."""
    connector = aiohttp.TCPConnector(limit=limit)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        requests = (get_json(session, f"/weather/{city}", delay=delay) for city in CITIES)
        return await asyncio.gather(*requests)


async def in_threads(url: str, delay: float) -> list[Any]:
    """All cities by a library that blocks, each request in a thread."""
    addresses = (f"{url}/weather/{city}?delay={delay}" for city in CITIES)
    return await asyncio.gather(*(asyncio.to_thread(blocking_get, one) for one in addresses))


def blocking_get(address: str) -> Any:
    """The JSON at `address` by the standard library: its thread waits until it is there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=30) as response:
        return json.load(response)


async def compare_ways(delay: float) -> dict[str, tuple[float, int, list[Any]]]:
    """Twelve slow answers, in four ways.

    In turn the delays add up; together they overlap. The connector's limit bounds the connections
    of a session and so spares the server. Threads do well for a few dozen requests: use them when
    your library blocks. For a single request you need none of this.
    """
    ways = {
        "in turn": in_turn,
        "threads": in_threads,
        "four at once": partial(together, limit=4),
        "all at once": together,
    }
    measured = {}
    for name, way in ways.items():
        async with demo_api.serve() as url, aiohttp.ClientSession(url) as session:
            start = time.perf_counter()
            answers = await way(url, delay)
            took = time.perf_counter() - start
            measured[name] = took, (await get_json(session, "/stats"))["peak"], answers
    return measured


async def bounded(limit: int) -> int:
    """Be a polite guest: a semaphore bounds the work, too.

    A semaphore bounds whatever is inside it: the request and what you do with its answer. It spares
    your own memory as well as the server.
    """
    places = asyncio.Semaphore(limit)
    async with weather_service() as session:

        async def polite(city: str) -> None:
            async with places:
                await get_json(session, f"/weather/{city}", delay=0.1)

        await asyncio.gather(*map(polite, CITIES))
        return (await get_json(session, "/stats"))["peak"]


async def failure_of(answer: Awaitable[Any]) -> Exception:
    """The failure that comes instead of the answer."""
    try:
        await answer
    except FAILURES as failure:
        return failure
    raise AssertionError("it was expected to fail")


async def time_out(limit: float) -> dict[str, str]:
    """Three timeouts, for three ways to hang.

    `total` bounds the whole request. `sock_read` bounds the
    silence between two pieces of an answer: right for long downloads. `connect` bounds the wait for
    a connection, also for a free place under the session's own limit, as here.
    """
    names = {}
    async with weather_service(timeout=aiohttp.ClientTimeout(total=limit)) as session:
        answer = get_json(session, "/weather/Kyiv", delay=30)
        names["total"] = type(await failure_of(answer)).__name__
    async with weather_service(timeout=aiohttp.ClientTimeout(sock_read=limit)) as session:
        answer = get_json(session, "/weather/Kyiv", stall=30)
        names["sock_read"] = type(await failure_of(answer)).__name__
    full = {"connector": aiohttp.TCPConnector(limit=1)}
    async with weather_service(timeout=aiohttp.ClientTimeout(connect=limit), **full) as session:
        slow = asyncio.create_task(get_json(session, "/weather/Kyiv", delay=30))
        await asyncio.sleep(0)
        names["connect"] = type(await failure_of(get_json(session, "/weather/Lviv"))).__name__
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
    return names


def worth_retrying(failure: Exception) -> bool:
    """Whether the same request may succeed later: not when the request itself is wrong."""
    if isinstance(failure, aiohttp.ClientResponseError):
        return failure.status == 429 or failure.status >= 500
    return not isinstance(failure, aiohttp.InvalidURL)


async def name_failures() -> list[tuple[str, str, bool]]:
    """Every failure has a name, and not every one is worth a second try.

    Status 200 promises little: the JSON may be broken and the connection may end half-way. A 503, a
    429, bad JSON and a lost connection may pass. 404 and 400 stay wrong however often you ask.
    """
    cases = {
        "503": ("/weather/Kyiv", {"fail": 1}),
        "429": ("/weather/Lviv", {"throttle": 1}),
        "bad JSON": ("/weather/Kyiv", {"garble": 1}),
        "dropped connection": ("/weather/Kyiv", {"drop": 1}),
        "404": ("/weather/Atlantis", {}),
        "400": ("/weather/Kyiv", {"delay": "soon"}),
    }
    rows = []
    async with weather_service() as session:
        for case, (path, knobs) in cases.items():
            failure = await failure_of(get_json(session, path, **knobs))
            rows.append((case, type(failure).__name__, worth_retrying(failure)))
    return rows


def backoff(
    attempt: int, base: float, draw: Callable[[float, float], float] = random.uniform
) -> float:
    """Seconds to wait after the failed `attempt`: anything up to base, 2 base, 4 base …"""
    return draw(0, base * 2 ** (attempt - 1))


def spread_a_crowd() -> tuple[int, int]:
    """Back off, and with jitter.

    Waiting twice as long after each failure gives the server room (backoff). But a hundred clients
    that failed together would come back together. A random share of the wait (jitter) spreads them.
    """
    dice = random.Random(7)
    busiest = []
    for draw in (max, dice.uniform):  # max(0, wait) is the whole wait
        slots = Counter(int(backoff(3, 0.25, draw) * 100) for _ in range(100))
        busiest.append(max(slots.values()))
    print(f"  most clients within 10 ms: {busiest[0]} without jitter, {busiest[1]} with it")
    return busiest[0], busiest[1]


def retry_after(failure: Exception) -> float:
    """The seconds that the server asked for in Retry-After, as a number or as a date; else 0."""
    said = (getattr(failure, "headers", None) or {}).get("Retry-After", "0")
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


async def patient_get(
    session: aiohttp.ClientSession, path: str, base: float, obey: bool = True, **parameters: Any
) -> Any:
    """get_json with ATTEMPTS tries; waits as long as the server says and a bit of backoff."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await get_json(session, path, **parameters)
        except FAILURES as failure:
            if not worth_retrying(failure):
                raise
            asked = retry_after(failure) if obey else 0
            await asyncio.sleep(asked + backoff(attempt, base))
    return await get_json(session, path, **parameters)


async def retry(base: float) -> tuple[int, int, int]:
    """Retry with backoff, and nothing is lost.

    Half of the requests meet a fault. Asked once, answers are missing; asked with patience, all
    come. Retry only what may be done twice: a GET, or a POST with an idempotency key. In your own
    project don't write this loop by hand: `stamina` does it with good defaults, `tenacity` with
    every option (set stop and wait: its default tries for ever without a pause).
    """
    async with weather_service() as session:
        requests = (get_json(session, f"/weather/{city}", **MISCHIEF) for city in CITIES)
        once = await asyncio.gather(*requests, return_exceptions=True)
    async with weather_service() as session:
        requests = (patient_get(session, f"/weather/{city}", base, **MISCHIEF) for city in CITIES)
        answers = await asyncio.gather(*requests)
        await failure_of(patient_get(session, "/weather/Atlantis", base))
        stats = await get_json(session, "/stats")
    lost = sum(isinstance(answer, Exception) for answer in once)
    print(f"  asked once: {lost} of {len(CITIES)} answers lost")
    print(f"  with patience: {len(answers)} answers from {stats['requests'] - 1} requests")
    return lost, len(answers), stats["by_path"]["/weather/Atlantis"]


async def obey_retry_after() -> tuple[int, int, int]:
    """429 means: too many. Retry-After says when to come back.

    Who comes back earlier is refused again and makes the crowd bigger. The wait is the server's
    plus the jitter, so that not all who were sent away return in the same moment.
    """
    early, lost = [], []
    for obey in (False, True):
        async with weather_service() as session:
            asked = [
                patient_get(session, f"/weather/{city}", 0.01, obey, throttle=0.4, seed=14)
                for city in CITIES
            ]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            early.append((await get_json(session, "/stats"))["too_early"])
            lost.append(sum(isinstance(answer, Exception) for answer in answers))
    return early[0], early[1], lost[1]


async def stream(lesson: Lesson, megabytes: int) -> tuple[bool, int]:
    """Stream what is large, and check what arrived.

    `response.read()` would hold the whole file in memory. In pieces, memory stays flat whatever the
    size. The checksum proves that nothing is missing.

    At a thousand times the size, let a fixed number of workers take URLs from a queue, bound the
    rate for each host (`aiolimiter`), put a circuit breaker in front of a host that is down, and
    save what arrived, so that a restart can go on.
    """
    digest = hashlib.sha256()
    largest = 0
    async with weather_service() as session:
        with tempfile.TemporaryFile() as file:
            async with session.get("/download", params={"mb": megabytes}) as response:
                response.raise_for_status()
                size, promised = response.content_length, response.headers["X-Checksum-SHA256"]
                for position in lesson.progress(range(0, size, PIECE), label="pieces received"):
                    piece = await response.content.readexactly(min(PIECE, size - position))
                    file.write(piece)
                    digest.update(piece)
                    largest = max(largest, len(piece))
    return digest.hexdigest() == promised, largest


async def ask_live(url: str = LIVE_URL) -> dict[str, float]:
    """The same client asks a real service.

    Open-Meteo gives the weather without a key. Nothing in the client changes but the address.
    """
    found = {}
    timeout = aiohttp.ClientTimeout(total=10)
    try:
        async with aiohttp.ClientSession(url, timeout=timeout, trust_env=True) as session:
            for city in (demo_api.CITIES[name] for name in ("kyiv", "lviv", "odesa")):
                query = {"latitude": city.latitude, "longitude": city.longitude}
                query["current"] = "temperature_2m"
                answer = await patient_get(session, "/v1/forecast", 0.1, **query)
                found[city.name] = answer["current"]["temperature_2m"]
    except FAILURES as failure:
        print(f"  No answer from {LIVE_URL} ({type(failure).__name__}).")
        print("  Is there no network? Everything else in this lesson needs none.")
    print("\n".join(f"  {city}: {degrees} °C" for city, degrees in found.items()))
    return found


def main(lesson: Lesson) -> None:
    """One client, from careless to careful."""
    many, one, own_limits = lesson.step(one_session)
    lesson.check("a session for each request opens a connection for each", many == len(CITIES))
    lesson.check("one session opens one connection", one == 1, f"{many} → {one}")
    lesson.check("its own limits are 100 connections, 5 minutes", own_limits == (100, 5 * 60))
    ways = lesson.step(compare_ways, max(lesson.delay(0.5), SHORTEST))
    rows = [(way, f"{took:.2f} s", peak) for way, (took, peak, _) in ways.items()]
    lesson.table(rows, ["way", "time", "requests at once"], title="12 requests", measured=True)
    slow, fast = ways["in turn"][0], ways["all at once"][0]
    lesson.check("all at once was at least 3x faster", fast * 3 < slow, f"{slow / fast:.1f}x")
    lesson.check("the connector kept to its limit of four", ways["four at once"][1] <= 4)
    same = all(answers == ways["in turn"][2] for _, _, answers in ways.values())
    lesson.check("every way got the same answers", same)
    lesson.check("the semaphore kept to three at once", lesson.step(bounded, 3) <= 3)
    failing(lesson)
    intact, largest = lesson.step(stream, lesson, 4 if lesson.fast else 40)
    lesson.check("the checksum is the promised one", intact)
    lesson.check("never more than one piece in memory", largest <= PIECE, f"{largest:,} bytes")
    if lesson.options.live:
        found = lesson.step(ask_live)
        if found:
            lesson.check("the temperatures are believable", -60 < min(found.values()) < 60)


def failing(lesson: Lesson) -> None:
    """What goes wrong, and what helps."""
    names = lesson.step(time_out, SHORTEST)
    expected = {"total": "TimeoutError", "sock_read": "SocketTimeoutError"}
    expected["connect"] = "ConnectionTimeoutError"
    lesson.table(list(names.items()), columns=["timeout", "what came"])
    lesson.check("each timeout ended its own kind of wait", names == expected)
    rows = lesson.step(name_failures)
    lesson.table(rows, columns=["what happened", "failure", "worth retrying"])
    hopeless = [case for case, _, again in rows if not again]
    lesson.check("only the wrong requests are hopeless", hopeless == ["404", "400"])
    alone, spread = lesson.step(spread_a_crowd)
    lesson.check("jitter spreads the crowd", spread * 10 < alone)
    lost, answers, asked = lesson.step(retry, lesson.delay(0.2))
    lesson.check("asked once, answers were lost", lost > 0, f"{lost} of {len(CITIES)}")
    lesson.check("with retries every answer came", answers == len(CITIES))
    lesson.check("what does not exist was asked for once", asked == 1)
    impatient, patient, lost = lesson.step(obey_retry_after)
    lesson.check("who ignores Retry-After asks in vain", impatient > 0)
    lesson.check("who obeys it never comes too early", patient == 0)
    lesson.check("and gets every answer", lost == 0)


def add_options(parser: argparse.ArgumentParser) -> None:
    """This lesson's own option."""
    parser.add_argument("--live", action="store_true", help="ask a public weather service as well")


if __name__ == "__main__":
    run(main, add_options)
