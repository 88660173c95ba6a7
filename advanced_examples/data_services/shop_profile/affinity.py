"""Recommendations: embeddings of products that are bought together.

Positive pointwise mutual information of each pair of products, cut down by a truncated singular
value decomposition: O. Levy, Y. Goldberg, Neural Word Embedding as Implicit Matrix Factorization
(2014). The dot product of one product's *item* vector and another's *context* vector says how much
more often than by chance the two stand in one basket, as a logarithm: the logarithm of lift.
"""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

DIMENSIONS = 10
SMOOTHING = 5  # so many orders are added to the common ones and to chance: rare pairs stay near 0
# What is popular, to this power: it finds as many hidden products as 1 does, and a strong partner
# comes before what everybody buys anyway.
CALM = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Affinity:
    """Products in the order of their numbers, with vectors of `DIMENSIONS` each."""

    product_ids: tuple[int, ...]
    popularity: np.ndarray  # share of recent orders, to the power CALM; 0 for what is not on sale
    items: np.ndarray
    contexts: np.ndarray

    def recommend(self, owned: Iterable[int], count: int) -> list[int]:
        """Up to `count` products on sale, best first: calmed popularity times the best lift.

        Products that the engine doesn't know tell it nothing, and an empty basket gets what is
        popular. TypeError when a product's number is none; ValueError when `count` is below 1.
        """
        if count < 1:
            raise ValueError(f"count must be 1 or more, not {count}")
        numbers = {operator.index(product_id) for product_id in owned}
        known = [i for i, product_id in enumerate(self.product_ids) if product_id in numbers]
        scores = self.popularity.copy()
        if known:
            log_lift = (self.items[known] @ self.contexts.T).max(axis=0)
            scores *= np.exp(np.maximum(log_lift, 0))
        scores[known] = 0
        best = np.argsort(-scores, kind="stable")[:count]
        return [self.product_ids[i] for i in best if scores[i] > 0]


def embed(together: np.ndarray, orders: int) -> tuple[np.ndarray, np.ndarray]:
    """Item and context vectors, each (products, DIMENSIONS).

    `together` counts the orders with both products, on its diagonal those with one; of `orders`.
    """
    alone = together.diagonal()
    by_chance = np.outer(alone, alone) / orders
    ppmi = np.maximum(np.log((together + SMOOTHING) / (by_chance + SMOOTHING)), 0)
    np.fill_diagonal(ppmi, 0)
    left, sizes, right = np.linalg.svd(ppmi)
    roots = np.sqrt(sizes[:DIMENSIONS])
    return left[:, :DIMENSIONS] * roots, right[:DIMENSIONS].T * roots


def fit_affinity(
    product_ids: Sequence[int],
    baskets: Iterable[Sequence[int]],
    recent: Iterable[Sequence[int]],
    on_sale: Iterable[int],
) -> Affinity:
    """From `baskets`, the products of each order; `recent` ones tell what is popular."""
    ordered = tuple(sorted(product_ids))
    place = {product_id: i for i, product_id in enumerate(ordered)}
    together, orders = _count(baskets, place)
    lately, recent_orders = _count(recent, place)
    if not orders or not recent_orders:
        raise ValueError("without orders there is nothing to recommend from")
    offered = np.isin(ordered, list(on_sale))
    popularity = (lately.diagonal() / recent_orders) ** CALM * offered
    return Affinity(ordered, popularity, *embed(together, orders))


def _count(baskets: Iterable[Sequence[int]], place: dict[int, int]) -> tuple[np.ndarray, int]:
    """How many baskets hold each pair of products, and how many baskets there are."""
    together, orders = np.zeros((len(place), len(place))), 0
    for basket in baskets:
        where = [place[product_id] for product_id in basket]
        together[np.ix_(where, where)] += 1
        orders += 1
    return together, orders
