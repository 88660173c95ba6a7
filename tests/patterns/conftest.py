"""Every engine, fresh and empty, and repositories over it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest
from customer_service import ICustomerStore, InMemoryRepository, RepositoryFactory, Settings
from customer_service.classroom.corners import SHARED, empty_corner
from customer_service.engines.memory import Shelf

Service = Callable[[str], str]
OpenStore = Callable[[], ICustomerStore]


@contextmanager
def corner(engine: str, service: Service) -> Iterator[Settings]:
    """An empty corner of an engine that processes can share; skips aloud without its server."""
    if engine != "duckdb":
        service(engine)
    with empty_corner(engine, f"patterns_{uuid4().hex[:12]}") as settings:
        yield settings


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


@pytest.fixture(params=SHARED)
def settings(request: pytest.FixtureRequest, service: Service) -> Iterator[Settings]:
    """Settings of each engine that keeps its customers outside of the process."""
    with corner(request.param, service) as chosen:
        yield chosen


@pytest.fixture(params=["memory", *SHARED])
def open_store(request: pytest.FixtureRequest, service: Service) -> Iterator[OpenStore]:
    """Opens repositories of each engine over the same customers."""
    with stores(request.param, service) as opened:
        yield opened


@pytest.fixture
def store(open_store: OpenStore) -> ICustomerStore:
    """One empty repository of each engine."""
    return open_store()


@pytest.fixture
def all_stores(service: Service) -> Callable[[str], contextmanager]:
    """`stores` for tests that open and close several corners themselves."""
    return lambda engine: stores(engine, service)
