"""Processes for two terminals: a consumer, a publisher, an outbox relay, a look at the dead.

    python -m shop_profile.workers consume emails                (first terminal)
    python -m shop_profile.workers publish user.created          (second terminal)
    python -m shop_profile.workers dead emails
    python -m shop_profile.workers replay emails

A consumer ends with Ctrl-C or SIGTERM when it has finished the message in hand; when nobody
watches (no terminal), also after some seconds without a message.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

import pika
import psycopg2
from pika.exceptions import AMQPError, ChannelClosedByBroker, UnroutableError
from psycopg2.extensions import connection as Connection  # noqa: N812

from course import connect
from course.errors import OK, CourseError
from shop_profile import inbox, outbox
from shop_profile.consuming import Message, TryLater, consume_batches, dead_letters, replay
from shop_profile.messages import Event, Topology, declare, open_channel, publish

BONUS = 10  # points for every event: twice the points would betray a duplicate
REWARD = """
    INSERT INTO points (user_id, points) SELECT user_id, %s * count(*)
    FROM unnest(%s::integer[]) AS user_id GROUP BY user_id ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET points = points.points + excluded.points
"""
POINTS = "CREATE TABLE IF NOT EXISTS points (user_id integer PRIMARY KEY, points integer NOT NULL);"
TABLES = POINTS + inbox.TABLE + outbox.TABLE
HANGS = ("mid-batch", "before-commit", "after-commit")
IDLE = 10.0  # seconds without a message after which an unwatched process ends
COME_BACK = 0.3  # seconds before the next try after a lost connection
PRECONDITION_FAILED = 406
POLL = 0.05  # seconds between two looks into the outbox
LOST = (AMQPError, TryLater, psycopg2.OperationalError, psycopg2.InterfaceError)


@dataclass(frozen=True)
class Worker:
    """A consumer's work: `seconds` for each message, then `BONUS` points for its user.

    The points go into the tables of `schema`; without one nothing is stored. `crash_on` is a user
    whose message kills the process: poison. `hang` is the moment at which it stops and waits to be
    killed; `naive` leaves out the inbox. Both are for showing what happens then.
    """

    name: str
    seconds: float = 0.0
    schema: str = ""
    crash_on: int | None = None
    hang: str = ""
    naive: bool = False

    def say(self, text: str) -> None:
        """One line, at once: somebody may be waiting for it."""
        print(f"{self.name}: {text}", flush=True)

    def handler(self, database: Connection | None) -> Callable[[Sequence[Message]], None]:
        """What `consume_batches` calls."""

        def handle(messages: Sequence[Message]) -> None:
            for message in messages:
                self.work(message)
            if database is not None:
                self.reward(database, messages)
            for message in messages:
                self.say(f"done {message.event.user_id}")

        return handle

    def work(self, message: Message) -> None:
        """Take the time that the message needs, unless it is poison."""
        event = message.event
        self.say(f"{event.type} of user {event.user_id}, attempt {message.attempt}")
        if event.user_id == self.crash_on:
            os._exit(1)
        time.sleep(self.seconds)

    def reward(self, database: Connection, messages: Sequence[Message]) -> None:
        """The effect and the ids in one transaction; TryLater when PostgreSQL is away."""
        try:
            with database, database.cursor() as cursor:
                fresh = messages if self.naive else inbox.claim(cursor, "points", messages)
                users = [message.event.user_id for message in fresh]
                half = len(users) // 2
                cursor.execute(REWARD, (BONUS, users[:half]))
                self.wait_if("mid-batch")
                cursor.execute(REWARD, (BONUS, users[half:]))
                self.wait_if("before-commit")
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise TryLater(str(error)) from error
        self.wait_if("after-commit")

    def wait_if(self, moment: str) -> None:
        """Where this worker is to hang, say so and wait for the end."""
        if self.hang == moment:
            self.say(f"hangs {moment}")
            time.sleep(3_600)

    def database(self, url: str) -> AbstractContextManager[Connection | None]:
        """A connection that finds the tables of `schema`; None where there is no schema."""
        return closing(open_database(self.schema, url)) if self.schema else nullcontext()

    def consume(self, topology: Topology, batch: int, idle: float | None) -> None:
        """Consume until told to stop, or idle; come back after a lost connection."""
        stop, url = stop_on_signals(), connect.url("rabbitmq")
        database_url = connect.url("postgres") if self.schema else ""
        while not stop.is_set():
            try:
                # The database first: who can't store anything should take no messages.
                with self.database(database_url) as database, open_broker(url) as connection:
                    channel = open_channel(connection, prefetch=1 if batch == 1 else 2 * batch)
                    declare(channel, topology)
                    handle = self.handler(database)
                    consume_batches(channel, topology, handle, batch, stop.is_set, idle)
                    break
            except LOST as error:
                refuse_for_ever(error)
                self.say(f"lost a connection ({type(error).__name__}), coming back")
                stop.wait(COME_BACK)
        self.say("ended")

    def relay(self, topology: Topology, idle: float | None) -> None:
        """Publish what is in the outbox of `schema` until told to stop, or idle."""
        stop, last = stop_on_signals(), time.monotonic()
        url, database_url = connect.url("rabbitmq"), connect.url("postgres")
        while not stop.is_set():
            try:
                with (
                    closing(open_database(self.schema, database_url)) as database,
                    open_broker(url) as broker,
                ):
                    channel = open_channel(broker)
                    channel.exchange_declare(topology.exchange, "topic", durable=True)
                    while not stop.wait(POLL) and (idle is None or time.monotonic() - last < idle):
                        broker.process_data_events()  # answers heartbeats
                        if count := outbox.relay(database, channel, topology.exchange):
                            self.say(f"published {count}")
                            last = time.monotonic()
                break
            except LOST as error:
                self.say(f"lost a connection ({type(error).__name__}), coming back")
                stop.wait(COME_BACK)
        self.say("ended")


def refuse_for_ever(error: Exception) -> None:
    """CourseError where coming back would change nothing: the queue has other arguments."""
    if isinstance(error, ChannelClosedByBroker) and error.reply_code == PRECONDITION_FAILED:
        advice = "Use the same options as before, or another --prefix."
        raise CourseError(f"{error.reply_text}. {advice}") from error


def open_broker(url: str) -> pika.BlockingConnection:
    """A connection to RabbitMQ, to be used in a `with`."""
    return pika.BlockingConnection(pika.URLParameters(url))


def open_database(schema: str, url: str = "") -> Connection:
    """A connection to PostgreSQL that finds the tables of `schema` first."""
    return psycopg2.connect(
        url or connect.url("postgres"), options=f"-c search_path={schema},public"
    )


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM, Ctrl-C and Windows' Ctrl-Break set."""
    stop = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    return stop


