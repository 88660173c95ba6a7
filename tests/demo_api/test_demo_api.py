"""The demo API: the same data everywhere, faults that repeat, plain reasons for refusals."""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import demo_api
from course.demo_api import data
from course.demo_api.knobs import FAULTS, Fates, Knobs, draw_fault
from course.shop.catalogue import products


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def get(session: aiohttp.ClientSession, url: str, **options: Any) -> Reply:
    async with session.get(url, **options) as response:
        return Reply(response.status, dict(response.headers), await response.read())


def with_api(scenario: Callable[[aiohttp.ClientSession], Awaitable[Any]], seed: int = 2025) -> Any:
    """What `scenario` returns when it has a session with a fresh demo API."""

    async def run() -> Any:
        async with demo_api.serve(seed=seed) as url, aiohttp.ClientSession(url) as session:
            return await scenario(session)

    return asyncio.run(run())


def ask(url: str, **options: Any) -> Reply:
    return with_api(lambda session: get(session, url, **options))


# --- data


def test_the_values_are_the_same_on_every_machine() -> None:
    known = [data.weather_at(city, data.NOW, 2025) for city in data.CITIES.values()]
    known += [data.daily_quotes(company, 2025)[-1] for company in data.COMPANIES.values()]
    fingerprint = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    assert fingerprint == "bd908d33f93d9df0b20e937f4fdb269a8f393a825512be0f76c8d2da69c08e5c"
    assert data.download_checksum(1_000_000, 2025) == (
        "17f66965e2656ff7a362002603e29136875165584d7991b9f127c7fb11941e42"
    )


def test_another_seed_gives_other_values() -> None:
    one, two = (
        with_api(lambda session: get(session, "/quotes/AAPL"), seed=seed).json for seed in (1, 2)
    )
    assert one["price"] != two["price"]


def test_weather_and_quotes_are_believable() -> None:
    for city in data.CITIES.values():
        for row in (
            data.weather_at(city, data.BEGIN + 31 * n * data.HOUR, 2025) for n in range(848)
        ):
            assert -25 < row["temperature_c"] < 45
            assert 0 < row["humidity"] <= 100
            assert row["wind_kmh"] > 0
            assert row["conditions"] in {"clear", "rain", "snow", "fog"}
            assert row["conditions"] != "snow" or row["temperature_c"] < 0
    for company in data.COMPANIES.values():
        for row in data.daily_quotes(company, 2025):
            assert 0 < row["low"] <= min(row["open"], row["price"])
            assert max(row["open"], row["price"]) <= row["high"]


@pytest.mark.parametrize("path", ["/weather/Kyiv", "/weather/kyiv", "/weather/KYIV"])
def test_names_are_found_in_any_case(path: str) -> None:
    assert ask(path).json["city"] == "Kyiv"


def test_history_is_strictly_newer_than_since() -> None:
    rows = ask("/weather/Lviv/history?since=2025-10-26T10:00:00Z").json["rows"]
    assert [row["observed_at"] for row in rows] == ["2025-10-26T11:00:00Z", "2025-10-26T12:00:00Z"]
    newest = ask("/quotes/MSFT").json["observed_at"]
    assert ask(f"/quotes/MSFT/history?since={newest}").json["rows"] == []


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00%2B05:00", "9999-12-31T23:59:59", "2020-01-01"]
)
def test_any_time_is_a_legal_since(since: str) -> None:
    assert ask(f"/weather/Kyiv/history?since={since}").status == 200
    assert ask(f"/quotes/AAPL/history?since={since}").status == 200


@pytest.mark.parametrize("path", ["/weather/Odesa/history", "/quotes/AAPL/history"])
@pytest.mark.parametrize("limit", [1, 7, 24, 25, 1000])
def test_pages_of_a_history_make_the_whole(path: str, limit: int) -> None:
    async def walk(session: aiohttp.ClientSession) -> tuple[list[Any], list[Any]]:
        whole = (await get(session, path)).json["rows"]
        rows, following = [], f"{path}?limit={limit}"
        while following:
            page = (await get(session, following)).json
            rows += page["rows"]
            following = page["next"]
        return whole, rows

    whole, rows = with_api(walk)
    assert rows == whole != []


