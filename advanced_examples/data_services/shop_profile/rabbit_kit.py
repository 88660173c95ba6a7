"""For lessons and tests: queues that are gone afterwards, and what this broker's version does."""

from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPChannelError

from course import connect
from shop_profile.messages import Topology, declare, open_channel, remove

TRIES = 25  # more than RabbitMQ 4's own delivery limit of 20


@contextmanager
def queues(*groups: Topology, prefetch: int = 0) -> Iterator[BlockingChannel]:
    """A channel with confirms, and the groups' queues: empty now, gone at the end of the block."""
    with connect.rabbitmq() as connection:
        for group in groups:
            remove(connection.channel(), group)
        try:
            channel = open_channel(connection, prefetch)
            for group in groups:
                declare(channel, group)
            yield channel
        finally:
            for group in groups:
                remove(connection.channel(), group)


def waiting(channel: BlockingChannel, queue: str) -> int:
    """How many messages wait in `queue`; those that a consumer holds don't count."""
    return channel.queue_declare(queue, passive=True).method.message_count


def consumers(channel: BlockingChannel, queue: str) -> int:
    """How many consumers read `queue`."""
    return channel.queue_declare(queue, passive=True).method.consumer_count


def version(connection: pika.BlockingConnection) -> tuple[int, int]:
    """The broker's version, as (4, 1)."""
    text = connection._impl.server_properties["version"]
    text = text.decode() if isinstance(text, bytes) else text
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


@contextmanager
def quorum_queue(connection: pika.BlockingConnection, name: str) -> Iterator[BlockingChannel]:
    """A channel, and a quorum queue that sets no delivery limit, with one message in it."""
    channel = open_channel(connection)
    channel.queue_delete(name)
    channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
    channel.basic_publish("", name, b"{}", pika.BasicProperties(delivery_mode=2), mandatory=True)
    try:
        yield channel
    finally:
        channel.queue_delete(name)


def has_a_limit_of_its_own(connection: pika.BlockingConnection, name: str) -> bool:
    """Whether a message that is rejected again and again disappears without a limit being set."""
    with quorum_queue(connection, name) as channel:
        for _ in range(TRIES):
            method, _, _ = channel.basic_get(name)
            if method is None:
                return True
            channel.basic_reject(method.delivery_tag, requeue=True)
    return False


def counts_a_nack(connection: pika.BlockingConnection, name: str) -> bool:
    """Whether `basic_nack` with requeue raises the count that the delivery limit looks at."""
    with quorum_queue(connection, name) as channel:
        method, _, _ = channel.basic_get(name)
        channel.basic_nack(method.delivery_tag, requeue=True)
        _, wire, _ = channel.basic_get(name)
        return bool(wire.headers and wire.headers.get("x-delivery-count"))


def takes_transient_queues(connection: pika.BlockingConnection, name: str) -> bool:
    """Whether a queue may be shared without being durable."""
    channel = connection.channel()
    try:
        channel.queue_declare(name, durable=False)
    except AMQPChannelError:
        return False
    channel.queue_delete(name)
    return True
