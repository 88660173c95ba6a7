"""One bad row must not stop the night's load.

`transform` makes typed rows of what a source sent. A single bad row ends it with a ValueError,
and at three in the morning nobody is there. Somebody's repair (a bare `except: pass`) was worse:
rows vanished, and nobody knew. Repair it properly: the good rows are returned, and each bad row
becomes a `DeadLetter` with the row as it came, the field and the reason, so that it can be mended
and sent again. Every row is in one of the two lists.

A price is a number of 0 or more; an amount is a whole number of 1 or more.
"""

from dataclasses import dataclass
from decimal import Decimal


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


def transform(rows: list[dict[str, str]]) -> tuple[list[Line], list[DeadLetter]]:
    """(good rows, bad rows): together as many as came."""
    # TODO: a bad row belongs among the dead letters.
    good = [Line(row["sku"], Decimal(row["price"]), int(row["amount"])) for row in rows]
    return good, []
