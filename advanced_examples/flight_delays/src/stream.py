"""Streamed features: from RabbitMQ into Feast's push sources and the packed values.

    python src/stream.py                                     take messages until Ctrl-C
    python src/stream.py --idle 5                            stop when none came for 5 seconds
    python src/stream.py --send 2024-12-30T12:00 --hours 1   send what was seen in that hour

Messages are JSON, one row of a view, in the queues `flights.weather` and `flights.aircraft`. One
is confirmed only after it is stored, so that none is lost; a repeated or late one changes nothing.
What can't be used goes to `flights.rejected` with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import aio_pika
import pandas as pd
import redis
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel

from features import aircraft_features, weather_features
from features.views import View
from src import packed
from src.ending import asked_to_end
from src.feature_eng import view_file
from src.materialize import moment, seconds, write_packed
from src.store import StoreError, key_prefix, open_store, rabbitmq_url, redis_url

if TYPE_CHECKING:
    from feast import FeatureStore

STREAMED: tuple[View, ...] = (weather_features.VIEW, aircraft_features.VIEW)
QUEUES = "flights"
Handle = Callable[[View, dict[str, Any]], None]


class BadMessageError(Exception):
    """A message that can't be used; the text is the reason."""


class Sink(NamedTuple):
    """Where rows go: Feast's store and Redis, with the prefix of the packed keys."""

    store: FeatureStore
    client: redis.Redis
    prefix: str = packed.PREFIX

    def take(self, view: View, row: dict[str, Any]) -> None:
        """Store one row, in Feast online and packed."""
        from feast.data_source import PushMode

        from feature_repo.definitions import push_name

        table = pd.DataFrame([row])
        # Only online: Feast appends to a parquet file by writing all of it anew.
        self.store.push(push_name(view.name), table, to=PushMode.ONLINE)
        write_packed(self.client, view, table, self.prefix)


def parse(view: View, body: bytes) -> dict[str, Any]:
    """The row in a message.

    Raises:
        BadMessageError: no JSON, a column missing or unknown, or a value that can't be.
    """
    try:
        row = json.loads(body)
    except ValueError as error:
        raise BadMessageError(f"no JSON: {error}") from None
    wanted = {view.entity, "event_timestamp", *view.columns}
    if not isinstance(row, dict) or set(row) - {"created"} != wanted:
        raise BadMessageError(f"must be an object with {', '.join(sorted(wanted))}")
    entity = row[view.entity]
    if not isinstance(entity, str) or not entity:
        raise BadMessageError(f"{view.entity} must be text")
    event_time = instant(row["event_timestamp"], "event_timestamp")
    created = instant(row["created"], "created") if "created" in row else event_time
    features = {column: value(view, column, row[column]) for column in view.columns}
    return {view.entity: entity, "event_timestamp": event_time, "created": created, **features}


