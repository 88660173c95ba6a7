"""Stacks of their own for the tests in this folder."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from course.settings import SERVICES
from tests.stack.mongo_process import Client, Documents, running_server
from tests.stack.private import PrivateStack


@pytest.fixture
def private_stack() -> Iterator[Callable[..., PrivateStack]]:
    """Makes private stacks, with settings if wanted, and takes them down after the test."""
    made: list[PrivateStack] = []

    def make(**settings: str) -> PrivateStack:
        made.append(PrivateStack(settings=settings))
        return made[-1]

    yield make
    for stack in made:
        stack.close()


@pytest.fixture(scope="session")
def cold_start() -> Iterator[tuple[PrivateStack, list[dict[str, Any]]]]:
    """The session's private stack, and what two processes found that started it at once."""
    stack = PrivateStack()
    try:
        yield stack, stack.find_at_once(*SERVICES, times=2)
    finally:
        stack.close()


@pytest.fixture
def shared_stack(cold_start: tuple[PrivateStack, list[dict[str, Any]]]) -> PrivateStack:
    """The session's private stack with all four services up; tests may kill its servers."""
    stack, _ = cold_start
    stack.find(*SERVICES)
    return stack


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server() as (_, address):
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with MongoClient(url) as connected:
        yield connected
        for name in connected.list_database_names():
            connected.drop_database(name)


@pytest.fixture
def things(client: Client) -> Documents:
    return client["test"]["things"]
