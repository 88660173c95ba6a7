"""The feature store with a real Redis and RabbitMQ: Feast, the packed values and training agree.

REDIS_URL and RABBITMQ_URL say where they are; without them these tests are skipped. Keys, queues
and Feast's project have names of their own, which are removed at the end.
"""

import asyncio
import json
import os
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aio_pika
import numpy as np
import pandas as pd
import pytest
import redis

from features import route_features, weather_features
from features.vector import as_matrix
from features.views import View, key, unpack, word
from src import feature_eng, materialize, online, packed, preprocess, simulate, store, stream

AT = datetime.fromisoformat("2024-06-20T20:00:00+00:00")
Names = dict[str, str]


def service(variable: str) -> str:
    url = os.environ.get(variable)
    if not url:
        pytest.skip(f"{variable} is not set: start the stack, then `python3 learn.py url ...`")
    return url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the data and the views of 12,000 flights."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("flights")
        patch.setenv("FLIGHTS_HOME", str(folder))
        assert simulate.main(["--flights", "12000"]) == 0
        assert preprocess.main([]) == 0
        assert feature_eng.main([]) == 0
        yield folder


@pytest.fixture(scope="module")
def names() -> Names:
    own = uuid.uuid4().hex[:8]
    return {"project": f"flights_test_{own}", "prefix": f"flights_test_{own}"}


@pytest.fixture(scope="module")
def feast(home: Path, names: Names) -> Any:
    """The one store object that these tests share."""
    return store.open_store(names["project"])


@pytest.fixture(scope="module")
def client(feast: Any, names: Names) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(service("REDIS_URL")) as opened:
        try:
            materialize.materialize(feast, opened, AT, names["prefix"])
            yield opened
        finally:
            packed.remove(opened, names["prefix"])
            feast.teardown()
            assert not list(opened.scan_iter(match=f"*{names['project']}*", count=1000))


@pytest.fixture
def own_prefix(client: redis.Redis) -> Iterator[str]:
    prefix = f"flights_test_{uuid.uuid4().hex[:8]}"
    yield prefix
    packed.remove(client, prefix)


@pytest.fixture
def queues() -> Iterator[str]:
    url, prefix = service("RABBITMQ_URL"), f"flights_test_{uuid.uuid4().hex[:8]}"
    yield prefix
    asyncio.run(delete_queues(url, prefix))


async def delete_queues(url: str, prefix: str) -> None:
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel()
        for name in ("weather", "aircraft", "rejected"):
            await channel.queue_delete(f"{prefix}.{name}")


# Training


def test_the_training_join_equals_feasts_on_a_sample(feast: Any, home: Path) -> None:
    frame = pd.read_parquet(home / "data/processed/features.parquet")
    sample = frame.sample(400, random_state=2).sort_values("flight_id", ignore_index=True)
    asked = sample[["flight_id", "event_timestamp", *feature_eng.FLIGHT, "departure_time"]]
    for join in feature_eng.JOINS:
        view, columns = join.view, list(join.view.columns)
        entities = asked[["flight_id", "event_timestamp"]].assign(**{view.entity: asked[join.by]})
        theirs = feast.get_historical_features(
            entities, [f"{view.name}:{column}" for column in columns]
        ).to_df()
        theirs = theirs.sort_values("flight_id", ignore_index=True)
        assert len(theirs) == len(sample)
        for column in columns:
            ours = sample[join.prefix + column]
            pd.testing.assert_series_equal(theirs[column], ours, check_names=False)


def test_the_on_demand_view_is_the_function_that_the_vector_uses(feast: Any, home: Path) -> None:
    frame = pd.read_parquet(home / "data/processed/features.parquet").sample(50, random_state=3)
    names = ("hour_of_day", "day_of_week", "is_holiday", "is_peak_hour", "season", "clock")
    entities = frame[["flight_id", "event_timestamp", "route", "origin", "departure_time"]]
    got = feast.get_historical_features(
        entities, ["route:volume_7d", *(f"temporal:{name}" for name in names)]
    ).to_df()
    got = got.set_index("flight_id").loc[frame["flight_id"]]
    matrix = as_matrix(feature_eng.columns(frame))
    for name in names:
        np.testing.assert_allclose(got[name], matrix[:, feature_eng.INPUTS.index(name)], rtol=1e-6)


# Online


def test_packed_values_equal_feasts_online_features(
    feast: Any, client: redis.Redis, names: Names
) -> None:
    for view in feature_eng.VIEWS:
        table = materialize.latest(view, AT)
        assert len(table) > 2
        theirs = feast.get_online_features(
            features=[f"{view.name}:{column}" for column in view.columns],
            entity_rows=[{view.entity: entity} for entity in table[view.entity]],
        ).to_dict()
        for place, entity in enumerate(table[view.entity]):
            value = client.get(key(names["prefix"], view, entity))
            ours = plain(view, value)
            assert ours == {c: same(theirs[c][place]) for c in view.columns}, (view.name, entity)


