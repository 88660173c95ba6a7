"""Messages, topology, retries, dead letters, inbox and outbox of the package, on a real broker."""

import asyncio
import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import aio_pika
import pika
import psycopg2
import pytest
from aio_pika.exceptions import PublishError
from hypothesis import given
from hypothesis import strategies as st
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, UnroutableError
from psycopg2.extensions import connection as Connection  # noqa: N812
from shop_profile import inbox, outbox, workers
from shop_profile.consuming import Message, TryLater, consume_batches, dead_letters, replay
from shop_profile.crew import until
from shop_profile.messages import (
    BadMessage,
    Event,
    Topology,
    declare,
    declare_async,
    open_channel,
    publish,
    publish_async,
    remove,
)
from shop_profile.rabbit_kit import waiting

from course.workspace import own_schema

SCHEMA = "test_04_messages"
IDLE = 0.3  # seconds; longer than the delays below
plain = st.text(max_size=5) | st.integers() | st.booleans() | st.none()
FIXED = {"type", "user_id", "event_id", "occurred_at"}
events = st.builds(
    Event,
    type=st.text(min_size=1, max_size=20),
    user_id=st.integers(),
    data=st.dictionaries(st.text(max_size=5).filter(lambda key: key not in FIXED), plain),
    event_id=st.uuids().map(str),
    occurred_at=st.datetimes(timezones=st.just(UTC)),
)
GOOD = json.loads(Event("user.created", 1).to_json())


@pytest.fixture
def connection(service: Callable[[str], str]) -> Iterator[pika.BlockingConnection]:
    with pika.BlockingConnection(pika.URLParameters(service("rabbitmq"))) as connection:
        yield connection


@pytest.fixture
def topology(connection: pika.BlockingConnection) -> Iterator[Topology]:
    """Queues of the test's own, declared."""
    topology = Topology(f"test.{uuid.uuid4().hex}.", delays=(0.05, 0.1), delivery_limit=2)
    declare(connection.channel(), topology)
    yield topology
    remove(connection.channel(), topology)


@pytest.fixture
def channel(connection: pika.BlockingConnection, topology: Topology) -> BlockingChannel:
    return open_channel(connection, prefetch=20)


@pytest.fixture
def database(service: Callable[[str], str]) -> Iterator[Connection]:
    service("postgres")
    with own_schema(SCHEMA, workers.TABLES), closing(workers.open_database(SCHEMA)) as connection:
        yield connection


def publish_users(channel: BlockingChannel, topology: Topology, *users: int) -> list[Event]:
    sent = [Event("user.created", user) for user in users]
    for event in sent:
        publish(channel, topology.exchange, event)
    return sent


@given(events)
def test_an_event_survives_the_wire(event: Event) -> None:
    assert Event.from_json(event.to_json()) == event


