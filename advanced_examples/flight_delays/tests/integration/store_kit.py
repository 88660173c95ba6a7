"""What the tests of the feature store share: a moment, messages, a look at what is stored."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import aio_pika
import numpy as np

from features.views import View, unpack, word

AT = datetime.fromisoformat("2024-06-20T20:00:00+00:00")  # what the shared store holds is as of


def plain(view: View, value: bytes) -> dict[str, Any]:
    """A packed row as words and numbers; None for NaN."""
    numbers = dict(zip(view.columns, unpack(view, value).values.tolist(), strict=True))
    return {
        column: word(view, column, number) if column in view.categories else same(number)
        for column, number in numbers.items()
    }


def same(value: Any) -> Any:
    """A number in the precision of packed values, None for NaN."""
    if value is None or isinstance(value, str):
        return value
    return None if np.isnan(value) else float(np.float32(value))


def observation(airport: str, time: datetime, temperature: float) -> bytes:
    """A message: the weather at an airport."""
    row = {"temperature": temperature, "humidity": 50, "wind_speed": 9.5, "visibility": None}
    row |= {"precipitation": 0, "conditions": "clear", "airport": airport}
    return json.dumps({**row, "event_timestamp": time.isoformat()}).encode()


def inbound(tail: str, time: datetime, minutes: float) -> bytes:
    """A message: an aircraft comes in so late."""
    row = {"tail_number": tail, "inbound_delay_minutes": minutes, "turnaround_minutes": 45.0}
    return json.dumps({**row, "event_timestamp": time.isoformat()}).encode()


async def drain(url: str, queue: str) -> list[tuple[bytes, str]]:
    """Take all messages off a queue of rejected ones: body and reason."""
    found = []
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel()
        waiting = await channel.declare_queue(queue, durable=True)
        while (message := await waiting.get(fail=False)) is not None:
            found.append((message.body, str(message.headers["reason"])))
            await message.ack()
    return found


async def waiting(url: str, queue: str) -> tuple[int, int]:
    """How many messages wait in a queue, and how many consumers it has."""
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel()
        found = (await channel.declare_queue(queue, passive=True)).declaration_result
        return int(found.message_count or 0), int(found.consumer_count or 0)
