"""What the service is made of: built in order when it starts, let go in reverse when it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pymongo import AsyncMongoClient
from redis.asyncio import Redis
from shop_profile import cache
from shop_profile.database import make_async_engine
from shop_profile.engine import Engine
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from recommendations_api.batching import BatchingRedis
from recommendations_api.callers import Keys, RateLimit
from recommendations_api.catalogue import Catalogue
from recommendations_api.events import Broker, Events
from recommendations_api.metrics import Metrics
from recommendations_api.service import Recommender
from recommendations_api.settings import Settings

NEEDED = ("postgres", "mongo")  # without these there is no right answer
PATIENCE = 1.0  # seconds for a neighbour to say that it is there
# A Redis that is dead refuses at once; this is for one that hangs. Longer than the loop needs for a
# rush of 500 requests: with 50 ms a busy loop looked like a dead Redis, and loaded twice.
REDIS_PATIENCE = 0.5  # seconds
POOL = 8  # connections to PostgreSQL
MILLISECONDS = {"serverSelectionTimeoutMS": 2000, "connectTimeoutMS": 2000, "timeoutMS": 5000}


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a route may ask for."""

    settings: Settings
    keys: Keys
    limit: RateLimit
    recommender: Recommender
    events: Events
    metrics: Metrics
    redis: Redis
    database: AsyncEngine
    mongo: AsyncMongoClient

    async def ask_neighbours(self) -> dict[str, str]:
        """What each service says: "ok", or what is wrong with it."""
        questions: dict[str, Awaitable[object]] = {
            "postgres": self._ask_postgres(),
            "mongo": self.mongo.admin.command("ping"),
            "redis": self.redis.ping(),
            "rabbitmq": self.events.broker.ping(),
        }
        answers = await asyncio.gather(*(verdict(question) for question in questions.values()))
        return dict(zip(questions, answers, strict=True))

    async def _ask_postgres(self) -> None:
        async with self.database.connect() as connection:
            await connection.execute(text("SELECT 1"))

    @staticmethod
    def can_answer(services: dict[str, str]) -> bool:
        """Whether the services that an answer can't do without are there."""
        return all(services[name] == "ok" for name in NEEDED)


async def verdict(question: Awaitable[object]) -> str:
    """ "ok" when the question is answered in time, else what went wrong."""
    try:
        await asyncio.wait_for(question, PATIENCE)
    except TimeoutError:
        return f"no answer in {PATIENCE:g} s"
    except Exception as failure:
        return f"unreachable ({type(failure).__name__})"
    return "ok"


@asynccontextmanager
async def parts(settings: Settings, metrics: Metrics) -> AsyncIterator[Parts]:
    """Build the parts. No neighbour needs to be up: connections are made when they are needed.

    OSError or ValueError when the model's files are not there: run `recommendations_api.prepare`.
    """
    engine = Engine.load(settings.model / "engine.json")
    catalogue = Catalogue.load(settings.model / "catalogue.json")
    async with AsyncExitStack() as ends:
        redis = BatchingRedis.from_pool(
            cache.connect(settings.redis, REDIS_PATIENCE).connection_pool
        )
        ends.push_async_callback(redis.aclose)
        # pre_ping asks a pooled connection whether it lives: after a restart of PostgreSQL the
        # first request finds a new connection instead of an error.
        database = make_async_engine(
            settings.postgres, settings.name, pool_size=POOL, max_overflow=0, pool_timeout=2,
            pool_pre_ping=True,
        )  # fmt: skip
        ends.push_async_callback(database.dispose)
        mongo: AsyncMongoClient = AsyncMongoClient(settings.mongo, **MILLISECONDS)
        ends.push_async_callback(mongo.close)
        broker = Broker(settings.rabbitmq, settings.topology)
        events = await ends.enter_async_context(Events(broker, database, metrics))
        recommender = Recommender(
            cache=cache.Cache(redis, settings.cache_prefix, patience=REDIS_PATIENCE),
            cache_seconds=settings.cache_seconds,
            sessions=async_sessionmaker(database, expire_on_commit=False),
            customers=mongo.get_default_database("learning_db")[settings.collection],
            engine=engine,
            catalogue=catalogue,
            today=settings.today,
            metrics=metrics,
        )
        keys, limit = Keys(settings.api_keys), RateLimit(settings.rate, settings.burst)
        yield Parts(settings, keys, limit, recommender, events, metrics, redis, database, mongo)
