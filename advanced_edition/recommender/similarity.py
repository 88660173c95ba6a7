"""Which products are bought together: the cosine of two products, from baskets alone.

Seen as a vector with a 1 for each basket that has it, two products have the cosine
    together(i, j) / sqrt(baskets(i) * baskets(j))
which is 1 when they are always bought together and 0 when never. (Sarwar, Karypis, Konstan, Riedl:
Item-based collaborative filtering recommendation algorithms, 2001; Amazon's version is Linden,
Smith, York: Amazon.com recommendations, 2003.)
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain
from math import sqrt

from recommender.shop import Baskets

AT_LEAST_TOGETHER = 2  # once is chance
LOWEST = 0.1  # below it, a similarity says nothing
NEIGHBOURS = 10
# A product in very many baskets is counted in an even sample of them: the carrier bag alone would
# otherwise cost more than all others together.
MOST_BASKETS = 500
AT_LEAST_IN_SAMPLE = 10

Neighbours = tuple[tuple[int, float], ...]


class PurchaseIndex:
    """Baskets turned round: for each product, the numbers of the baskets that have it."""

    def __init__(self, baskets: Baskets, products: int) -> None:
        self.baskets = baskets
        counts = array("I", bytes(4 * products))
        for product in baskets.items:
            counts[product] += 1
        self._ends = array("I", accumulate(counts))
        self.counts = counts
        free = array("I", (end - count for end, count in zip(self._ends, counts, strict=True)))
        self._numbers = array("I", bytes(4 * len(baskets.items)))
        for number, basket in enumerate(baskets):
            for product in basket:
                self._numbers[free[product]] = number
                free[product] += 1

    def together(self, product: int) -> tuple[Counter, int]:
        """(how often each other product was in a basket with `product`, one basket in how many).

        The second is 1 unless `product` is in more than MOST_BASKETS baskets.
        """
        end = self._ends[product]
        one_in = self.counts[product] // MOST_BASKETS + 1
        numbers = self._numbers[end - self.counts[product] : end : one_in]
        items, starts = self.baskets.items, self.baskets.starts
        found = Counter(chain.from_iterable(items[starts[n] : starts[n + 1]] for n in numbers))
        del found[product]
        return found, one_in

    def neighbours(self, product: int) -> Neighbours:
        """The most similar products with their cosine, best first; often fewer than NEIGHBOURS."""
        together, one_in = self.together(product)
        mine = self.counts[product]
        fewest = AT_LEAST_TOGETHER if one_in == 1 else AT_LEAST_IN_SAMPLE
        scored = (
            (other, times * one_in / sqrt(mine * self.counts[other]))
            for other, times in together.items()
            if times >= fewest
        )
        good = [(other, min(score, 1.0)) for other, score in scored if score >= LOWEST]
        good.sort(key=lambda pair: (-pair[1], pair[0]))
        return tuple(good[:NEIGHBOURS])

    def most_often_together(self, product: int) -> int | None:
        """What is bought with it most often, by count alone: the naive answer."""
        together, _ = self.together(product)
        return min(together, key=lambda other: (-together[other], other), default=None)


def rows(index: PurchaseIndex, products: Iterable[int]) -> Iterator[tuple[int, int, float]]:
    """The similarities of `products` as (product, other, cosine), ready for a table."""
    for product in products:
        for other, score in index.neighbours(product):
            yield product, other, score