def test_the_wire_format_is_flat() -> None:
    at = datetime(2025, 10, 26, 9, tzinfo=UTC)
    key = "6f1c2a34-0000-4000-8000-000000000000"
    event = Event("user.created", 123, {"email": "anna@example.com"}, key, at)
    assert json.loads(event.to_json()) == {
        "type": "user.created",
        "user_id": 123,
        "email": "anna@example.com",
        "event_id": key,
        "occurred_at": "2025-10-26T09:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not an event"),
        (b"{", "not an event"),
        (b"\xff", "not an event"),
        (b"[]", "not an event"),
        (b"7", "not an event"),
        (b"null", "not an event"),
        (json.dumps({**GOOD, "event_id": "7"}), "not an event"),
        (json.dumps({**GOOD, "event_id": None}), "not an event"),
        (json.dumps({**GOOD, "occurred_at": "yesterday"}), "not an event"),
        (json.dumps({**GOOD, "occurred_at": "2025-10-26T09:00:00"}), "time zone"),
        (json.dumps({**GOOD, "user_id": "1"}), "whole number"),
        (json.dumps({**GOOD, "user_id": True}), "whole number"),
        (json.dumps({**GOOD, "type": ""}), "type must be text"),
        (json.dumps({key: GOOD[key] for key in GOOD if key != "user_id"}), "'user_id' is missing"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason(body: bytes | str, says: str) -> None:
    with pytest.raises(BadMessage, match=says):
        Event.from_json(body)


@given(st.binary(max_size=50) | st.text(max_size=50))
def test_no_body_raises_anything_else(body: bytes | str) -> None:
    with pytest.raises(BadMessage):
        Event.from_json(body)


def test_declaring_twice_is_harmless_and_other_arguments_are_refused(
    connection: pika.BlockingConnection, topology: Topology
) -> None:
    declare(connection.channel(), topology)
    other = Topology(topology.prefix, delays=topology.delays, delivery_limit=3)
    with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        declare(connection.channel(), other)


def test_an_event_that_no_queue_wants_is_returned(
    channel: BlockingChannel, topology: Topology
) -> None:
    with pytest.raises(UnroutableError):
        publish(channel, topology.exchange, Event("order.created", 1))


def test_both_libraries_declare_and_publish_the_same(
    service: Callable[[str], str], channel: BlockingChannel, topology: Topology
) -> None:
    async def publish_many() -> None:
        async with await aio_pika.connect(service("rabbitmq")) as connection:
            exchange = await declare_async(
                await connection.channel(on_return_raises=True), topology
            )
            sending = (publish_async(exchange, Event("user.seen", user)) for user in range(50))
            await asyncio.gather(*sending)
            with pytest.raises(PublishError):
                await publish_async(exchange, Event("order.created", 1))

    asyncio.run(publish_many())
    publish_users(channel, topology, 50)
    wires = [channel.basic_get(topology.work, auto_ack=True)[1] for _ in range(51)]
    assert {wire.delivery_mode for wire in wires} == {2}
    assert {wire.headers["attempt"] for wire in wires} == {1}
    assert {wire.content_type for wire in wires} == {"application/json"}
    assert len({wire.message_id for wire in wires}) == 51


def test_batches_are_acknowledged_after_they_were_handled(
    channel: BlockingChannel, topology: Topology
) -> None:
    sent = publish_users(channel, topology, *range(50))
    sizes, handled = [], []

    def handle(messages: list[Message]) -> None:
        sizes.append(len(messages))
        handled.extend(message.event for message in messages)

    assert consume_batches(channel, topology, handle, batch=10, idle=IDLE) == 50
    assert handled == sent
    assert max(sizes) == 10
    assert waiting(channel, topology.work) == 0


def test_one_bad_message_spoils_nothing_and_waits_longer_each_time(
    channel: BlockingChannel, topology: Topology, connection: pika.BlockingConnection
) -> None:
    publish_users(channel, topology, *range(10))
    done, failed = [], []

    def handle(messages: list[Message]) -> None:
        for message in messages:
            if message.event.user_id == 3 or (message.event.user_id == 4 and message.attempt < 3):
                failed.append((message.event.user_id, message.attempt))
                raise ValueError("no room")
        done.extend(message.event.user_id for message in messages)

    consume_batches(channel, topology, handle, idle=IDLE)
    assert sorted(done) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert {attempt for user, attempt in failed if user == 3} == {1, 2, 3}
    (letter,) = dead_letters(connection, topology)
    assert (letter.attempt, letter.reason) == (3, "ValueError: no room")
    until(lambda: waiting(channel, topology.dead) == 1)


def test_what_cannot_be_read_is_buried_at_once_and_stays_dead_when_replayed(
    channel: BlockingChannel, topology: Topology, connection: pika.BlockingConnection
) -> None:
    channel.basic_publish("", topology.work, b"{nonsense", mandatory=True)
    publish_users(channel, topology, 1)
    done: list[int] = []
    for again in (False, True):
        if again:
            until(lambda: replay(channel, topology) == 1)
        consume_batches(channel, topology, lambda m: done.append(len(m)), idle=IDLE)
        (letter,) = dead_letters(connection, topology)
        assert letter.body == b"{nonsense" and letter.reason.startswith("BadMessage")
    assert done == [1]


@pytest.mark.parametrize("header", [None, "two", -5, 0, True])
def test_an_attempt_header_that_makes_no_sense_counts_as_the_first(
    channel: BlockingChannel, topology: Topology, header: object
) -> None:
    wire = pika.BasicProperties(headers={} if header is None else {"attempt": header})
    channel.basic_publish("", topology.work, Event("user.created", 1).to_json(), wire)
    attempts: list[int] = []
    consume_batches(channel, topology, lambda m: attempts.append(m[0].attempt), idle=IDLE)
    assert attempts == [1]


def test_a_replayed_message_begins_again(
    channel: BlockingChannel, topology: Topology, connection: pika.BlockingConnection
) -> None:
    publish_users(channel, topology, 1, 2)
    attempts: Counter[int] = Counter()
    mended = False

    def handle(messages: list[Message]) -> None:
        attempts.update(message.attempt for message in messages)
        if not mended:
            raise ValueError("broken")

    consume_batches(channel, topology, handle, batch=1, idle=IDLE)
    assert attempts == {1: 2, 2: 2, 3: 2}
    mended = True
    assert replay(channel, topology, limit=1) == 1
    consume_batches(channel, topology, handle, batch=1, idle=IDLE)
    assert attempts == {1: 3, 2: 2, 3: 2}
    assert waiting(channel, topology.dead) == 1


def test_try_later_gives_everything_back_without_an_attempt(
    channel: BlockingChannel, topology: Topology, connection: pika.BlockingConnection
) -> None:
    publish_users(channel, topology, *range(5))

    def broken(_messages: list[Message]) -> None:
        raise TryLater("the database is away")

    with pytest.raises(TryLater):
        consume_batches(channel, topology, broken, idle=IDLE)
    channel.close()
    handled: list[tuple[int, int]] = []
    again = open_channel(connection)

    def handle(messages: list[Message]) -> None:
        handled.extend((message.event.user_id, message.attempt) for message in messages)

    until(lambda: waiting(again, topology.work) == 5)
    consume_batches(again, topology, handle, idle=IDLE)
    assert handled == [(user, 1) for user in range(5)]


def test_stop_finishes_the_batch_and_leaves_the_rest(
    channel: BlockingChannel, topology: Topology
) -> None:
    publish_users(channel, topology, *range(10))
    handled: list[int] = []
    settled = consume_batches(
        channel, topology, lambda m: handled.append(len(m)), batch=4, stop=lambda: bool(handled)
    )
    assert settled == sum(handled)
    until(lambda: waiting(channel, topology.work) == 10 - settled)


def in_a_message(event: Event) -> Message:
    return Message(event, attempt=1, tag=0)


def test_the_inbox_lets_each_id_through_once(database: Connection) -> None:
    first, second = (in_a_message(Event("user.created", user)) for user in (1, 2))
    with database, database.cursor() as cursor:
        assert inbox.claim(cursor, "a", [second, first, second]) == [second, first]
        assert inbox.claim(cursor, "a", [first]) == []
        assert inbox.claim(cursor, "another", [first]) == [first]
        assert inbox.claim(cursor, "a", []) == []


def test_a_rolled_back_claim_was_never_made(database: Connection) -> None:
    message = in_a_message(Event("user.created", 1))
    for _ in range(2):
        with database.cursor() as cursor:
            assert inbox.claim(cursor, "a", [message]) == [message]
        database.rollback()


def test_two_consumers_with_the_same_duplicates_never_deadlock(database: Connection) -> None:
    messages = [in_a_message(Event("user.created", user)) for user in range(300)]
    claimed: list[Message] = []

    def work(order: list[Message]) -> None:
        with closing(workers.open_database(SCHEMA)) as own, own, own.cursor() as cursor:
            claimed.extend(inbox.claim(cursor, "a", order))

    for _ in range(5):
        threads = [
            threading.Thread(target=work, args=(order,)) for order in (messages, messages[::-1])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(id(message) for message in claimed) == {id(m): 1 for m in messages}
        claimed.clear()
        with database, database.cursor() as cursor:
            cursor.execute("TRUNCATE processed_events")


def test_the_outbox_publishes_what_is_committed_and_only_that(
    database: Connection, channel: BlockingChannel, topology: Topology
) -> None:
    kept, dropped = Event("user.created", 1), Event("user.created", 2)
    with database, database.cursor() as cursor:
        outbox.add(cursor, kept)
    with database.cursor() as cursor:
        outbox.add(cursor, dropped)
    database.rollback()
    assert outbox.relay(database, channel, topology.exchange) == 1
    assert outbox.relay(database, channel, topology.exchange) == 0
    body = channel.basic_get(topology.work, auto_ack=True)[2]
    assert Event.from_json(body) == kept


def test_the_outbox_keeps_what_could_not_be_published(
    database: Connection, channel: BlockingChannel, topology: Topology
) -> None:
    with database, database.cursor() as cursor:
        outbox.add(cursor, Event("order.created", 1))
    with pytest.raises(UnroutableError):
        outbox.relay(database, channel, topology.exchange)
    channel.queue_bind(topology.work, topology.exchange, "order.#")
    assert outbox.relay(database, channel, topology.exchange) == 1


def test_two_relays_never_publish_the_same_event(
    database: Connection, channel: BlockingChannel, topology: Topology
) -> None:
    with database, database.cursor() as cursor:
        for user in range(4):
            outbox.add(cursor, Event("user.created", user))
    with closing(workers.open_database(SCHEMA)) as other, other.cursor() as cursor:
        cursor.execute(outbox.WAITING, (2,))  # as a relay that is at work
        assert outbox.relay(database, channel, topology.exchange) == 2
        other.rollback()
    assert outbox.relay(database, channel, topology.exchange) == 2
    assert waiting(channel, topology.work) == 4


def test_errors_of_postgres_are_not_the_messages_fault(database: Connection) -> None:
    worker = workers.Worker("w", schema=SCHEMA)
    database.close()
    with pytest.raises(TryLater):
        worker.handler(database)([in_a_message(Event("user.created", 1))])
    assert issubclass(psycopg2.errors.DeadlockDetected, psycopg2.OperationalError)