@pytest.mark.parametrize("size", [1, 7, 20, 100])
def test_pages_of_products_make_the_catalogue(size: int) -> None:
    async def walk(session: aiohttp.ClientSession) -> list[Any]:
        found, following = [], f"/products?per_page={size}"
        while following:
            page = (await get(session, following)).json
            assert page["total"] == len(products())
            assert 0 < len(page["products"]) <= size
            found += page["products"]
            following = page["next"]
        return found

    found = with_api(walk)
    assert [row["product_id"] for row in found] == [one.number for one in products()]
    assert [Decimal(row["price"]) * 100 for row in found] == [one.price for one in products()]
    assert all("cost" not in row for row in found)


def test_the_next_page_keeps_category_and_knobs_but_not_the_attempt() -> None:
    page = ask("/products?category=books&per_page=5&delay=0.001&attempt=3").json
    assert {product["category"] for product in page["products"]} == {"Books"}
    assert page["next"] == "/products?category=books&per_page=5&delay=0.001&page=2"
    assert ask("/products?page=999").json["products"] == []
    assert ask("/products?category=Boats").status == 404


# --- download


def test_a_download_has_the_promised_length_and_checksum() -> None:
    reply = ask("/download?mb=2.5")
    assert len(reply.body) == 2_500_000 == int(reply.headers["Content-Length"])
    assert hashlib.sha256(reply.body).hexdigest() == reply.headers["X-Checksum-SHA256"]


@given(start=st.integers(0, 2_100_000), length=st.integers(0, 200_000))
@settings(max_examples=30, deadline=None)
def test_any_range_of_a_download_is_that_part_of_the_whole(start: int, length: int) -> None:
    whole = b"".join(data.download_chunks(range(2_100_000), 1))
    wanted = range(2_100_000)[start : start + length]
    assert b"".join(data.download_chunks(wanted, 1)) == whole[start : start + length]


def test_a_broken_download_can_be_resumed() -> None:
    async def resume(session: aiohttp.ClientSession) -> bytes:
        body = b""
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get("/download?mb=1&drop=1") as response:
                async for chunk in response.content.iter_any():
                    body += chunk
        assert 0 < len(body) < 1_000_000
        rest = await get(session, "/download?mb=1", headers={"Range": f"bytes={len(body)}-"})
        assert rest.status == 206
        assert rest.headers["Content-Range"] == f"bytes {len(body)}-999999/1000000"
        return body + rest.body

    assert hashlib.sha256(with_api(resume)).hexdigest() == data.download_checksum(1_000_000, 2025)


@pytest.mark.parametrize("wanted", ["bytes=1000000-", "nonsense"])
def test_a_range_outside_the_download_is_refused(wanted: str) -> None:
    reply = ask("/download?mb=1", headers={"Range": wanted})
    assert reply.status == 416
    assert reply.headers["Content-Range"] == "bytes */1000000"


# --- refusals


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/weather/Kyiv?delay=soon", "not a number"),
        ("/weather/Kyiv?delay=nan", "not between"),
        ("/weather/Kyiv?delay=-1", "not between"),
        ("/weather/Kyiv?delay=inf", "not between"),
        ("/weather/Kyiv?fail=1.1", "not between"),
        ("/weather/Kyiv?fail=0.6&drop=0.6", "more than 1"),
        ("/weather/Kyiv?attempt=0", "not between"),
        ("/weather/Kyiv?retry_after=0.5", "not a whole number"),
        ("/weather/Kyiv?deley=1", "no parameter 'deley'"),
        ("/weather/Kyiv?seed=1&seed=2", "more than once"),
        ("/weather/Kyiv/history?since=yesterday", "not a time"),
        ("/weather/Kyiv/history?limit=0", "not between"),
        ("/download?mb=0", "not between"),
        ("/download?mb=100000", "not between"),
    ],
)
def test_a_parameter_without_sense_is_a_400_that_says_why(url: str, said: str) -> None:
    reply = ask(url)
    assert reply.status == 400
    assert reply.json["error"] == "bad request"
    assert said in reply.json["reason"]


