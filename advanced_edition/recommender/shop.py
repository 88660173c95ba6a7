"""A shop to learn from: products in a few bytes each, and baskets with a truth planted in them.

The truth is that products come in bundles of four that are bought together (tent, sleeping bag,
lamp, cooker). Every basket has most of a bundle, sometimes a product by chance, and more often than
not a carrier bag: bought with everything, similar to nothing.
"""

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

CATEGORIES = ("books", "garden", "kitchen", "music", "office", "sports", "toys", "travel")
CARRIER_BAG = 0
BUNDLE = 4
FEWEST = 1_000  # with fewer products chance looks like truth
# A prime above any catalogue has no factor in common with its size, so that `rank * SCRAMBLE`
# modulo the size meets every number once: popular products lie all over the catalogue.
SCRAMBLE = 2_147_483_647
WITH_BAG, WITH_CHANCE = 0.6, 0.3


class Catalogue:
    """All products; a product is its number, and its properties are columns.

    A column of numbers is an `array`: the bare bytes, where a list would hold an object for each.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._back = pow(SCRAMBLE, -1, size)
        ranks = (self.rank(product) for product in range(size))
        self.category = array("B", (rank % len(CATEGORIES) for rank in ranks))  # 1 byte each
        self.cents = array("I", (99 + product * 37 % 20_000 for product in range(size)))  # 4 bytes

    @property
    def bytes(self) -> int:
        """What the columns take in memory."""
        return sum(len(column) * column.itemsize for column in (self.category, self.cents))

    def product(self, rank: int) -> int:
        """The number of the product with this rank by popularity, from 0."""
        return rank * SCRAMBLE % self.size

    def rank(self, product: int) -> int:
        """Its rank by popularity, from 0; the opposite of `product`."""
        return product * self._back % self.size

    def category_of(self, product: int) -> str:
        """The name of its category."""
        return CATEGORIES[self.category[product]]

    def bundle(self, product: int) -> int:
        """The planted truth: products of one bundle belong together. The carrier bag is alone."""
        return (self.rank(product) - 1) // BUNDLE


@dataclass(frozen=True)
class Baskets:
    """Baskets of products: basket `b` is `items[starts[b]:starts[b + 1]]`."""

    items: array
    starts: array

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[array]:
        return (self.items[a:b] for a, b in zip(self.starts, self.starts[1:], strict=False))


def shop_baskets(catalogue: Catalogue, seed: int) -> Baskets:
    """Baskets as the shop's tills would have them: about one for each product.

    Each bundle is bought three times, and popular ones more often, after Zipf's law.
    """
    chance, items, starts = random.Random(seed).random, array("I"), array("I", [0])
    bundles = (catalogue.size - 1) // BUNDLE
    for bundle in range(bundles):
        first = 1 + bundle * BUNDLE
        members = [catalogue.product(first + n) for n in range(BUNDLE)]
        for _ in range(3 + bundles // (20 * (bundle + 1))):
            left_out = int(chance() * BUNDLE)
            items.extend(members[:left_out] + members[left_out + 1 :])
            if chance() < WITH_BAG:
                items.append(CARRIER_BAG)
            if chance() < WITH_CHANCE:
                by_chance = int(chance() * catalogue.size)
                if by_chance not in members and by_chance != CARRIER_BAG:
                    items.append(by_chance)
            starts.append(len(items))
    return Baskets(items, starts)


def zipf_visits(catalogue: Catalogue, count: int, seed: int) -> list[int]:
    """Products that `count` visitors look at: the k-th most popular 1/k as often as the first.

    Zipf's law (G. K. Zipf, Human Behavior and the Principle of Least Effort, 1949).
    """
    shares, total = array("d"), 0.0
    for rank in range(1, catalogue.size + 1):
        total += 1 / rank
        shares.append(total)
    ranks = random.Random(seed).choices(range(catalogue.size), cum_weights=shares, k=count)
    return [catalogue.product(rank) for rank in ranks]
