"""Real queues that send back what waits; a handler that fails once, or for ever."""

import json
import time
from contextlib import contextmanager

import pika

from course import connect
from course.exercises import expect, require
from course.workspace import own_turn

NAME = "exercise_consumer"
WORK, DEAD = f"{NAME}.work", f"{NAME}.dead"
WAITS = {f"{NAME}.wait1": 30, f"{NAME}.wait2": 60}  # milliseconds
PATIENCE = 5.0  # seconds


class Watched:
    """A channel that notes what is published, where to, and what is acknowledged."""

    def __init__(self, channel) -> None:
        self.channel, self.story = channel, []

    def basic_publish(self, exchange, routing_key, *others, **options):
        self.story.append(f"publish to {routing_key.removeprefix(NAME + '.')}")
        return self.channel.basic_publish(exchange, routing_key, *others, **options)

    def basic_ack(self, *arguments, **options):
        self.story.append("acknowledge")
        return self.channel.basic_ack(*arguments, **options)

    def __getattr__(self, name):
        return getattr(self.channel, name)


@contextmanager
def queues():
    """A channel with the queues of this exercise, empty."""
    with own_turn(NAME):
        connection = connect.rabbitmq()
        channel = connection.channel()
        try:
            delete(channel)
            channel.confirm_delivery()
            for queue, milliseconds in WAITS.items():
                back = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": WORK}
                channel.queue_declare(queue, arguments=back | {"x-message-ttl": milliseconds})
            channel.queue_declare(WORK)
            channel.queue_declare(DEAD)
            yield Watched(channel)
        finally:
            connection.close()
            with connect.rabbitmq() as other:
                delete(other.channel())


def delete(channel) -> None:
    for queue in (WORK, DEAD, *WAITS):
        channel.queue_delete(queue)


def send(channel, body: str) -> None:
    channel.channel.basic_publish("", WORK, body, pika.BasicProperties(delivery_mode=2))


def consume(their, channel, handle, attempts: int) -> None:
    """Let the student's function settle so many messages, each of which may have to come first."""
    settled, deadline = 0, time.monotonic() + PATIENCE
    while settled < attempts:
        if their.consume_one(channel, WORK, list(WAITS), DEAD, handle):
            settled += 1
        require(
            time.monotonic() < deadline,
            f"only {settled} of {attempts} attempts came within {PATIENCE:.0f} s",
            "A message that failed belongs into a waiting queue, from which it comes back.",
        )
        time.sleep(0.005)


class Mailbox:
    """Full until attempt number `until`; notes what it was given."""

    def __init__(self, until: int) -> None:
        self.until, self.got = until, []

    def handle(self, event) -> None:
        self.got.append(event)
        if len(self.got) < self.until:
            raise ValueError("mailbox full")


def check_well(their):
    """What goes well is acknowledged"""
    with queues() as channel:
        send(channel, '{"user_id": 1}')
        mailbox = Mailbox(until=1)
        consume(their, channel, mailbox.handle, 1)
        expect(mailbox.got, [{"user_id": 1}], "handle gets what json.loads makes of the body.")
        expect(channel.story, ["acknowledge"], "Nothing is published.")
        empty = their.consume_one(channel, WORK, list(WAITS), DEAD, mailbox.handle)
        expect(empty, False, "There is no message any more.")


def check_again(their):
    """What fails comes again, and its attempts are counted"""
    with queues() as channel:
        send(channel, '{"user_id": 2}')
        mailbox = Mailbox(until=3)
        consume(their, channel, mailbox.handle, 3)
        expect(len(mailbox.got), 3, "Two failures, then it is sent.")
        expect(
            channel.story,
            ["publish to wait1", "acknowledge", "publish to wait2", "acknowledge", "acknowledge"],
            "Publish first, acknowledge then; each failure has its own waiting queue.",
        )


def check_dead(their):
    """After the last attempt it goes to the dead letters, and says why"""
    with queues() as channel:
        send(channel, '{"user_id": 3}')
        consume(their, channel, Mailbox(until=99).handle, 3)
        _, wire, body = channel.channel.basic_get(DEAD, auto_ack=True)
        require(
            body,
            "nothing came into the dead-letter queue",
            "Two waits: three attempts. After the third it is dead.",
        )
        expect(json.loads(body), {"user_id": 3})
        expect((wire.headers or {}).get("attempt"), 3, "The number of the last attempt.")
        expect((wire.headers or {}).get("error"), "mailbox full", "str(error)")


def check_garbage(their):
    """What isn't JSON is dead at once"""
    with queues() as channel:
        send(channel, "not JSON {")
        mailbox = Mailbox(until=1)
        consume(their, channel, mailbox.handle, 1)
        expect(mailbox.got, [], "handle can't do anything with it.")
        _, _, body = channel.channel.basic_get(DEAD, auto_ack=True)
        expect(body, b"not JSON {", "The body as it came.")
