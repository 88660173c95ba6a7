"""The outbox: an event is written in the transaction of the change that it tells of.

A broker and a database can't commit together. So the event goes into a table, with the change, and
the relay publishes it afterwards. Killed between publishing and the mark, the relay publishes
again: a duplicate, which the consumer's inbox drops.
"""

import json

from pika.adapters.blocking_connection import BlockingChannel
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from shop_profile.messages import Event, publish

TABLE = """
    CREATE TABLE IF NOT EXISTS outbox (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event jsonb NOT NULL,
        published_at timestamptz
    );
    CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (position) WHERE published_at IS NULL;
"""
WAITING = """
    SELECT position, event FROM outbox WHERE published_at IS NULL
    ORDER BY position LIMIT %s FOR UPDATE SKIP LOCKED
"""


def add(cursor: Cursor, event: Event) -> None:
    """Write the event in the caller's transaction: it is published if and only if that commits."""
    cursor.execute("INSERT INTO outbox (event) VALUES (%s)", (event.to_json().decode(),))


def relay(connection: Connection, channel: BlockingChannel, exchange: str, limit: int = 100) -> int:
    """Publish up to `limit` waiting events and mark them; how many.

    It asks for what is not yet marked, never for "position > the last one seen": a position is
    given at the INSERT, the row is seen at the commit, so a smaller one may appear later. Several
    relays may run at once: each skips the rows that another one holds.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(WAITING, (limit,))
        waiting = cursor.fetchall()
        for _, event in waiting:
            publish(channel, exchange, Event.from_json(json.dumps(event)))
        positions = [position for position, _ in waiting]
        mark = "UPDATE outbox SET published_at = now() WHERE position = ANY(%s)"
        cursor.execute(mark, (positions,))
    return len(waiting)
