"""A store of a test's own: a schema, keys and a folder that are gone afterwards."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from feature_store import FeatureStore
from feature_store.classroom import Calendar
from psycopg2.sql import SQL, Identifier

from course import connect


@contextmanager
def new_store(folder: Path, name: str = "") -> Iterator[FeatureStore]:
    """A store under a name that nobody else uses, with a clock that the test sets."""
    name = name or f"fs_{os.getpid()}_{uuid4().hex[:8]}"
    try:
        with FeatureStore(name=name, clock=Calendar(), parquet_folder=folder) as store:
            yield store
    finally:
        with ExitStack() as stack:
            connection = stack.enter_context(closing(connect.postgres()))
            client = stack.enter_context(connect.redis())
            with connection, connection.cursor() as cursor:
                query = SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name))
                cursor.execute(query)
            for key in client.scan_iter(f"{name}:*", count=1_000):
                client.unlink(key)


@pytest.fixture
def store(service: Callable[[str], str], tmp_path: Path) -> Iterator[FeatureStore]:
    service("postgres")
    service("redis")
    with new_store(tmp_path) as store:
        yield store


@pytest.fixture(scope="module")
def shared_store(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeatureStore]:
    """One store for tests that leave it as it was."""
    service("postgres")
    service("redis")
    with new_store(tmp_path_factory.mktemp("parquet")) as store:
        yield store
