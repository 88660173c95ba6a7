"""The parts of the recommendations API by themselves: limits, settings, batching, events."""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recommendations_api import events as events_module
from recommendations_api.batching import BatchingRedis
from recommendations_api.cable import Cable
from recommendations_api.callers import Keys, RateLimit
from recommendations_api.events import CAPACITY, MEMORY_FULL, Broker, Events
from recommendations_api.metrics import Metrics
from recommendations_api.settings import Settings, from_environment
from redis.exceptions import ConnectionError as RedisConnectionError
from shop_profile.cache import Cache, connect
from shop_profile.database import make_async_engine
from shop_profile.messages import Topology

NOWHERE = {
    "postgres": "postgresql://a:b@127.0.0.1:9/nowhere",
    "redis": "redis://127.0.0.1:9/0",
    "mongo": "mongodb://127.0.0.1:9/nowhere",
    "rabbitmq": "amqp://a:b@127.0.0.1:9/",
}


@given(
    rate=st.integers(1, 10_000),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 20), max_size=200),
)
def test_no_window_lets_more_through_than_the_limit(
    rate: int, burst: int, pauses: list[float]
) -> None:
    now, allowed = 0.0, []
    limit = RateLimit(rate, burst, lambda: now)
    for pause in pauses:
        now += pause
        if limit.wait("anna") == 0:
            allowed.append(now)
    for first, begin in enumerate(allowed):
        for last in range(first, len(allowed)):
            most = burst + (allowed[last] - begin) * rate / 60
            assert last - first + 1 <= most + 1e-6


@given(rate=st.integers(1, 10_000), burst=st.integers(1, 50), asked=st.integers(1, 120))
def test_who_waits_as_told_gets_through_and_others_do_not_matter(
    rate: int, burst: int, asked: int
) -> None:
    now = 0.0
    limit = RateLimit(rate, burst, lambda: now)
    waits = [limit.wait("anna") for _ in range(asked)]
    assert sum(wait == 0 for wait in waits) == min(asked, burst)
    assert limit.wait("ivan") == 0
    now += limit.wait("anna")
    assert asked < burst or limit.wait("anna") == 0


def test_keys_are_known_by_their_digest() -> None:
    keys = Keys({"secret": "anna"})
    assert keys.holder("secret") == "anna"
    assert [keys.holder(key) for key in (None, "", "Secret", "secret ")] == [None] * 4
    assert "secret" not in repr(vars(keys))


def test_settings_travel_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Settings(
        **NOWHERE, name="mine", api_keys={"k": "anna", "l": "ivan"}, rate=7, burst=3,
        cache_seconds=9, today=date(2025, 1, 2), model=Path("here"),
    )  # fmt: skip
    for name, value in own.environment().items():
        monkeypatch.setenv(name, value)
    assert from_environment() == own


@pytest.mark.parametrize(
    ("name", "value"),
    [("RATE", "0"), ("RATE", "many"), ("NAME", "my-api"), ("NAME", "Api"), ("API_KEYS", "secret"),
     ("TODAY", "soon"), ("CACHE_SECONDS", "-1")],
)  # fmt: skip
def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    for key, address in Settings(**NOWHERE).environment().items():
        monkeypatch.setenv(key, address)
    monkeypatch.setenv(f"RECOMMENDATIONS_{name}", value)
    with pytest.raises(ValueError, match=f"RECOMMENDATIONS_{name}"):
        from_environment()


def test_gets_at_once_travel_together(service: Callable[[str], str]) -> None:
    url = service("redis")

    async def main() -> None:
        async with BatchingRedis.from_url(url) as client:
            names = [f"test_06_batching:{number}" for number in range(50)]
            await client.mset({name: number for number, name in enumerate(names[:25])})
            before = (await client.info("commandstats")).get("cmdstat_mget", {"calls": 0})
            got = await asyncio.gather(*(client.get(name) for name in names * 2))
            after = (await client.info("commandstats"))["cmdstat_mget"]
            await client.delete(*names)
            known = [str(number).encode() for number in range(25)] + [None] * 25
            assert got == known * 2
            assert after["calls"] - before["calls"] <= 10  # others use the server as well

    asyncio.run(main())