def plain(view: View, value: bytes) -> dict[str, Any]:
    """A packed row as words and numbers; None for NaN."""
    numbers = dict(zip(view.columns, unpack(view, value).values.tolist(), strict=True))
    return {
        column: word(view, column, number) if column in view.categories else same(number)
        for column, number in numbers.items()
    }


def same(value: Any) -> Any:
    """A number in the precision of packed values, None for NaN."""
    if value is None or isinstance(value, str):
        return value
    return None if np.isnan(value) else float(np.float32(value))


def test_the_models_input_online_equals_that_of_training(
    client: redis.Redis, names: Names, home: Path
) -> None:
    raw = pd.read_parquet(home / "data/raw/flights.parquet")
    recent = raw[raw["departure_time"] <= AT].tail(300).reset_index(drop=True)
    labels = feature_eng.labels_from(recent.assign(split="test"))
    labels = labels.assign(event_timestamp=pd.Timestamp(AT), departure_time=pd.Timestamp(AT))
    labels["event_timestamp"] = labels["event_timestamp"].dt.as_unit("us")
    views = {view.name: pd.read_parquet(feature_eng.view_file(view)) for view in feature_eng.VIEWS}
    offline = as_matrix(feature_eng.columns(feature_eng.historical(labels, views)))
    flights = [
        online.Flight(row.route, row.airline, AT, row.aircraft_type, row.tail_number)
        for row in labels.itertuples()
    ]
    read = online.read(client, flights, names["prefix"])
    np.testing.assert_array_equal(as_matrix(read.columns), offline)
    assert any(not read.lacking(row) for row in range(len(flights)))
    assert not read.stale


def test_the_asynchronous_read_is_the_same(client: redis.Redis, names: Names) -> None:
    flights = [
        online.Flight("JFK-LAX", "AA", AT, "A321"),
        online.Flight("SEA-SFO", "AS", AT, "E175"),
    ]

    async def read() -> online.Features:
        async with redis.asyncio.Redis.from_url(service("REDIS_URL")) as own:
            return await online.read_async(own, flights, names["prefix"])

    one, other = asyncio.run(read()), online.read(client, flights, names["prefix"])
    assert one.status == other.status
    for name, values in other.columns.items():
        np.testing.assert_array_equal(one.columns[name], values)


def test_newest_wins_a_correction_replaces_and_twice_does_no_harm(
    client: redis.Redis, own_prefix: str
) -> None:
    view = route_features.VIEW

    def write(hour: int, volume: float) -> int:
        rows = [("JFK-LAX", AT + timedelta(hours=hour), {"volume_7d": volume})]
        return packed.write(client, view, rows, own_prefix)

    def volume() -> float:
        value = client.get(key(own_prefix, view, "JFK-LAX"))
        return float(unpack(view, value).values[view.columns.index("volume_7d")])

    assert (write(0, 1), volume()) == (1, 1)
    assert (write(-1, 2), volume()) == (0, 1)
    assert (write(0, 3), volume()) == (1, 3)
    assert (write(2, 4), volume()) == (1, 4)
    assert (
        online.freshness(client, own_prefix)["route"].as_of == (AT + timedelta(hours=2)).timestamp()
    )


def test_materialising_again_changes_nothing(feast: Any, client: redis.Redis, names: Names) -> None:
    route = route_features.VIEW
    before = client.get(key(names["prefix"], route, "JFK-LAX"))
    done = materialize.materialize(feast, client, AT, names["prefix"])
    after = client.get(key(names["prefix"], route, "JFK-LAX"))
    assert [row.view for row in done] == [view.name for view in feature_eng.VIEWS]
    assert plain(route, before) == plain(route, after)
    earlier = materialize.materialize(feast, client, AT - timedelta(days=3), names["prefix"])
    assert next(row for row in earlier if row.view == "route").taken == 0


def test_freshness_tells_how_long_ago(client: redis.Redis, own_prefix: str) -> None:
    rows = [("JFK", AT, {"temperature": 3.0})]
    packed.write(client, weather_features.VIEW, rows, own_prefix, now=1e9)
    found = online.freshness(client, own_prefix, now=1e9 + 7201)
    assert found["weather"].stale
    assert found["weather"].age == 7201
    assert "never materialised" in materialize.report(client, own_prefix)
    assert "too old" in materialize.report(client, own_prefix)


# The stream


def observation(airport: str, time: datetime, temperature: float) -> bytes:
    row = {"temperature": temperature, "humidity": 50, "wind_speed": 9.5, "visibility": None}
    row |= {"precipitation": 0, "conditions": "clear", "airport": airport}
    return json.dumps({**row, "event_timestamp": time.isoformat()}).encode()


