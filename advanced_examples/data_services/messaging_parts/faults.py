"""Faults on purpose: a message that kills its consumer, a relay that is killed."""

import json
from contextlib import closing

from pika.adapters.blocking_connection import BlockingChannel
from psycopg2.extensions import connection as Connection  # noqa: N812
from shop_profile.consuming import Message, dead_letters
from shop_profile.crew import Crew, until
from shop_profile.inbox import claim
from shop_profile.messages import Event, publish
from shop_profile.rabbit_kit import queues, waiting

from course.lesson import Lesson
from messaging_parts.common import EXCHANGE, PREFIX, SCHEMA, group, open_database, sign_up

IDLE = 3  # seconds without a message: a busy broker may be slow to deliver the first one


def poison(lesson: Lesson) -> None:
    """A poison message kills every consumer that touches it.

    A crash leaves no time to count an attempt in a header. A quorum queue counts itself how often
    a message came back, and the delivery limit ends it: here 1, so the second crash is the
    last. Set it: RabbitMQ 4 takes 20 when you don't, RabbitMQ 3 has no limit at all. And name a
    dead-letter queue, or the message is dropped.

    With a prefetch above 1 innocent messages ride along: every crash counts for all that the
    consumer held. So ours takes what was redelivered one by one (`returned_ones` in consuming.py).
    """
    risky, users = group("risky", delivery_limit=1), range(10, 17)
    with queues(risky) as channel, Crew() as crew:
        for user in users:
            publish(channel, EXCHANGE, sign_up(user))
        starts = 0
        while waiting(channel, risky.work) or not waiting(channel, risky.dead):
            starts += 1
            worker = crew.consume(risky, "w", "--batch", 10, "--crash-on", 13, "--idle", IDLE)
            worker.wait()
        done = sorted(int(line.split()[-1]) for line in crew.hear("done", len(users) - 1))
        (letter,) = dead_letters(channel.connection, risky)
    lesson.check("two crashes, and the third start lives", starts == 3 and worker.returncode == 0)
    lesson.check("the innocent ones are done", done == [user for user in users if user != 13])
    lesson.check("the poison is dead", json.loads(letter.body)["user_id"] == 13, letter.reason)


def register(database: Connection, user_id: int, fails: bool = False) -> None:
    """A new user, and the event that says so, in one transaction."""
    event = sign_up(user_id)
    with database, database.cursor() as cursor:
        cursor.execute("INSERT INTO users VALUES (%s, %s)", (user_id, event.data["email"]))
        cursor.execute("INSERT INTO outbox (event) VALUES (%s)", (event.to_json().decode(),))
        if fails:
            raise ValueError("the address is not valid")


def relay(database: Connection, channel: BlockingChannel) -> int:
    """Publish what is not marked yet, then mark it; how many."""
    with database, database.cursor() as cursor:
        cursor.execute("SELECT position, event FROM outbox WHERE published_at IS NULL "
                       "ORDER BY position LIMIT 100 FOR UPDATE SKIP LOCKED")  # fmt: skip
        rows = cursor.fetchall()
        for _, event in rows:
            publish(channel, EXCHANGE, Event.from_json(json.dumps(event)))
        positions = [position for position, _ in rows]
        cursor.execute("UPDATE outbox SET published_at = now() WHERE position = ANY(%s)",
                       (positions,))  # fmt: skip
    return len(rows)


def outbox(lesson: Lesson) -> None:
    """The outbox: the change and its event are committed together.

    "Insert the user, then publish": a crash between the two, and nobody ever hears of the user.
    "Publish, then insert": a rollback, and they hear of one that does not exist. So write the event
    into a table in the same transaction. A relay publishes it and marks it. Killed between the two
    it publishes again: a duplicate, and the inbox drops it.

    Ask for what is not marked, never for "id > the last one seen". Numbers are given at the INSERT,
    rows appear at the COMMIT: a smaller number may appear later.
    """
    new = group("new_users")
    with queues(new) as channel, Crew() as crew, closing(open_database()) as database:
        with lesson.expected_error(ValueError):
            register(database, 40, fails=True)
        lesson.check("rolled back: no user, and no event", relay(database, channel) == 0)
        with closing(open_database()) as late, late.cursor() as cursor:
            cursor.execute(
                "INSERT INTO outbox (event) VALUES (%s)", (sign_up(41).to_json().decode(),)
            )
            register(database, 42)
            relay(database, channel)
            late.commit()  # the smaller number appears after the larger one was published
        lesson.check("what was committed late is published, too", relay(database, channel) == 1)
        channel.queue_purge(new.work)
        register(database, 43)
        with closing(open_database()) as lock, lock.cursor() as cursor:
            cursor.execute("LOCK TABLE outbox IN SHARE MODE")  # holds the relay up before its mark
            process = crew.start("relay", "--schema", SCHEMA, "--prefix", PREFIX)
            until(lambda: waiting(channel, new.work) == 1)
            process.kill()
        until(lambda: relay(database, channel) == 1)
        bodies = [channel.basic_get(new.work)[2] for _ in range(2)]
        messages = [Message(Event.from_json(body), attempt=1, tag=0) for body in bodies]
        with database, database.cursor() as cursor:
            fresh = [claim(cursor, "welcome", [message]) for message in messages]
    lesson.check("relay killed before its mark: published twice", bodies[0] == bodies[1])
    lesson.check("the inbox lets one through", [len(new) for new in fresh] == [1, 0])