@pytest.mark.parametrize(
    ("url", "said"),
    [("/weather/Atlantis", "Kyiv"), ("/quotes/ACME", "AAPL"), ("/no/such/path", "see /")],
)
def test_what_is_not_there_is_a_404_that_says_what_is(url: str, said: str) -> None:
    reply = ask(url)
    assert reply.status == 404
    assert said in reply.json["reason"]


def test_other_methods_get_a_json_reason_too() -> None:
    async def post(session: aiohttp.ClientSession) -> tuple[int, Any]:
        async with session.post("/weather") as response:
            return response.status, await response.json()

    status, body = with_api(post)
    assert (status, body["error"]) == (405, "method not allowed")


# --- faults


def test_each_fault_is_what_it_says() -> None:
    assert ask("/quotes/AAPL?fail=1").status == 503
    throttled = ask("/quotes/AAPL?throttle=1&retry_after=7")
    assert (throttled.status, throttled.headers["Retry-After"]) == (429, "7")
    garbled = ask("/quotes/AAPL?garble=1")
    assert garbled.status == 200
    with pytest.raises(json.JSONDecodeError):
        _ = garbled.json
    with pytest.raises(aiohttp.ClientPayloadError):
        ask("/quotes/AAPL?drop=1")


@pytest.mark.parametrize("path", ["/", "/weather", "/quotes/AAPL/history", "/download?mb=0.001"])
def test_a_dropped_connection_breaks_every_kind_of_body(path: str) -> None:
    joint = "&" if "?" in path else "?"
    with pytest.raises(aiohttp.ClientPayloadError):
        ask(f"{path}{joint}drop=1")
    assert len(ask(f"{path}{joint}garble=1").body) == len(ask(path).body) // 2


def test_delay_comes_before_the_answer_and_stall_in_the_middle_of_it() -> None:
    async def measure(session: aiohttp.ClientSession, url: str) -> tuple[float, float]:
        start = time.monotonic()
        async with session.get(url) as response:
            headers = time.monotonic() - start
            await response.read()
            return headers, time.monotonic() - start

    headers, _ = with_api(lambda session: measure(session, "/weather/Kyiv?delay=0.3"))
    assert headers >= 0.29
    headers, body = with_api(lambda session: measure(session, "/weather/Kyiv?stall=2"))
    assert headers < 1.5 < 1.99 < body


@given(
    shares=st.lists(st.floats(0, 0.25), min_size=4, max_size=4),
    number=st.integers(0, 2**53),
    resource=st.text(),
)
@settings(max_examples=30, deadline=None)
def test_faults_come_in_the_wanted_shares(shares: list[float], number: int, resource: str) -> None:
    knobs = Knobs(**dict(zip(FAULTS, shares, strict=True)), seed=number)  # type: ignore[arg-type]
    drawn = [draw_fault(knobs, resource, attempt) for attempt in range(1000)]
    assert drawn == [draw_fault(knobs, resource, attempt) for attempt in range(1000)]
    for fault, share in knobs.shares().items():
        # Seven standard deviations of a share of 1,000 draws.
        assert abs(drawn.count(fault) / 1000 - share) <= 0.1
        assert share or fault not in drawn


def story(order: list[str], together: bool, **knobs: Any) -> dict[str, list[int]]:
    """The statuses that each city's successive attempts get."""

    async def attempts(session: aiohttp.ClientSession, city: str) -> list[int]:
        query = {"fail": "0.5", "seed": "7", **knobs}
        return [(await get(session, f"/weather/{city}", params=query)).status for _ in range(5)]

    async def run(session: aiohttp.ClientSession) -> dict[str, list[int]]:
        if together:
            got = await asyncio.gather(*(attempts(session, city) for city in order))
        else:
            got = [await attempts(session, city) for city in order]
        return dict(zip(order, got, strict=True))

    return with_api(run)


