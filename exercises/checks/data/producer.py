"""A queue that listens, one that doesn't, and what is on the wire."""

import json
from contextlib import contextmanager

from course import connect
from course.exercises import expect, require
from course.workspace import own_turn

EXCHANGE = "exercise_producer"


@contextmanager
def broker(binding: str):
    """(channel, name of a queue that is bound with `binding`)."""
    with own_turn(EXCHANGE):
        connection = connect.rabbitmq()
        channel = connection.channel()
        try:
            channel.confirm_delivery()
            channel.exchange_declare(EXCHANGE, "topic")
            queue = channel.queue_declare("", exclusive=True).method.queue
            channel.queue_bind(queue, EXCHANGE, binding)
            yield channel, queue
        finally:
            if channel.is_open:
                channel.exchange_delete(EXCHANGE)
            connection.close()


def check_arrives(their):
    """The event arrives in the queue that wants it"""
    with broker("user.*") as (channel, queue):
        answer = their.publish(channel, EXCHANGE, 123, "ann@example.com")
        _, _, body = channel.basic_get(queue, auto_ack=True)
        require(
            body is not None,
            "nothing arrived in a queue that wants user.*",
            "The routing key is the event's type: user.created.",
        )
        expect(
            json.loads(body), {"type": "user.created", "user_id": 123, "email": "ann@example.com"}
        )
        expect(answer, True, "It is in a queue: True.")


def check_nobody(their):
    """Nobody wants it: False"""
    with broker("order.#") as (channel, _):
        expect(
            their.publish(channel, EXCHANGE, 123, "ann@example.com"),
            False,
            "With mandatory=True the broker gives back what no queue wants: "
            "pika.exceptions.UnroutableError.",
        )


def check_wire(their):
    """It is persistent, and says that it is JSON"""
    with broker("user.created") as (channel, queue):
        their.publish(channel, EXCHANGE, 7, "bob@example.com")
        _, wire, _ = channel.basic_get(queue, auto_ack=True)
        expect(wire.delivery_mode, 2, "delivery_mode=2 keeps it over a restart.")
        expect(wire.content_type, "application/json")
