"""The story of one answer: Redis, PostgreSQL, MongoDB, the engine, Redis again.

Read `Recommender.for_user` first, then `_load`: they are the service. The rest of the package
serves them over HTTP (`app`), tells analytics (`events`) and counts (`metrics`).
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError
from shop_profile import cache
from shop_profile.cache import Cache
from shop_profile.database import user_profile_async
from shop_profile.documents import find_customer_async
from shop_profile.engine import Engine, Purchase
from shop_profile.models import User
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from recommendations_api.answers import Personal, Recommended, Tier
from recommendations_api.catalogue import Catalogue
from recommendations_api.metrics import Metrics

CANDIDATES, SHOWN = 10, 5  # products: that the engine proposes, and that are answered
PATIENCE = 5.0  # seconds for one store
CACHE_DOWN = "The cache does not answer: this answer came from the databases, which is slower."


class NoSuchUser(LookupError):  # noqa: N818
    """There is no user with this id."""


class StoreDown(Exception):  # noqa: N818
    """A database that an answer can't do without does not answer."""


@dataclass(frozen=True, slots=True)
class Served:
    """An answer on its way out: the cached part as JSON text, and how it was made."""

    personal: str
    tier: Tier
    degraded: list[str]
    milliseconds: dict[str, float]


class Stopwatch:
    """Milliseconds by store, for one request."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began = time.perf_counter()
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def timing(self, store: str) -> Iterator[None]:
        """Time the block as the work of `store`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._note(store, time.perf_counter() - began)

    def rest(self, store: str) -> None:
        """Everything since the beginning that no other store took was the work of `store`."""
        seconds = time.perf_counter() - self._began
        self._note(store, seconds - sum(self.milliseconds.values()) / 1000)

    def _note(self, store: str, seconds: float) -> None:
        self.milliseconds[store] = seconds * 1000
        self._metrics.store.labels(store).observe(seconds)


@dataclass(frozen=True, slots=True)
class Recommender:
    """Answers for users. One object for the process, made when the app starts."""

    cache: Cache
    cache_seconds: int
    sessions: async_sessionmaker[AsyncSession]
    customers: AsyncCollection[dict[str, Any]]
    engine: Engine
    catalogue: Catalogue
    today: date
    metrics: Metrics

    async def for_user(self, user_id: int) -> Served:
        """Redis answers, or the databases do and Redis keeps it for an hour.

        However many ask for the same user at once, the databases are asked once. NoSuchUser and
        StoreDown reach all who asked and are not kept.
        """
        watch, key, answered = Stopwatch(self.metrics), str(user_id), cache.Tier.REDIS
        personal = await self.cache.peek(key)
        if personal is None:
            load = partial(self._load, user_id, watch)
            personal, answered = await self.cache.get_or_load(key, self.cache_seconds, load)
        watch.rest("redis")
        tier: Tier = "redis" if answered is cache.Tier.REDIS else "database"
        degraded = [CACHE_DOWN] if answered is cache.Tier.LOADER_ALONE else []
        return Served(personal, tier, degraded, watch.milliseconds)

    async def _load(self, user_id: int, watch: Stopwatch) -> str:
        """PostgreSQL knows who it is, MongoDB what they did, the engine what that means."""
        with watch.timing("postgres"):
            user = await self.user(user_id)
        with watch.timing("mongo"):
            document = await self._document(user_id)
        with watch.timing("engine"):
            personal = self._personal(user, document)
        self.metrics.loads.inc()
        return personal.model_dump_json()

    async def user(self, user_id: int) -> User:
        """The user with address, city and country; NoSuchUser, or StoreDown for PostgreSQL."""
        try:
            async with asyncio.timeout(PATIENCE), self.sessions() as session:
                user = await user_profile_async(session, user_id)
        except (SQLAlchemyError, OSError) as failure:  # TimeoutError is an OSError
            raise StoreDown("PostgreSQL") from failure
        if user is None:
            raise NoSuchUser(f"there is no user {user_id}")
        return user

    async def _document(self, user_id: int) -> dict[str, Any]:
        """Purchases and events; StoreDown for MongoDB. A newcomer may have no document yet."""
        try:
            async with asyncio.timeout(PATIENCE):
                document = await find_customer_async(self.customers, user_id)
        except (PyMongoError, OSError) as failure:
            raise StoreDown("MongoDB") from failure
        return document or {"purchases": [], "events": []}

    def _personal(self, user: User, document: dict[str, Any]) -> Personal:
        """What the engine makes of it; what they looked at comes first, then the engine's order."""
        purchases = [as_purchase(line) for line in document["purchases"]]
        profile = self.engine.profile(purchases, user.registered_on, self.today)
        owned = {purchase.product_id for purchase in purchases}
        looked_at = {e["product_id"] for e in document["events"] if "product_id" in e}
        candidates = self.catalogue.on_sale(self.engine.recommend(owned, CANDIDATES))
        candidates.sort(key=lambda product: product.product_id not in looked_at)
        return Personal(
            user_id=user.user_id,
            segment=profile.segment.value,
            churn_risk=round(profile.churn_risk, 4),
            lifetime_value=round(profile.lifetime_value, 2),
            offer=profile.offer,
            recommendations=[
                Recommended(**product.model_dump(), looked_at=product.product_id in looked_at)
                for product in candidates[:SHOWN]
            ],
        )


def as_purchase(line: dict[str, Any]) -> Purchase:
    """A line of an order, as the engine wants it."""
    amount = float(line["price"].to_decimal() * line["quantity"])
    return Purchase(line["order_id"], line["product_id"], amount, line["at"])
