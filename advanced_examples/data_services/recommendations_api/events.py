"""Analytics: tell RabbitMQ which answers were given, without letting anybody wait for it.

`Events.note` puts an answer into memory and returns at once. A background task takes what has
gathered, packs up to 200 answers into one event, publishes it and waits for the broker's confirm.
One event for each answer would cost a third of the time that a cached answer takes.

When the broker does not confirm, the event goes into the outbox, a table in PostgreSQL, from which
the consumer process publishes it later. The same event may then arrive twice; its id never
changes, and the consumer's inbox drops the second one. When PostgreSQL fails, too, the events stay
in memory. Memory is bounded: after 10,000 answers new ones are dropped, counted in a metric and
named in the answer. Why not write every event into the outbox first? Because then a cached answer
would wait for a database, and would fail with it. These events are page views. For money, use the
outbox in the transaction of the payment.
"""

import asyncio
import logging
import math
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aio_pika
from shop_profile.messages import Event, Topology, declare_async, publish_async
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from recommendations_api.metrics import Metrics

log = logging.getLogger(__name__)

TYPE = "user.recommendations"
CAPACITY = 10_000  # answers in memory, about 3 MB
BATCH = 200  # answers in one event
GATHER = 0.05  # seconds that an answer waits for others
PATIENCE = 2.0  # seconds for the broker to confirm, or for the outbox to take an event
PAUSE = 0.5  # seconds after which a broker that failed is asked again
FAREWELL = 3.0  # seconds to hand on the rest when the service ends
KEEP = text("INSERT INTO outbox (event) VALUES (CAST(:event AS jsonb))")
BROKER_DOWN = "The broker does not answer: analytics events wait in the outbox."
MEMORY_FULL = "Neither broker nor database answers: this answer's analytics event was dropped."


class Broker:
    """A channel to RabbitMQ that is opened when needed, and again after a failure."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._url, self._topology = url, topology
        self._connection: aio_pika.abc.AbstractConnection | None = None
        self._exchange: aio_pika.abc.AbstractExchange | None = None
        self.up = True  # until the first failure says otherwise
        self._ask_again = 0.0

    async def publish(self, event: Event) -> None:
        """Publish and wait for the confirm; an Exception when the broker may not have got it."""
        if time.monotonic() < self._ask_again:
            raise ConnectionError("it failed a moment ago")
        try:
            async with asyncio.timeout(PATIENCE):
                if self._exchange is None:
                    self._exchange = await self._open()
                await publish_async(self._exchange, event, PATIENCE)
        except asyncio.CancelledError as failure:
            await self.close()
            if cancelled():
                raise
            self._went_away(failure)
            raise ConnectionError("lost while waiting for the confirm") from failure
        except Exception as failure:
            self._went_away(failure)
            await self.close()
            raise
        if not self.up:
            log.warning("the broker is back")
        self.up = True

    def _went_away(self, failure: BaseException) -> None:
        if self.up:
            log.warning("the broker does not answer: %r", failure)
        self.up, self._ask_again = False, time.monotonic() + PAUSE

    async def _open(self) -> aio_pika.abc.AbstractExchange:
        self._connection = await aio_pika.connect(self._url)
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        return await declare_async(channel, self._topology)

    async def ping(self) -> None:
        """Make sure that the broker answers; an Exception when it does not."""
        async with asyncio.timeout(PATIENCE):
            if self._connection is None or self._connection.is_closed:
                connection = await aio_pika.connect(self._url)
                await connection.close()

    async def close(self) -> None:
        """Let go of the connection, whatever state it is in."""
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                await asyncio.wait_for(connection.close(), PATIENCE)


def cancelled() -> bool:
    """Whether somebody cancelled this task. aiormq cancels the confirms of a lost connection."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Events:
    """The answers that analytics should hear of. Use as `async with Events(…) as events`."""

    def __init__(self, broker: Broker, database: AsyncEngine, metrics: Metrics) -> None:
        self.broker, self._database, self._metrics = broker, database, metrics
        self._answers: deque[dict[str, Any]] = deque()
        self._event: Event | None = None  # packed, and not yet handed on
        self._something = asyncio.Event()
        metrics.waiting.set_function(lambda: self.waiting)
        self._dropped = metrics.events.labels("dropped")

    async def __aenter__(self) -> "Events":
        self._task = asyncio.create_task(self._run(), name="analytics events")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hand on what is left; what nobody takes in time is lost, and the log says how much."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                while self.waiting:
                    await self._hand_on()
        if self.waiting:
            log.error("%d analytics events lost: neither broker nor database", self.waiting)
        await self.broker.close()

    @property
    def waiting(self) -> int:
        """How many answers are still in memory."""
        packed = len(self._event.data["answers"]) if self._event else 0
        return len(self._answers) + packed

    def note(self, user_id: int, tier: str) -> str:
        """Note an answer that was given; a sentence about what is wrong, '' when nothing is."""
        if len(self._answers) >= CAPACITY:
            self._dropped.inc()
            return MEMORY_FULL
        now = datetime.now(UTC).isoformat()
        self._answers.append({"user_id": user_id, "at": now, "tier": tier})
        self._something.set()
        return "" if self.broker.up else BROKER_DOWN

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(GATHER)
            for _ in range(math.ceil(self.waiting / BATCH)):
                await self._hand_on()
            if not self.waiting:
                self._something.clear()

    async def _hand_on(self) -> None:
        """Bring one event to the broker, else to the outbox, else keep it for later."""
        if self._event is None:
            answers = [self._answers.popleft() for _ in range(min(BATCH, len(self._answers)))]
            self._event = Event(TYPE, answers[0]["user_id"], {"answers": answers})
        for fate, way in (("published", self.broker.publish), ("outbox", self._put_aside)):
            try:
                await way(self._event)
            except Exception as failure:
                # Of any kind: aiormq has some that are no AMQPError, and an error that ended this
                # task would end analytics without a word.
                log.debug("not %s: %r", fate, failure)
            else:
                self._metrics.events.labels(fate).inc(len(self._event.data["answers"]))
                self._event = None
                return
        await asyncio.sleep(PAUSE)

    async def _put_aside(self, event: Event) -> None:
        async with asyncio.timeout(PATIENCE), self._database.begin() as connection:
            await connection.execute(KEEP, {"event": event.to_json().decode()})
