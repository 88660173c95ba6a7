"""The engine: similar products from the cache, in the order that this visitor would choose."""

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple
from functools import lru_cache
from typing import NamedTuple

from recommender.cache import TieredCache
from recommender.customers import OFFERS, Profile, Segment
from recommender.online import OnlineLogistic, features
from recommender.shop import Catalogue

TABLE = "CREATE TABLE profiles (user_id INTEGER PRIMARY KEY, segment TEXT, churn REAL, ltv REAL)"
FIND = "SELECT * FROM profiles WHERE user_id = ?"


class Recommendation(NamedTuple):
    """Products, best first, and what the visitor's segment is offered with them."""

    products: list[int]
    offer: str


class UnknownUserError(LookupError):
    """There is no profile of this user."""


class RecommendationEngine:
    """Recommends with what the other parts have found out; it computes nothing twice."""

    def __init__(self, catalogue: Catalogue, cache: TieredCache, model: OnlineLogistic) -> None:
        self.catalogue, self.cache, self.model = catalogue, cache, model
        self._database = sqlite3.connect(":memory:")
        self._database.execute(TABLE)
        # A cache of this engine's own: `@lru_cache` above the method would keep every engine alive.
        self.get_user_profile = lru_cache(maxsize=10_000)(self._read_profile)

    def save_profiles(self, found: Iterable[Profile]) -> None:
        """Store profiles, replacing older ones, and forget what was read before."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?)", map(astuple, found)
            )
        self.get_user_profile.cache_clear()

    def _read_profile(self, user_id: int) -> Profile:
        """The profile of a user; UnknownUserError if there is none."""
        row = self._database.execute(FIND, (user_id,)).fetchone()
        if row is None:
            raise UnknownUserError(f"nobody has the number {user_id}")
        return Profile(row[0], Segment(row[1]), *row[2:])

    def recommend(self, user_id: int, product: int, many: int = 3) -> Recommendation:
        """What to show this user beside this product.

        A product without neighbours gets none: show bestsellers there (the cold start). A user
        without a profile is new, and is treated as active.
        """
        try:
            offer = OFFERS[self.get_user_profile(user_id).segment]
        except UnknownUserError:
            offer = OFFERS[Segment.ACTIVE]
        return Recommendation(self.ranked(user_id, product)[:many], offer)

    def ranked(self, user_id: int, product: int) -> list[int]:
        """The neighbours of `product` by the chance that this user buys, best first."""

        def chance(pair: tuple[int, float]) -> float:
            other, similarity = pair
            return self.model.predict(
                features(user_id, self.catalogue.category_of(other), similarity)
            )

        return [other for other, _ in sorted(self.cache.get(product), key=chance, reverse=True)]

    def learn(self, user_id: int, product: int, similarity: float, bought: bool) -> None:
        """Take in what the user did: the next recommendation knows it."""
        category = self.catalogue.category_of(product)
        self.model.learn(features(user_id, category, similarity), bought)

    def close(self) -> None:
        """Close the profiles."""
        self._database.close()