def instant(text: Any, name: str) -> pd.Timestamp:
    """A time with its zone, in microseconds.

    Raises:
        BadMessageError: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise BadMessageError(f"{name} must be a time, not {text!r}") from None
    if time.tzinfo is None:
        raise BadMessageError(f"{name} needs a zone, such as +00:00")
    return pd.Timestamp(time).tz_convert("UTC").as_unit("us")


def value(view: View, column: str, given: Any) -> Any:
    """A feature from a message, None becoming NaN.

    Raises:
        BadMessageError: neither a finite number nor one of the column's words.
    """
    words = view.categories.get(column)
    if words is not None:
        if given not in words:
            raise BadMessageError(f"{column} must be one of {', '.join(words)}, not {given!r}")
        return given
    if given is None:
        return float("nan")
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not abs(given) < 1e6:
        raise BadMessageError(f"{column} must be a number, not {given!r}")
    return float(given)


def message(view: View, row: Mapping[str, Any]) -> bytes:
    """A row of a view as the JSON that `parse` reads."""
    plain = {name: row[name] for name in (view.entity, *view.columns)}
    plain = {name: None if pd.isna(given) else given for name, given in plain.items()}
    times = {name: row[name].isoformat() for name in ("event_timestamp", "created")}
    return json.dumps({**plain, **times}).encode()


async def declare(channel: AbstractRobustChannel, queues: str) -> None:
    """Declare all queues, durable; the same wherever it is called."""
    for name in (*(view.name for view in STREAMED), "rejected"):
        await channel.declare_queue(f"{queues}.{name}", durable=True)


async def send(url: str, rows: Sequence[tuple[View, bytes]], queues: str = QUEUES) -> int:
    """Publish messages, each confirmed by the broker; returns how many."""
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await declare(channel, queues)
        for view, body in rows:
            await channel.default_exchange.publish(
                aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT),
                routing_key=f"{queues}.{view.name}",
            )
    return len(rows)


async def consume(
    url: str,
    handle: Handle,
    queues: str = QUEUES,
    stop: asyncio.Event | None = None,
    idle: float | None = None,
) -> Counter[str]:
    """Take messages until `stop` is set or none came for `idle` seconds; counts what it did.

    A failure of `handle` (Redis away, say) ends it; the message stays with the broker.
    """
    counts: Counter[str] = Counter()
    stop = stop or asyncio.Event()
    waiting: asyncio.Queue[tuple[View, AbstractIncomingMessage]] = asyncio.Queue()
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.set_qos(prefetch_count=50)
        await declare(channel, queues)
        for view in STREAMED:
            queue = await channel.get_queue(f"{queues}.{view.name}")

            async def put(incoming: AbstractIncomingMessage, view: View = view) -> None:
                await waiting.put((view, incoming))

            await queue.consume(put)
        while (taken := await next_one(waiting, stop, idle)) is not None:
            view, incoming = taken
            try:
                row = parse(view, incoming.body)
            except BadMessageError as reason:
                counts["rejected"] += 1
                await reject(channel, incoming, f"{queues}.rejected", str(reason))
            else:
                await asyncio.to_thread(handle, view, row)
                counts[view.name] += 1
            await incoming.ack()
    return counts


async def next_one(
    waiting: asyncio.Queue[tuple[View, AbstractIncomingMessage]],
    stop: asyncio.Event,
    idle: float | None,
) -> tuple[View, AbstractIncomingMessage] | None:
    """The next message; None when told to stop or after `idle` seconds without one."""
    get, end = asyncio.ensure_future(waiting.get()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({get, end}, timeout=idle, return_when=asyncio.FIRST_COMPLETED)
        return get.result() if get.done() and not stop.is_set() else None
    finally:
        get.cancel()
        end.cancel()


async def reject(
    channel: AbstractRobustChannel, incoming: AbstractIncomingMessage, queue: str, reason: str
) -> None:
    """Put a message aside, unchanged, with the reason; confirmed before it is taken off."""
    await channel.default_exchange.publish(
        aio_pika.Message(
            incoming.body,
            headers={"reason": reason, "queue": incoming.routing_key or ""},
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        ),
        routing_key=queue,
    )


def seen(since: datetime, until: datetime) -> list[tuple[View, bytes]]:
    """The messages of what the views' histories hold after `since`, up to `until`, in order."""
    rows = []
    for view in STREAMED:
        table = pd.read_parquet(view_file(view))
        times = table["event_timestamp"]
        part = table[(times > pd.Timestamp(since)) & (times <= pd.Timestamp(until))]
        rows += [
            (row["event_timestamp"], view, message(view, row)) for row in part.to_dict("records")
        ]
    rows.sort(key=lambda row: row[0])
    return [(view, body) for _, view, body in rows]


async def run(queues: str, idle: float | None) -> Counter[str]:
    """Consume with the project's store until Ctrl-C, SIGTERM or `idle`."""
    stop = asked_to_end()  # before the store opens, which takes seconds
    with redis.Redis.from_url(redis_url()) as client:
        client.ping()
        sink = Sink(open_store(), client, key_prefix())
        return await consume(rabbitmq_url(), sink.take, queues, stop, idle)


def main(argv: list[str] | None = None) -> int:
    """Send or take messages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idle", type=seconds, help="stop after so many seconds without a message")
    parser.add_argument("--send", type=moment, metavar="TIME", help="send what was seen from then")
    parser.add_argument("--hours", type=float, default=1.0, help="for how long (with --send)")
    parser.add_argument("--queues", default=QUEUES, help="how their names begin (%(default)s)")
    wanted = parser.parse_args(argv)
    try:
        if wanted.send:
            until = wanted.send + timedelta(hours=wanted.hours)
            count = asyncio.run(send(rabbitmq_url(), seen(wanted.send, until), wanted.queues))
            print(f"{count:,} messages sent, up to {until.astimezone(UTC):%Y-%m-%d %H:%M}")
        else:
            counts = asyncio.run(run(wanted.queues, wanted.idle))
            print(", ".join(f"{n:,} {name}" for name, n in sorted(counts.items())) or "nothing")
    except (StoreError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, aio_pika.exceptions.AMQPError, redis.RedisError) as error:
        print(f"RabbitMQ or Redis can't be used: {error}", file=sys.stderr)
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
