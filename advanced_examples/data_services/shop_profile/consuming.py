"""Consume events: in batches, with retries, a dead-letter queue, its inspection and its replay.

    def handle(messages):            # all of them or none: one transaction
        …
    consume_batches(open_channel(connection, prefetch=200), topology, handle, batch=100)

A message is acknowledged after `handle` returned. When `handle` raises, its messages go through it
one by one, so that one bad message spoils nothing for the others. What still fails is published
to the next waiting queue, and after the last attempt to the dead-letter queue; only then is the
original acknowledged. A crash in between makes a duplicate, never a loss.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ConsumerCancelled

from shop_profile.messages import ATTEMPT, BadMessage, Event, Topology

BATCH = 100
GATHER = 0.005  # seconds that a batch waits for its next message
LOOK_UP = 0.1  # seconds after which a waiting consumer looks whether it should stop
LONGEST_ERROR = 500  # characters of an error that travel in a header
ERROR, REPLAYS = "error", "replays"


class TryLater(Exception):  # noqa: N818
    """The world is broken, not the message: raised by a handler, it gives everything back.

    It leaves `consume_batches`; close the channel, and the broker delivers the messages again.
    Before you come back, wait until the world is mended: every return counts as a delivery.
    """


@dataclass(frozen=True, slots=True)
class Message:
    """An event as it was delivered: which attempt this is, and the tag that acknowledges it."""

    event: Event
    attempt: int
    tag: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What the dead-letter queue knows of a message."""

    body: bytes
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What pika brings, before anybody has read the body."""

    tag: int
    returned: bool
    headers: dict[str, Any]
    body: bytes

    @property
    def attempt(self) -> int:
        """The attempt header; 1 where there is none that makes sense."""
        value = self.headers.get(ATTEMPT)
        return value if isinstance(value, int) and value > 1 else 1


Handler = Callable[[Sequence[Message]], object]
Got = tuple[Any, pika.BasicProperties | None, bytes | None]


def as_delivery(got: Got) -> Delivery | None:
    """What `consume` or `basic_get` gave; None when that was nothing."""
    method, wire, body = got
    if method is None or wire is None:
        return None
    return Delivery(method.delivery_tag, method.redelivered, wire.headers or {}, body or b"")


def own(headers: dict[str, Any]) -> dict[str, Any]:
    """Headers without those that the broker set: they tell of a journey that is over."""
    return {name: value for name, value in headers.items() if not name.startswith("x-")}


def consume_batches(
    channel: BlockingChannel,
    topology: Topology,
    handle: Handler,
    batch: int = BATCH,
    stop: Callable[[], bool] = lambda: False,
    idle: float | None = None,
) -> int:
    """Hand the work queue's messages to `handle`, up to `batch` at a time; how many were settled.

    Ends when `stop()` is true (the batch in hand is finished first) or after `idle` seconds
    without a message. The channel comes from `open_channel`, with a prefetch of twice the batch,
    so that the next one is on its way while this one is handled.
    """
    settled = returned_ones(channel, topology, handle, stop)
    last_message = time.monotonic()
    while not stop():
        deliveries = gather(channel, topology.work, batch)
        if deliveries:
            settle(channel, topology, handle, deliveries)
            settled += len(deliveries)
            last_message = time.monotonic()
        elif idle is not None and time.monotonic() - last_message > idle:
            break
    channel.cancel()
    return settled


def returned_ones(
    channel: BlockingChannel, topology: Topology, handle: Handler, stop: Callable[[], bool]
) -> int:
    """Settle the messages that came back when a consumer died, one at a time; how many.

    One of them may be the poison that killed it. Fetched alone, it takes no others along when it
    strikes again: only its own deliveries are counted.
    """
    settled = 0
    while not stop():
        delivery = as_delivery(channel.basic_get(topology.work))
        if delivery is None:
            break
        settle(channel, topology, handle, [delivery])
        settled += 1
        if not delivery.returned:
            break
    return settled


def gather(channel: BlockingChannel, queue: str, size: int) -> list[Delivery]:
    """Up to `size` messages: whatever comes without a pause. Empty when none came for a while."""
    deliveries: list[Delivery] = []
    while len(deliveries) < size:
        patience = GATHER if deliveries else LOOK_UP
        got = next(channel.consume(queue, inactivity_timeout=patience), None)
        if got is None:
            raise ConsumerCancelled(f"the broker ended the subscription: is {queue} gone?")
        delivery = as_delivery(got)
        if delivery is None:
            break
        deliveries.append(delivery)
    return deliveries


def settle(
    channel: BlockingChannel, topology: Topology, handle: Handler, deliveries: list[Delivery]
) -> None:
    """Handle, retry or bury every one of `deliveries`, then acknowledge all at once."""
    readable = []
    for delivery in deliveries:
        try:
            event = Event.from_json(delivery.body)
            readable.append((delivery, Message(event, delivery.attempt, delivery.tag)))
        except BadMessage as error:
            bury(channel, topology, delivery, error)
    for delivery, error in failures(handle, readable):
        retry_or_bury(channel, topology, delivery, error)
    channel.basic_ack(deliveries[-1].tag, multiple=True)


def failures(
    handle: Handler, messages: list[tuple[Delivery, Message]]
) -> Iterator[tuple[Delivery, Exception]]:
    """Hand over all messages, and where that fails each alone; those that fail alone."""
    if not messages:
        return
    try:
        handle([message for _, message in messages])
    except TryLater:
        raise
    except Exception as error:
        if len(messages) == 1:
            yield messages[0][0], error
            return
        for one in messages:
            yield from failures(handle, [one])


def retry_or_bury(
    channel: BlockingChannel, topology: Topology, delivery: Delivery, error: Exception
) -> None:
    """Publish a failed message to the queue where it waits for its next attempt, if it has one."""
    if delivery.attempt > len(topology.retries):
        bury(channel, topology, delivery, error)
        return
    headers = own(delivery.headers) | {ATTEMPT: delivery.attempt + 1, ERROR: in_short(error)}
    send(channel, topology.retries[delivery.attempt - 1], delivery.body, headers)


def bury(
    channel: BlockingChannel, topology: Topology, delivery: Delivery, error: Exception
) -> None:
    """Publish a message to the dead-letter queue, with the reason."""
    headers = own(delivery.headers) | {ATTEMPT: delivery.attempt, ERROR: in_short(error)}
    send(channel, topology.dead, delivery.body, headers)


def send(channel: BlockingChannel, queue: str, body: bytes, headers: dict[str, Any]) -> None:
    """Publish straight to a queue, past the exchange: other groups have had their copy."""
    wire = pika.BasicProperties("application/json", delivery_mode=2, headers=headers)
    channel.basic_publish("", queue, body, wire, mandatory=True)


def in_short(error: Exception) -> str:
    """An error as a header's text."""
    return f"{type(error).__name__}: {error}"[:LONGEST_ERROR]