def test_the_same_work_meets_the_same_faults_in_any_order() -> None:
    cities = [city.name for city in data.CITIES.values()]
    shuffled = random.Random(1).sample(cities, len(cities))
    expected = story(cities, together=False)
    assert {status for statuses in expected.values() for status in statuses} == {200, 503}
    assert story(shuffled, together=True) == expected
    assert story(shuffled, together=True, delay="0.01") == expected
    assert story(cities, together=False, seed="8") != expected


def test_a_named_attempt_meets_the_same_fault_again() -> None:
    urls = [f"/weather/Kyiv?fail=0.5&attempt={number}" for number in range(1, 9)]
    statuses = [ask(url).status for url in urls]
    assert set(statuses) == {200, 503}
    assert [ask(url).status for url in reversed(urls)] == statuses[::-1]


def test_who_comes_back_too_early_is_told_again_and_that_is_no_new_attempt() -> None:
    fates, knobs = Fates(), Knobs(throttle=1, retry_after=2)
    assert not (first := fates.decide(knobs, "a", now=10)).too_early
    early = fates.decide(knobs, "a", now=11.5)
    assert early.too_early
    assert (early.attempt, early.retry_after) == (first.attempt, 1)
    assert not fates.decide(knobs, "b", now=11.5).too_early
    late = fates.decide(knobs, "a", now=12)
    assert not late.too_early
    assert late.attempt == first.attempt + 1


# --- counters and life


def test_stats_count_requests_connections_and_the_peak() -> None:
    async def crowd(session: aiohttp.ClientSession) -> tuple[Any, Any]:
        await asyncio.gather(*(get(session, "/weather/Kyiv?delay=0.2") for _ in range(6)))
        await get(session, "/weather/Atlantis")
        await get(session, "/weather/Lviv?fail=1")
        counted = (await get(session, "/stats")).json
        async with session.delete("/stats") as response:
            return counted, await response.json()

    counted, forgotten = with_api(crowd)
    assert counted == {
        "requests": 8,
        "connections": 6,
        "in_flight": 0,
        "peak": 6,
        "too_early": 0,
        "by_path": {"/weather/Atlantis": 1, "/weather/Kyiv": 6, "/weather/Lviv": 1},
        "by_status": {"200": 6, "404": 1, "503": 1},
        "faults": {"fail": 1},
    }
    assert forgotten["requests"] == forgotten["peak"] == 0


def test_a_client_that_gives_up_leaves_nothing_running() -> None:
    async def give_up(session: aiohttp.ClientSession) -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await get(session, "/weather/Kyiv?delay=50")
        for _ in range(100):
            in_flight = (await get(session, "/stats")).json["in_flight"]
            if not in_flight:
                break
            await asyncio.sleep(0.05)
        return in_flight

    assert with_api(give_up) == 0


def test_the_end_of_the_block_does_not_wait_for_slow_requests() -> None:
    async def leave() -> float:
        async with aiohttp.ClientSession() as session:
            async with demo_api.serve() as url:
                slow = asyncio.create_task(get(session, f"{url}/weather/Kyiv?delay=50"))
                await asyncio.sleep(0.1)
                start = time.monotonic()
            with pytest.raises(aiohttp.ClientError):
                await slow
            return time.monotonic() - start

    assert asyncio.run(leave()) < 5


def test_the_index_lists_every_endpoint_of_the_docstring() -> None:
    listed = {endpoint["path"] for endpoint in ask("/").json["endpoints"]}
    assert demo_api.__doc__
    described = {
        line.split()[0] for line in demo_api.__doc__.splitlines() if line.startswith("    /")
    }
    assert listed | {"/stats"} == described
    knobs = set(ask("/").json["knobs"]) - {"retry_after"}
    assert all(f"    {knob}=" in demo_api.__doc__ for knob in knobs)
