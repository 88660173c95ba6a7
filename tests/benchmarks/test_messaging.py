"""Consuming with an effect that happens once, beside the fastest that pika can consume.

The peer takes each message and acknowledges it, and does nothing with it. Ours reads the event,
claims its id, adds points to a table and commits, up to a hundred messages a transaction, and
acknowledges after the commit. Both read the same messages from the same quorum queue, in turn.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from psycopg2.extensions import connection as Connection  # noqa: N812
from shop_profile import inbox, workers
from shop_profile.consuming import BATCH, Message, consume_batches
from shop_profile.crew import until
from shop_profile.messages import Event, Topology, open_channel, properties
from shop_profile.rabbit_kit import queues, waiting

from course import connect
from course.measure import seconds
from course.workspace import own_schema

SCHEMA = "bench_messaging"
GROUP = Topology("bench_messaging.", "points")
MESSAGES, USERS, ROUNDS, PREFETCH = 10_000, 500, 5, 100
EVENTS = [
    Event("user.created", user % USERS, {"email": "a@example.com"}) for user in range(MESSAGES)
]


@pytest.fixture
def database(service: Callable[[str], str]) -> Iterator[Connection]:
    service("postgres")
    service("rabbitmq")
    with own_schema(SCHEMA, workers.TABLES), closing(workers.open_database(SCHEMA)) as database:
        yield database


def fill(channel: BlockingChannel) -> None:
    """Put all events into the queue; without confirms, which are not what is measured."""
    for event in EVENTS:
        wire = pika.BasicProperties(**properties(event))
        channel.basic_publish(GROUP.exchange, event.type, event.to_json(), wire)
    until(lambda: waiting(channel, GROUP.work) == MESSAGES)


def raw(channel: BlockingChannel) -> None:
    """Consume and acknowledge every message."""
    channel.basic_qos(prefetch_count=PREFETCH)
    for number, (method, _, _) in enumerate(channel.consume(GROUP.work), start=1):
        channel.basic_ack(method.delivery_tag)
        if number == MESSAGES:
            break
    waiting(channel, GROUP.work)  # the answer comes after the acks


def once_each(channel: BlockingChannel, database: Connection) -> None:
    """Consume with the inbox and the points in one transaction a batch."""
    done = 0

    def handle(messages: Sequence[Message]) -> None:
        nonlocal done
        with database, database.cursor() as cursor:
            fresh = inbox.claim(cursor, "points", messages)
            users = [message.event.user_id for message in fresh]
            cursor.execute(workers.REWARD, (workers.BONUS, users))
        done += len(messages)

    consume_batches(channel, GROUP, handle, BATCH, stop=lambda: done >= MESSAGES)
    waiting(channel, GROUP.work)


def speed(way: str, connection: pika.BlockingConnection, database: Connection) -> float:
    """Messages a second, from a full queue and empty tables."""
    with database, database.cursor() as cursor:
        cursor.execute("TRUNCATE points, processed_events")
    if way == "raw":
        with connection.channel() as channel:
            fill(channel)
            return MESSAGES / seconds(lambda: raw(channel))
    with open_channel(connection, prefetch=2 * BATCH) as channel:
        fill(connection.channel())
        result = MESSAGES / seconds(lambda: once_each(channel, database))
    with database, database.cursor() as cursor:
        cursor.execute("SELECT sum(points), max(points) FROM points")
        assert cursor.fetchone() == (workers.BONUS * MESSAGES, workers.BONUS * MESSAGES / USERS)
    return result


def test_consuming_once_each_beside_raw_consuming(
    measured: Callable[..., None], database: Connection
) -> None:
    speeds: dict[str, list[float]] = {"raw": [], "once each": []}
    with queues(GROUP), connect.rabbitmq() as connection:
        for number in range(ROUNDS):
            for way in sorted(speeds, reverse=bool(number % 2)):
                speeds[way].append(speed(way, connection, database))
    medians = {way: statistics.median(every) for way, every in speeds.items()}
    says = ", ".join(f"{way} {median:,.0f}" for way, median in medians.items()) + " messages/s"
    ratio = medians["once each"] / medians["raw"]
    measured("consume once each over raw pika consume", ratio, 0.6, "higher", says)
