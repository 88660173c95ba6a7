"""A producer that knows when nobody listens: mandatory, and the broker's confirm."""

import json

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import UnroutableError

PERSISTENT = 2


def publish(channel: BlockingChannel, exchange: str, user_id: int, email: str) -> bool:
    """Whether a queue has taken the event."""
    event = {"type": "user.created", "user_id": user_id, "email": email}
    wire = pika.BasicProperties(delivery_mode=PERSISTENT, content_type="application/json")
    try:
        channel.basic_publish(exchange, event["type"], json.dumps(event), wire, mandatory=True)
    except UnroutableError:
        return False
    return True
