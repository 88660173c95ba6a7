"""A consumer that tries again: publish to where it waits, then acknowledge; at last, bury it."""

import json
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel


def consume_one(
    channel: BlockingChannel,
    work: str,
    waits: list[str],
    dead: str,
    handle: Callable[[Any], None],
) -> bool:
    """Take one message from `work` and settle it; False when there is none."""
    method, wire, body = channel.basic_get(work)
    if method is None:
        return False
    attempt = (wire.headers or {}).get("attempt", 1)
    try:
        event = json.loads(body)
    except ValueError as error:
        publish(channel, dead, body, attempt, error)
    else:
        try:
            handle(event)
        except Exception as error:
            if attempt <= len(waits):
                publish(channel, waits[attempt - 1], body, attempt + 1, error)
            else:
                publish(channel, dead, body, attempt, error)
    channel.basic_ack(method.delivery_tag)
    return True


def publish(
    channel: BlockingChannel, queue: str, body: bytes, attempt: int, error: Exception
) -> None:
    """Put the message into `queue`, with its attempt and the error in its headers."""
    headers = {"attempt": attempt, "error": str(error)}
    wire = pika.BasicProperties(delivery_mode=2, headers=headers)
    channel.basic_publish("", queue, body, wire, mandatory=True)
