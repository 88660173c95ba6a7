"""An order on its way through the pipeline: its form, its queue and its table."""

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

CHANNELS = ("web", "mobile", "store")
TABLES = """
    CREATE TABLE orders_taken (
        order_id integer PRIMARY KEY, channel text NOT NULL, total numeric(10, 2) NOT NULL
    );
"""
PUBLISHED = "published_at"  # header: Unix time in seconds


class BadOrder(ValueError):  # noqa: N818
    """An order that will be no better at the next attempt; the text says why."""


@dataclass(frozen=True)
class Namespace:
    """The names that one user of the pipeline has to himself: queues and a schema."""

    name: str

    @property
    def queue(self) -> str:
        """Orders that wait for the worker."""
        return f"{self.name}.orders"

    @property
    def dead(self) -> str:
        """Orders that nobody can process."""
        return f"{self.name}.orders.dead"


@dataclass(frozen=True)
class Order:
    """What a client orders; `total` is in euros."""

    order_id: int
    channel: str
    total: Decimal

    def to_json(self) -> bytes:
        """As it travels: money is text, so that nobody makes it a float."""
        fields = {"order_id": self.order_id, "channel": self.channel, "total": str(self.total)}
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, body: bytes | str) -> "Order":
        """Read an order; BadOrder when its form is wrong. The values are the worker's matter."""
        try:
            data: dict[str, Any] = json.loads(body)
            order_id, channel, total = data["order_id"], data["channel"], Decimal(data["total"])
        except KeyError as error:
            raise BadOrder(f"the field {error} is missing") from error
        except (ValueError, TypeError, InvalidOperation) as error:
            raise BadOrder("not an order: order_id, channel and total as JSON") from error
        if type(order_id) is not int or not isinstance(channel, str) or not total.is_finite():
            raise BadOrder("order_id must be a whole number, channel text, total an amount")
        return cls(order_id, channel, total)

    def accept(self) -> None:
        """Hold the order against the shop's rules; BadOrder names field, value and rule."""
        if self.channel not in CHANNELS:
            raise BadOrder(f"channel {self.channel!r} is none of {', '.join(CHANNELS)}")
        if self.total <= 0:
            raise BadOrder(f"total {self.total} is not above 0")
