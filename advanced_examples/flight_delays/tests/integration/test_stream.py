"""Streamed features through a real RabbitMQ: nothing is lost, and what is bad is put aside."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis
from api_kit import wait_until
from store_kit import AT, drain, inbound, observation, plain, same, waiting

from features import aircraft_features, weather_features
from features.views import View, key, unpack
from src import stream
from src.paths import PROJECT


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(home))


def test_a_message_reaches_feast_and_the_packed_values(
    feast: Any, client: redis.Redis, shared: str, queues: str, rabbitmq_at: str
) -> None:
    url, view = rabbitmq_at, weather_features.VIEW
    sent = [
        (view, observation("JFK", AT + timedelta(hours=1), -7.5)),
        (view, observation("JFK", AT - timedelta(hours=5), 30.0)),  # late: changes nothing
        (view, observation("JFK", AT + timedelta(hours=1), -7.5)),  # repeated: neither
    ]
    assert asyncio.run(stream.send(url, sent, queues)) == 3
    sink = stream.Sink(feast, client, shared)
    counts = asyncio.run(stream.consume(url, sink.take, queues, idle=1.0))
    assert counts == {"weather": 3}
    ours = plain(view, client.get(key(shared, view, "JFK")))
    theirs = feast.get_online_features(
        features=[f"weather:{column}" for column in view.columns], entity_rows=[{"airport": "JFK"}]
    ).to_dict()
    assert ours == {column: same(theirs[column][0]) for column in view.columns}
    assert ours["temperature"] == -7.5
    assert ours["visibility"] is None


def test_what_cannot_be_used_is_put_aside_with_the_reason(queues: str, rabbitmq_at: str) -> None:
    url, view, taken = rabbitmq_at, weather_features.VIEW, []
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


def test_a_consumer_that_fails_loses_no_message(queues: str, rabbitmq_at: str) -> None:
    url, view = rabbitmq_at, weather_features.VIEW
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


KILLED_AT = 120  # messages: enough that the consumer is in the midst of them


def test_a_killed_consumer_loses_nothing_and_doubles_nothing(
    home: Path, queues: str, own_prefix: str, redis_at: str, rabbitmq_at: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """kill -9 between storing and confirming is the worst moment: the message comes once more."""
    view, tails = aircraft_features.VIEW, [f"N{number:03}" for number in range(KILLED_AT)]
    rows = [(view, inbound(tail, AT, float(place))) for place, tail in enumerate(tails)]
    asyncio.run(stream.send(rabbitmq_at, rows, queues))
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", own_prefix)
    with redis.Redis.from_url(redis_at) as client:
        consumer = subprocess.Popen(
            [sys.executable, "src/stream.py", "--queues", queues], cwd=PROJECT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            wait_until(lambda: client.exists(key(own_prefix, view, tails[3])) == 1, 90)
        finally:
            consumer.kill()
            said, _ = consumer.communicate()
        assert consumer.returncode == -signal.SIGKILL, said
        wait_until(lambda: asyncio.run(waiting(rabbitmq_at, f"{queues}.aircraft"))[1] == 0, 30)
        left, _ = asyncio.run(waiting(rabbitmq_at, f"{queues}.aircraft"))
        assert 0 < left <= KILLED_AT - 3
        # Meanwhile one aircraft has news, which the messages that come back must not undo.
        newer = inbound(tails[-1], AT + timedelta(minutes=5), 99.0)
        asyncio.run(stream.send(rabbitmq_at, [(view, newer)], queues))
        assert stream.main(["--queues", queues, "--idle", "2"]) == 0
        assert capsys.readouterr().out.strip() == f"{left + 1} aircraft"
        stored = client.mget([key(own_prefix, view, tail) for tail in tails])
        minutes = [unpack(view, value).values[0] for value in stored]
        assert minutes == [*map(float, range(KILLED_AT - 1)), 99.0]
        ours = set(client.scan_iter(match=f"{own_prefix}:*", count=1000))
        assert len(ours) == KILLED_AT + 1  # and when the view was written
        feasts = set(client.scan_iter(match=f"*{own_prefix}*", count=1000)) - ours
        assert len(feasts) == KILLED_AT
    for name in ("aircraft", "weather", "rejected"):
        assert asyncio.run(waiting(rabbitmq_at, f"{queues}.{name}"))[0] == 0


def test_the_command_sends_some_hours_and_takes_them(
    home: Path, queues: str, own_prefix: str, redis_at: str, rabbitmq_at: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", own_prefix)
    sent = stream.seen(AT - timedelta(hours=6), AT)
    assert stream.main(["--send", "2024-06-20T14:00", "--hours", "6", "--queues", queues]) == 0
    assert f"{len(sent)} messages sent, up to 2024-06-20 20:00" in capsys.readouterr().out
    assert stream.main(["--queues", queues, "--idle", "1"]) == 0
    counts = Counter(view.name for view, _ in sent)
    assert counts["weather"] == 6 * 20 and counts["aircraft"] > 3
    told = f"{counts['aircraft']} aircraft, {counts['weather']} weather"
    assert capsys.readouterr().out.strip() == told
    assert stream.main(["--queues", queues, "--idle", "0.2"]) == 0
    assert capsys.readouterr().out.strip() == "nothing"
    view = weather_features.VIEW
    table = pd.read_parquet(home / "data/processed/views/weather.parquet")
    row = table[(table["airport"] == "JFK") & (table["event_timestamp"] == AT)].iloc[0]
    with redis.Redis.from_url(redis_at) as client:
        stored = plain(view, client.get(key(own_prefix, view, "JFK")))
    assert stored == {column: same(row[column]) for column in view.columns}


@pytest.mark.parametrize(
    ("setting", "value", "code", "says"),
    [
        ("RABBITMQ_URL", "amqp://127.0.0.1:9/", 69, "RabbitMQ or Redis can't be used"),
        ("REDIS_URL", "redis://127.0.0.1:9/0", 69, "RabbitMQ or Redis can't be used"),
        ("REDIS_URL", "http://somewhere", 1, "REDIS_URL must look like redis://"),
        ("FLIGHTS_HOME", "nowhere", 1, "python src/feature_eng.py"),
    ],
)
def test_what_is_missing_is_said(
    setting: str, value: str, code: int, says: str, queues: str, own_prefix: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", own_prefix)
    monkeypatch.setenv(setting, value)
    assert stream.main(["--queues", queues, "--idle", "0.2"]) == code
    assert says in capsys.readouterr().err


def test_the_histories_replay_as_messages_that_parse(home: Path) -> None:
    rows = stream.seen(AT - timedelta(hours=3), AT)
    assert {view.name for view, _ in rows} == {"weather", "aircraft"}
    for view, body in rows:
        assert set(stream.parse(view, body)) == {
            view.entity, "event_timestamp", "created", *view.columns,
        }  # fmt: skip