def publish_some(topology: Topology, kind: str, count: int, first: int) -> None:
    """Publish `count` events of one type, for the users from `first` on."""
    with connect.rabbitmq() as connection:
        channel = open_channel(connection)
        channel.exchange_declare(topology.exchange, "topic", durable=True)
        for user_id in range(first, first + count):
            email = {"email": f"user{user_id}@example.com"}
            try:
                publish(channel, topology.exchange, Event(kind, user_id, email))
            except UnroutableError:
                raise CourseError(f"No queue wants {kind}: start a consumer first.") from None
            print(f"published {kind} of user {user_id}")


def look_at_the_dead(topology: Topology, again: bool) -> None:
    """Print the dead letters, or replay them."""
    with connect.rabbitmq() as connection:
        channel = open_channel(connection)
        declare(channel, topology)
        if again:
            print(f"replayed: {replay(channel, topology)}")
            return
        for letter in dead_letters(connection, topology):
            print(f"attempt {letter.attempt}, {letter.reason}: {letter.body.decode()}")


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m shop_profile.workers", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--prefix", default="try.", help="of all names (default: %(default)s)")
    common.add_argument(
        "--delays", type=float, nargs="*", default=Topology.delays, metavar="S",
        help="seconds before attempts 2, 3, … (default: 1 5 25)",
    )  # fmt: skip
    common.add_argument(
        "--limit", type=int, default=Topology.delivery_limit,
        help="returns after which a message is dead (default: %(default)s)",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    consume = commands.add_parser("consume", parents=[common], help="read a queue")
    relay = commands.add_parser("relay", parents=[common], help="publish what is in the outbox")
    for command in (consume, relay):
        command.add_argument("--name", default="worker", help="what it calls itself")
        command.add_argument("--idle", type=float, metavar="S", help="end after S quiet seconds")
        command.add_argument("--schema", default="", help="of the tables (default: store nothing)")
    relay.set_defaults(queue="analytics")
    consume.add_argument("queue", help="for example emails")
    consume.add_argument("--keys", nargs="+", default=Topology.keys, help="topics (user.#)")
    consume.add_argument("--seconds", type=float, default=0.0, help="of work for each message")
    consume.add_argument("--batch", type=int, default=1, help="messages in one transaction")
    consume.add_argument("--crash-on", type=int, metavar="USER", help="die of this user's message")
    consume.add_argument("--hang", choices=HANGS, default="", help="stop there, to be killed")
    consume.add_argument("--naive", action="store_true", help="without the inbox")
    publisher = commands.add_parser("publish", parents=[common], help="publish events")
    publisher.add_argument("type", help="for example user.created")
    publisher.add_argument("--count", type=int, default=10)
    publisher.add_argument("--first", type=int, default=1, metavar="USER")
    for name in ("dead", "replay"):
        commands.add_parser(name, parents=[common], help=f"{name} letters").add_argument("queue")
    return parser


def act(options: argparse.Namespace) -> None:
    """Do what the command line says."""
    chosen = {"keys": options.keys} if options.command == "consume" else {}
    queue = getattr(options, "queue", Topology.queue)
    topology = Topology(
        options.prefix, queue, delays=options.delays, delivery_limit=options.limit, **chosen
    )
    if options.command in ("consume", "relay"):
        idle = options.idle or (None if sys.stdout.isatty() else IDLE)
        if options.command == "relay":
            Worker(options.name, schema=options.schema).relay(topology, idle)
            return
        worker = Worker(
            options.name, options.seconds, options.schema, options.crash_on, options.hang,
            options.naive,
        )  # fmt: skip
        worker.consume(topology, options.batch, idle)
    elif options.command == "publish":
        publish_some(topology, options.type, options.count, options.first)
    else:
        look_at_the_dead(topology, again=options.command == "replay")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code, as lessons have them."""
    try:
        act(make_parser().parse_args(arguments))
    except CourseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return OK


if __name__ == "__main__":
    sys.exit(main())