def fetch_all(channel: BlockingChannel, queue: str, limit: int) -> Iterator[Delivery]:
    """The messages that a queue holds now, at most `limit`, unacknowledged."""
    waiting = channel.queue_declare(queue, passive=True).method.message_count
    for _ in range(min(waiting, limit)):
        delivery = as_delivery(channel.basic_get(queue))
        if delivery is None:
            return
        yield delivery


def dead_letters(
    connection: pika.BlockingConnection, topology: Topology, limit: int = 100
) -> list[DeadLetter]:
    """Look at the dead-letter queue and leave everything in it.

    The reason is the last error, or what the broker says: `delivery_limit` when its consumers died.
    """
    channel = connection.channel()  # its end gives all back
    found = []
    for delivery in fetch_all(channel, topology.dead, limit):
        deaths = delivery.headers.get("x-death") or [{}]
        by_broker = deaths[0].get("reason") if deaths[0].get("queue") == topology.work else None
        reason = by_broker or delivery.headers.get(ERROR, "unknown")
        found.append(DeadLetter(delivery.body, delivery.attempt, str(reason)))
    channel.close()
    return found


def replay(channel: BlockingChannel, topology: Topology, limit: int = 1_000_000) -> int:
    """Send dead letters to the work queue again, as a first attempt; how many.

    Mend the cause first. The header `replays` says how often that has happened. A crash in here
    makes duplicates, which the inbox drops.
    """
    count = 0
    for delivery in fetch_all(channel, topology.dead, limit):
        replays = int(delivery.headers.get(REPLAYS, 0)) + 1
        send(channel, topology.work, delivery.body, {ATTEMPT: 1, REPLAYS: replays})
        channel.basic_ack(delivery.tag)
        count += 1
    return count
