"""What the tests of the watched pipeline share: a namespace of their own, and a pipeline in it."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from observability.orders import TABLES
from observability.shop import Shop, open_shop

from course.workspace import own_schema


@contextmanager
def shop_of_a_test(environment: dict[str, str] | None = None) -> Iterator[Shop]:
    """A pipeline on the course's servers, under a name that no other test has."""
    name = f"test_monitoring_{uuid.uuid4().hex[:8]}"
    with own_schema(name, TABLES), open_shop(name, environment) as shop:
        yield shop


@pytest.fixture(scope="module")
def shop(service: Callable[[str], str]) -> Iterator[Shop]:
    service("postgres")
    service("rabbitmq")
    with shop_of_a_test() as shop:
        yield shop
