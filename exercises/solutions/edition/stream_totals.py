"""A file of any size: one line at a time, one sum for each category."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal


def totals(lines: Iterable[str]) -> dict[str, Decimal]:
    """The sum of the amounts by category."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            category, amount = text.split(";")
            sums[category] += Decimal(amount)
    return dict(sums)
