"""The inbox: a table of processed event ids, which makes the effect of an event happen once.

The ids and the effect are committed in one transaction: both are there, or neither. A duplicate,
in this batch or years later, finds its id in the table and has no effect.
"""

from collections.abc import Sequence

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from shop_profile.consuming import Message

TABLE = """
    CREATE TABLE IF NOT EXISTS processed_events (
        consumer text NOT NULL,
        event_id uuid NOT NULL,
        processed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (consumer, event_id)
    );
"""
CLAIM = """
    INSERT INTO processed_events (consumer, event_id)
    SELECT %s, event_id FROM unnest(%s::uuid[]) AS event_id ORDER BY event_id
    ON CONFLICT DO NOTHING
    RETURNING event_id::text
"""


def claim(cursor: Cursor, consumer: str, messages: Sequence[Message]) -> list[Message]:
    """Note the messages' ids as processed by `consumer`; those that are new, each id once.

    Call it first in the transaction of the effect. While another transaction holds one of the ids,
    it waits for that one's end. In the order of the ids, so that two consumers with the same
    duplicates can't wait for each other.
    """
    first: dict[str, Message] = {}
    for message in messages:
        first.setdefault(message.event.event_id, message)
    cursor.execute(CLAIM, (consumer, list(first)))
    fresh = {event_id for (event_id,) in cursor.fetchall()}
    return [message for message in first.values() if message.event.event_id in fresh]