def test_a_message_reaches_feast_and_the_packed_values(
    feast: Any, client: redis.Redis, names: Names, queues: str
) -> None:
    url, view = service("RABBITMQ_URL"), weather_features.VIEW
    sent = [
        (view, observation("JFK", AT + timedelta(hours=1), -7.5)),
        (view, observation("JFK", AT - timedelta(hours=5), 30.0)),  # late: changes nothing
        (view, observation("JFK", AT + timedelta(hours=1), -7.5)),  # repeated: neither
    ]
    assert asyncio.run(stream.send(url, sent, queues)) == 3
    sink = stream.Sink(feast, client, names["prefix"])
    counts = asyncio.run(stream.consume(url, sink.take, queues, idle=1.0))
    assert counts == {"weather": 3}
    ours = plain(view, client.get(key(names["prefix"], view, "JFK")))
    theirs = feast.get_online_features(
        features=[f"weather:{column}" for column in view.columns], entity_rows=[{"airport": "JFK"}]
    ).to_dict()
    assert ours == {column: same(theirs[column][0]) for column in view.columns}
    assert ours["temperature"] == -7.5
    assert ours["visibility"] is None


def test_what_cannot_be_used_is_put_aside_with_the_reason(queues: str) -> None:
    url, view, taken = service("RABBITMQ_URL"), weather_features.VIEW, []
    good = json.loads(observation("JFK", AT, 1.0))
    bad = {
        "no JSON": b"{",
        "must be an object with": json.dumps({"airport": "JFK"}).encode(),
        "airport must be text": json.dumps({**good, "airport": 7}).encode(),
        "needs a zone": json.dumps({**good, "event_timestamp": "2024-06-20T20:00"}).encode(),
        "must be a time": json.dumps({**good, "event_timestamp": 5}).encode(),
        "temperature must be a number": json.dumps({**good, "temperature": "hot"}).encode(),
        "humidity must be a number": json.dumps({**good, "humidity": float("nan")}).encode(),
        "conditions must be one of": json.dumps({**good, "conditions": "hail"}).encode(),
    }
    rows = [(view, body) for body in bad.values()] + [(view, json.dumps(good).encode())]
    asyncio.run(stream.send(url, rows, queues))
    handle = lambda view, row: taken.append(row)  # noqa: E731
    counts = asyncio.run(stream.consume(url, handle, queues, idle=1.0))
    assert counts == {"rejected": len(bad), "weather": 1}
    aside = asyncio.run(drain(url, f"{queues}.rejected"))
    assert [body for body, _ in aside] == list(bad.values())
    for (_, reason), says in zip(aside, bad, strict=True):
        assert says in reason
    assert taken[0]["airport"] == "JFK"


async def drain(url: str, queue: str) -> list[tuple[bytes, str]]:
    found = []
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel()
        waiting = await channel.declare_queue(queue, durable=True)
        while (message := await waiting.get(fail=False)) is not None:
            found.append((message.body, str(message.headers["reason"])))
            await message.ack()
    return found


def test_a_consumer_that_fails_loses_no_message(queues: str) -> None:
    url, view = service("RABBITMQ_URL"), weather_features.VIEW
    rows = [(view, observation("JFK", AT, float(number))) for number in range(10)]
    asyncio.run(stream.send(url, rows, queues))
    seen: list[float] = []

    def breaks(_: View, row: dict[str, Any]) -> None:
        if len(seen) == 4:
            raise redis.ConnectionError("gone")
        seen.append(row["temperature"])

    with pytest.raises(redis.ConnectionError, match="gone"):
        asyncio.run(stream.consume(url, breaks, queues, idle=5.0))
    handle = lambda view, row: seen.append(row["temperature"])  # noqa: E731
    asyncio.run(stream.consume(url, handle, queues, idle=2.0))
    assert set(seen) == set(map(float, range(10)))


def test_the_histories_replay_as_messages_that_parse(home: Path) -> None:
    rows = stream.seen(AT - timedelta(hours=3), AT)
    assert {view.name for view, _ in rows} == {"weather", "aircraft"}
    for view, body in rows:
        assert set(stream.parse(view, body)) == {
            view.entity, "event_timestamp", "created", *view.columns,
        }  # fmt: skip


# Settings


def test_a_redis_url_becomes_feasts_address() -> None:
    assert store.feast_redis("redis://127.0.0.1:6379/2") == "127.0.0.1:6379,db=2"
    assert store.feast_redis("redis://me:p%40ss@h/0") == 'h:6379,db=0,username=me,password="p@ss"'
    assert store.feast_redis("rediss://h:1/0") == "h:1,db=0,ssl=true"
    with pytest.raises(store.StoreError, match="REDIS_URL must look like"):
        store.feast_redis("http://somewhere")


def test_without_views_the_store_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    with pytest.raises(store.StoreError, match=r"python src/feature_eng\.py"):
        store.open_store()
