"""Everything the service needs, made before it starts and removed afterwards.

In a company these are four jobs: the migration, two nightly loads and the training of the model.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg2
import pymongo
import redis
from pymongo.collection import Collection
from shop_profile import inbox, messages, outbox
from shop_profile.database import fill, make_engine
from shop_profile.documents import customer_documents, load
from shop_profile.engine import Engine
from shop_profile.models import Base

from course.workspace import own_schema, own_turn
from recommendations_api import consumer
from recommendations_api.catalogue import Catalogue
from recommendations_api.settings import Settings

TABLES = inbox.TABLE + outbox.TABLE + consumer.TABLE


@contextmanager
def prepared(settings: Settings) -> Iterator[Settings]:
    """While the block runs, everything of the service's name is there, fresh; then it is gone.

    Yields the settings with the folder in which the model stands. Two runs of one name take turns.
    """
    with (
        own_turn(settings.name),
        own_schema(settings.name, TABLES),
        tempfile.TemporaryDirectory(prefix=settings.name) as folder,
    ):
        ready = replace(settings, model=Path(folder))
        try:
            remove(ready)
            prepare(ready)
            yield ready
        finally:
            remove(ready)


def prepare(settings: Settings) -> None:
    """Fill the schema and the collection, train the model, declare the queues."""
    engine = make_engine(settings.postgres, settings.name)
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        fill(connection)
    engine.dispose()
    with closing(psycopg2.connect(settings.postgres)) as shop:
        with customers(settings) as collection:
            load(collection, customer_documents(shop))
        Engine.fit(shop, as_of=settings.today).save(settings.model / "engine.json")
        Catalogue.read(shop).save(settings.model / "catalogue.json")
    with consumer.open_broker(settings) as broker:
        messages.declare(messages.open_channel(broker), settings.topology)


def remove(settings: Settings) -> None:
    """Delete what the service has outside PostgreSQL: its keys, its documents, its queues."""
    with redis.Redis.from_url(settings.redis) as client:
        for key in client.scan_iter(f"{settings.name}:*"):
            client.delete(key)
    with customers(settings) as collection:
        collection.drop()
    with consumer.open_broker(settings) as broker:
        messages.remove(messages.open_channel(broker), settings.topology)


@contextmanager
def customers(settings: Settings) -> Iterator[Collection]:
    """The collection with one document a customer."""
    with pymongo.MongoClient(settings.mongo) as client:
        yield client.get_default_database("learning_db")[settings.collection]
