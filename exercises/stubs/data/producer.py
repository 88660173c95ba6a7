"""A producer that knows when nobody listens.

Write `publish`: it sends the event

    {"type": "user.created", "user_id": 123, "email": "ann@example.com"}

as JSON to the topic exchange called `exchange`; the routing key is the event's type. The message
survives a restart of the broker (it is persistent), and says that it is JSON (`content_type`).
Return True when the broker has put it into a queue, False when no queue wanted it. `channel` is a
pika channel; the check has called `channel.confirm_delivery()` on it.
"""

from pika.adapters.blocking_connection import BlockingChannel


def publish(channel: BlockingChannel, exchange: str, user_id: int, email: str) -> bool:
    """Whether a queue has taken the event."""
    raise NotImplementedError("TODO: basic_publish, with mandatory=True")
