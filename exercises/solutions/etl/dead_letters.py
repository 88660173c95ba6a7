"""One bad row stops nobody: each row is tried by itself, and the bad ones say field and reason."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation


@dataclass(frozen=True)
class Line:
    """A good row."""

    sku: str
    price: Decimal
    amount: int


@dataclass(frozen=True)
class DeadLetter:
    """A bad row: as it came, which field is wrong, and why."""

    raw: dict[str, str]
    field: str
    reason: str


class Refused(Exception):  # noqa: N818
    """A field is wrong: its name, and why."""


def transform(rows: list[dict[str, str]]) -> tuple[list[Line], list[DeadLetter]]:
    """(good rows, bad rows): together as many as came."""
    good, bad = [], []
    for row in rows:
        try:
            good.append(Line(sku_of(row), price_of(row), amount_of(row)))
        except Refused as refused:
            field, reason = refused.args
            bad.append(DeadLetter(row, field, reason))
    return good, bad


def sku_of(row: dict[str, str]) -> str:
    """The sku; Refused when there is none."""
    if not row.get("sku"):
        raise Refused("sku", "is missing")
    return row["sku"]


def price_of(row: dict[str, str]) -> Decimal:
    """The price; Refused unless it is a number of 0 or more."""
    try:
        price = Decimal(row["price"])
    except (KeyError, InvalidOperation):
        raise Refused("price", f"{row.get('price')!r} is no number") from None
    if not price.is_finite() or price < 0:
        raise Refused("price", f"{price} is not 0 or more")
    return price


def amount_of(row: dict[str, str]) -> int:
    """The amount; Refused unless it is a whole number of 1 or more."""
    try:
        amount = int(row["amount"])
    except (KeyError, ValueError):
        raise Refused("amount", f"{row.get('amount')!r} is no whole number") from None
    if amount < 1:
        raise Refused("amount", f"{amount} is not 1 or more")
    return amount
