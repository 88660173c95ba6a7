"""Chance that falls alike on every machine and Python: built on `random.Random.random` alone.

That method keeps its sequence for a given seed from version to version; `choices`, `sample`,
`shuffle` and the distributions of the standard library do not promise to.
"""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from math import gcd
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A seeded source of whole numbers."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed).random

    def below(self, limit: int) -> int:
        """A whole number from 0 up to, not including, `limit`."""
        return int(self.random() * limit)

    def between(self, lowest: int, highest: int) -> int:
        """A whole number from `lowest` to `highest`, both included."""
        return lowest + int(self.random() * (highest - lowest + 1))

    def chance(self, per_cent: int) -> bool:
        """True in `per_cent` of 100 cases."""
        return self.random() * 100 < per_cent

    def pick(self, things: Sequence[T]) -> T:
        """One of `things`, each as likely."""
        return things[int(self.random() * len(things))]

    def weighted(self, cumulative: Sequence[int]) -> int:
        """An index, as likely as its step in the running totals `cumulative` is high."""
        return bisect(cumulative, self.random() * cumulative[-1])

    def shuffle(self, things: list[T]) -> None:
        """Put `things` into a random order (Fisher and Yates)."""
        for last in range(len(things) - 1, 0, -1):
            other = int(self.random() * (last + 1))
            things[last], things[other] = things[other], things[last]


def deck(dice: Dice, counts: Mapping[T, int]) -> Iterator[T]:
    """Cards without end in random order, so that a rate is met exactly whenever a deck is used up.

    `counts` gives the rates; the deck is the smallest one that has them.
    """
    smallest = gcd(*counts.values())
    cards = [card for card, count in counts.items() for _ in range(count // smallest)]
    while True:
        dice.shuffle(cards)
        yield from cards


class Share:
    """Whole numbers that add up to a fraction: so many `parts` for every `whole` counted."""

    def __init__(self, parts: int, whole: int) -> None:
        self._parts, self._whole, self._rest = parts, whole, 0

    def of(self, count: int = 1) -> int:
        """How many fall due after `count` more; what is left over is kept for the next time."""
        due, self._rest = divmod(self._rest + count * self._parts, self._whole)
        return due


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` in proportion to `weights`: whole numbers that add up to `total` exactly."""
    whole, seen, given, parts = sum(weights), 0, 0, []
    for weight in weights:
        seen += weight
        parts.append(total * seen // whole - given)
        given += parts[-1]
    return parts
