"""Events on RabbitMQ: what a message looks like, where it goes, how it is published and consumed.

    topology = Topology(prefix="demo.", queue="emails", keys=("user.created",))

    publisher → topic exchange demo.user_events → demo.emails → consumer
                                                    ↑      ↓ failed: publish again, attempt + 1
                                    after the delay │   demo.emails.retry.1000ms, …5000ms, …
                                                    │      ↓ no attempt left, or unreadable
                                                    └─ demo.emails.dead  (inspect, then replay)

Everything is durable and every hop is confirmed, so a message is in one of these queues at least
once until somebody has finished with it. At least once means: sometimes twice. `inbox` makes the
effect happen once all the same. `consuming` reads the queue, retries, buries and replays. All of it
works on RabbitMQ 3.10 and newer, with quorum queues.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractExchange

ATTEMPT = "attempt"
NO_LIMIT = 1_000_000  # deliveries; -1 would say "none", but RabbitMQ 3 does not know it


class BadMessage(ValueError):  # noqa: N818
    """A body that is no event, and won't be one at the next attempt."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a user. `data` holds what else the event says.

    On the wire it is one flat JSON object: {"type": "user.created", "user_id": 123, "email": …}
    with `event_id` (a UUID, the key for "seen already?") and `occurred_at` (ISO 8601 with zone).
    """

    type: str
    user_id: int
    data: Mapping[str, Any] = field(default_factory=dict)
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    occurred_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_json(self) -> bytes:
        """The message's body."""
        fixed = {
            "type": self.type,
            "user_id": self.user_id,
            "event_id": self.event_id,
            "occurred_at": self.occurred_at.isoformat(),
        }
        return json.dumps({**self.data, **fixed}).encode()

    @classmethod
    def from_json(cls, body: bytes | str) -> "Event":
        """Read a body; BadMessage says what is wrong with it."""
        try:
            data = json.loads(body)
            kind, user_id = data.pop("type"), data.pop("user_id")
            event_id = str(uuid.UUID(data.pop("event_id")))
            occurred_at = datetime.fromisoformat(data.pop("occurred_at"))
        except KeyError as error:
            raise BadMessage(f"the field {error} is missing") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise BadMessage(f"not an event: {error}") from error
        if not isinstance(kind, str) or not kind or type(user_id) is not int:
            raise BadMessage("type must be text and user_id a whole number")
        if occurred_at.tzinfo is None:
            raise BadMessage("occurred_at has no time zone")
        return cls(kind, user_id, data, event_id, occurred_at)


@dataclass(frozen=True)
class Topology:
    """The names of one consumer group's queues, and how patient it is.

    `prefix` keeps lessons, tests and the API apart. `keys` are the topics the group wants: `*` is
    one word, `#` any number of them. `delays` are the seconds before attempts 2, 3, …; after the
    last one a message is dead. `delivery_limit` is how often a message may come back without an
    answer (its consumer died) before the broker itself calls it dead; keep it above the number of
    consumers, since a crash returns what they had prefetched, too.
    """

    prefix: str = ""
    queue: str = "analytics"
    keys: Sequence[str] = ("user.#",)
    delays: Sequence[float] = (1.0, 5.0, 25.0)
    delivery_limit: int = 10

    @property
    def exchange(self) -> str:
        """The topic exchange, shared by all groups of this prefix."""
        return f"{self.prefix}user_events"

    @property
    def work(self) -> str:
        """The queue that consumers of the group read."""
        return f"{self.prefix}{self.queue}"

    @property
    def dead(self) -> str:
        """The dead-letter queue."""
        return f"{self.work}.dead"

    @property
    def retries(self) -> list[str]:
        """The waiting queues. A delay is in the name, since a queue's arguments can't change."""
        return [f"{self.work}.retry.{milliseconds(delay)}ms" for delay in self.delays]

    def queues(self) -> dict[str, dict[str, Any]]:
        """Every queue of the group with its arguments."""
        kept = {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT}
        waiting = {
            name: kept | passing_on(to=self.work) | {"x-message-ttl": milliseconds(delay)}
            for name, delay in zip(self.retries, self.delays, strict=True)
        }
        limit = {"x-delivery-limit": self.delivery_limit}
        return {self.work: kept | passing_on(to=self.dead) | limit, **waiting, self.dead: kept}


def milliseconds(seconds: float) -> int:
    """The unit of RabbitMQ's TTL."""
    return round(seconds * 1000)


def passing_on(to: str) -> dict[str, Any]:
    """Arguments of a queue whose dead letters go to the queue `to`, with a confirm.

    By default they are republished without one. `at-least-once` needs `reject-publish`.
    """
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": to,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def open_channel(connection: pika.BlockingConnection, prefetch: int = 0) -> BlockingChannel:
    """A channel with publisher confirms and at most `prefetch` unacknowledged messages (0: any)."""
    channel = connection.channel()
    channel.confirm_delivery()
    if prefetch:
        channel.basic_qos(prefetch_count=prefetch)
    return channel


def declare(channel: BlockingChannel, topology: Topology) -> None:
    """Make the exchange, the queues and the bindings; harmless when they are there.

    ChannelClosedByBroker (406 PRECONDITION_FAILED) when a queue exists with other arguments:
    give it another name, or remove it.
    """
    channel.exchange_declare(topology.exchange, "topic", durable=True)
    for name, arguments in topology.queues().items():
        channel.queue_declare(name, durable=True, arguments=arguments)
    for key in topology.keys:
        channel.queue_bind(topology.work, topology.exchange, key)


def remove(channel: BlockingChannel, topology: Topology) -> None:
    """Delete all of it, messages included."""
    for name in topology.queues():
        channel.queue_delete(name)
    channel.exchange_delete(topology.exchange)


async def declare_async(channel: "AbstractChannel", topology: Topology) -> "AbstractExchange":
    """`declare` for aio-pika; the exchange is what `publish_async` takes.

    Open the channel with `on_return_raises=True`: else an unroutable message raises nothing.
    """
    exchange = await channel.declare_exchange(topology.exchange, "topic", durable=True)
    for name, arguments in topology.queues().items():
        queue = await channel.declare_queue(name, durable=True, arguments=arguments)
        if name == topology.work:
            for key in topology.keys:
                await queue.bind(exchange, key)
    return exchange


def properties(event: Event, attempt: int = 1, **headers: object) -> dict[str, Any]:
    """The properties of an event's message, for either library: persistent, JSON, its attempt."""
    return {
        "content_type": "application/json",
        "delivery_mode": 2,
        "message_id": event.event_id,
        "type": event.type,
        "headers": {ATTEMPT: attempt, **headers},
    }


def publish(channel: BlockingChannel, exchange: str, event: Event) -> None:
    """Publish an event and wait until the broker has it on disk.

    UnroutableError when no queue wants it, NackError when the broker refused it. After any other
    AMQPError nobody knows: publish it again, with the same event_id.
    """
    wire = pika.BasicProperties(**properties(event))
    channel.basic_publish(exchange, event.type, event.to_json(), wire, mandatory=True)


async def publish_async(exchange: "AbstractExchange", event: Event, patience: float = 5.0) -> None:
    """`publish` for aio-pika; many may be under way at once.

    PublishError when no queue wants it, DeliveryError when the broker refused it, TimeoutError when
    no confirm came in `patience` seconds. After the last two, publish it again, with the same id.
    """
    from aio_pika import Message as Outgoing

    wire = Outgoing(event.to_json(), **properties(event))
    await exchange.publish(wire, event.type, mandatory=True, timeout=patience)
