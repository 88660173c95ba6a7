"""Every engine, fresh and empty, and repositories over it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from customer_service import ICustomerStore, InMemoryRepository, RepositoryFactory, Settings
from customer_service.engines.memory import Shelf
from psycopg2.sql import SQL, Identifier

from course import connect

PERSISTENT = ("postgres", "mongo", "duckdb")
ENGINES = ("memory", *PERSISTENT)
Service = Callable[[str], str]
OpenStore = Callable[[], ICustomerStore]


@contextmanager
def corner(engine: str, service: Service) -> Iterator[Settings]:
    """Settings of an engine that processes can share, with an empty place of its own."""
    namespace = f"patterns_{uuid4().hex[:12]}"
    if engine == "duckdb":
        with TemporaryDirectory() as folder:
            yield Settings(engine, str(Path(folder) / "customers.duckdb"))
        return
    try:
        yield Settings(engine, service(engine), namespace)
    finally:
        drop(engine, namespace)


def drop(engine: str, namespace: str) -> None:
    """Remove what an engine kept under `namespace`."""
    if engine == "mongo":
        database = connect.mongo()
        database.drop_collection(f"{namespace}_customers")
        database.client.close()
        return
    connection = connect.postgres()
    with connection, connection.cursor() as cursor:
        cursor.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(namespace)))
    connection.close()


@contextmanager
def stores(engine: str, service: Service) -> Iterator[OpenStore]:
    """A function that opens repositories over the same customers; they are closed at the end."""
    with ExitStack() as stack:
        if engine == "memory":
            shelf = Shelf()
            yield lambda: InMemoryRepository(shelf)
            return
        settings = stack.enter_context(corner(engine, service))

        def opened() -> ICustomerStore:
            store = RepositoryFactory.create_customer_repository(settings)
            stack.callback(store.close)
            return store

        yield opened


@pytest.fixture(params=PERSISTENT)
def settings(request: pytest.FixtureRequest, service: Service) -> Iterator[Settings]:
    """Settings of each engine that keeps its customers outside of the process."""
    with corner(request.param, service) as chosen:
        yield chosen


@pytest.fixture(params=ENGINES)
def open_store(request: pytest.FixtureRequest, service: Service) -> Iterator[OpenStore]:
    """Opens repositories of each engine over the same customers."""
    with stores(request.param, service) as opened:
        yield opened


@pytest.fixture
def store(open_store: OpenStore) -> ICustomerStore:
    """One empty repository of each engine."""
    return open_store()
