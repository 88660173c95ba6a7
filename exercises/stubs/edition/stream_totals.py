"""A file larger than the memory.

`totals` adds up the amounts of each category. It works with a file of a megabyte; with a file of a
terabyte the machine dies, for all lines are in memory at once, several times. Write it so that only
a few lines are held at any moment. Lines look like "books;12.50"; empty lines and those that begin
with "#" are skipped. The amounts are added exactly (Decimal).
"""

from collections.abc import Iterable
from decimal import Decimal


def totals(lines: Iterable[str]) -> dict[str, Decimal]:
    """The sum of the amounts by category."""
    # TODO: one line at a time.
    stripped = [line.strip() for line in lines]
    rows = [line.split(";") for line in stripped if line and not line.startswith("#")]
    categories = sorted({category for category, _ in rows})
    return {
        wanted: sum(
            (Decimal(amount) for category, amount in rows if category == wanted), Decimal(0)
        )
        for wanted in categories
    }
