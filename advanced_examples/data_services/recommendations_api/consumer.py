"""The consumer: a process that stores what analytics is told, and empties the outbox.

    python -m recommendations_api.consumer

Every event is stored exactly once. Its id goes into the inbox and its answers into `served`, in
one transaction; only after that commit is the message acknowledged. A crash in between brings the
message again, and the inbox drops it. A second thread publishes what waits in the outbox.
"""

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import closing

import pika
import psycopg2
from pika.exceptions import AMQPError
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extras import execute_values
from shop_profile import inbox, outbox
from shop_profile.consuming import Message, TryLater, consume_batches
from shop_profile.messages import declare, open_channel

from recommendations_api.settings import Settings, from_environment

log = logging.getLogger(__name__)

NAME = "answers"  # in the inbox
BATCH = 100
PAUSE = 0.5  # seconds before the next attempt at a connection, and between looks into the outbox
READY = "The consumer waits for events."
TABLE = """
    CREATE TABLE IF NOT EXISTS served (
        event_id uuid NOT NULL,
        place integer NOT NULL,
        user_id integer NOT NULL,
        tier text NOT NULL,
        served_at timestamptz NOT NULL,
        PRIMARY KEY (event_id, place)
    );
"""
INSERT = "INSERT INTO served (event_id, place, user_id, tier, served_at) VALUES %s"
AWAY = (AMQPError, OSError, TryLater, psycopg2.OperationalError, psycopg2.InterfaceError)


def open_database(settings: Settings) -> Connection:
    """A connection whose tables are the service's."""
    options = f"-c search_path={settings.name}"
    return psycopg2.connect(settings.postgres, options=options, connect_timeout=5)


def store(database: Connection, messages: Sequence[Message]) -> None:
    """Store the answers of events that are new, in one transaction; TryLater without PostgreSQL."""
    try:
        with database, database.cursor() as cursor:
            new = inbox.claim(cursor, NAME, messages)
            execute_values(cursor, INSERT, [row for message in new for row in rows(message)])
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise TryLater(str(error)) from error


def rows(message: Message) -> list[tuple[str, int, int, str, str]]:
    """The rows of `served` for one event; KeyError or TypeError when it is not of this kind."""
    event = message.event
    return [
        (event.event_id, place, answer["user_id"], answer["tier"], answer["at"])
        for place, answer in enumerate(event.data["answers"])
    ]


def keep_on(work: Callable[[], None], stop: threading.Event) -> None:
    """Do `work` until it is time to stop; after a lost connection begin it again."""
    while not stop.is_set():
        try:
            work()
        except AWAY as error:
            log.warning("%s lost a connection, trying again: %r", work.__name__, error)
            stop.wait(PAUSE)


def run(settings: Settings, stop: threading.Event) -> None:
    """Consume, and empty the outbox beside it, until `stop` is set."""

    def consume() -> None:
        with closing(open_database(settings)) as database, open_broker(settings) as broker:
            channel = open_channel(broker, prefetch=2 * BATCH)
            declare(channel, settings.topology)
            print(READY, flush=True)
            consume_batches(
                channel, settings.topology, lambda messages: store(database, messages),
                BATCH, stop.is_set,
            )  # fmt: skip

    def relay() -> None:
        with closing(open_database(settings)) as database, open_broker(settings) as broker:
            channel = open_channel(broker)
            declare(channel, settings.topology)
            while not stop.is_set():
                if not outbox.relay(database, channel, settings.topology.exchange):
                    broker.sleep(PAUSE)

    beside = threading.Thread(target=keep_on, args=(relay, stop), name="outbox")
    beside.start()
    keep_on(consume, stop)
    beside.join()


def open_broker(settings: Settings) -> pika.BlockingConnection:
    """A connection to RabbitMQ, for a `with`."""
    return pika.BlockingConnection(pika.URLParameters(settings.rabbitmq))


def main() -> None:
    """Run until SIGTERM or Ctrl-C; the batch in hand is finished first."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    stop = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    run(from_environment(), stop)


if __name__ == "__main__":
    main()