def test_who_gives_up_or_meets_a_dead_server_leaves_nobody_hanging(
    service: Callable[[str], str],
) -> None:
    async def main(url: str) -> None:
        async with BatchingRedis.from_url(url, retry=None) as client:
            await client.ping()
            impatient = asyncio.create_task(client.get("test_06_batching:none"))
            others = [asyncio.create_task(client.get("test_06_batching:none")) for _ in range(3)]
            await asyncio.sleep(0)
            impatient.cancel()
            assert await asyncio.gather(*others) == [None] * 3
            cable.pull()
            failed = await asyncio.gather(
                *(client.get("x") for _ in range(5)), return_exceptions=True
            )
            assert all(isinstance(error, RedisConnectionError) for error in failed)
            cable.plug_in()
            assert await client.get("test_06_batching:none") is None

    with Cable(service("redis")) as cable:
        asyncio.run(main(cable.url))


def test_a_peek_finds_what_is_stored_and_nothing_else(service: Callable[[str], str]) -> None:
    async def main(url: str) -> None:
        redis = connect(url, patience=1.0)
        cache = Cache(redis, "test_06_peek", patience=1.0)
        try:
            assert await cache.peek("a") is None

            async def load() -> list[int]:
                return [1]

            await cache.get_or_load("a", 60, load)
            assert await cache.peek("a") == [1]
            cable.pull()
            assert await cache.peek("a") is None
            assert not await cache.invalidate("a")  # not heard, but remembered:
            cable.plug_in()
            assert await cache.peek("a") is None
            assert await cache.invalidate("b") and await cache.peek("a") is None
            await redis.set("test_06_peek:{a}", b"\xff{no JSON")
            assert await cache.peek("a") is None
        finally:
            await redis.delete("test_06_peek:{a}")
            await redis.aclose()

    with Cable(service("redis")) as cable:
        asyncio.run(main(cable.url))


def test_a_pulled_cable_refuses_and_comes_back_on_its_port(service: Callable[[str], str]) -> None:
    with Cable(service("redis")) as cable:
        port = int(cable.url.rpartition(":")[2].partition("/")[0])

        def answers() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    connection.sendall(b"PING\r\n")
                    return connection.recv(10).startswith(b"+PONG")
            except OSError:
                return False

        assert answers()
        for _ in range(3):
            cable.pull()
            assert not answers()
            cable.plug_in()
            assert answers()


def test_memory_for_events_is_bounded_and_losses_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Broker and database are both away, for longer than the service lives."""
    monkeypatch.setattr(events_module, "FAREWELL", 0.1)
    metrics = Metrics()

    async def main() -> list[str]:
        database = make_async_engine(NOWHERE["postgres"], "nowhere")
        broker = Broker(NOWHERE["rabbitmq"], Topology("nowhere."))
        async with Events(broker, database, metrics) as events:
            said = [events.note(user_id, "redis") for user_id in range(CAPACITY + 3)]
            assert events.waiting == CAPACITY
        await database.dispose()
        return said

    with caplog.at_level(logging.ERROR):
        said = asyncio.run(main())
    assert said.count("") == CAPACITY and said[-3:] == [MEMORY_FULL] * 3
    assert b'events_total{fate="dropped"} 3.0' in metrics.page()
    assert f"{CAPACITY} analytics events lost" in caplog.text


def test_names_stay_apart() -> None:
    one, other = Settings(**NOWHERE), replace(Settings(**NOWHERE), name="other")
    assert one.collection != other.collection and one.cache_prefix != other.cache_prefix
    assert not set(one.topology.queues()) & set(other.topology.queues())
