"""Smoke tests: what a lesson must leave as it was, and where transcripts hold."""

import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from course import connect, stack
from course.errors import ServiceUnavailable
from course.manifest import Entry


@pytest.fixture(scope="session")
def embedded_on_linux() -> bool:
    return sys.platform == "linux" and stack.find("postgres").source == "embedded"


@pytest.fixture(scope="session")
def course_data() -> Iterator[str | None]:
    """The fingerprint of the shop before any lesson; None where there is no PostgreSQL."""
    try:
        connect.prepare(["postgres"])
        yield fingerprint()
    except ServiceUnavailable:
        yield None


def fingerprint() -> str:
    from course.shop import load

    with closing(connect.postgres()) as connection:
        return load.fingerprint(connection)


@pytest.fixture
def course_data_unchanged(course_data: str | None) -> Iterator[None]:
    """Fails the test when the shop is another one after it."""
    yield
    assert course_data is None or fingerprint() == course_data, "the lesson changed course data"


def left_behind(entry: Entry) -> list[str]:
    """Schemas, keys and collections under the lesson's name that are still there.

    (RabbitMQ can't be asked for all its queues; the tests of those lessons ask for each.)
    """
    own = entry.id.replace("/", "_")
    found = []
    if "postgres" in entry.services:
        with closing(connect.postgres()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", [own])
            found += [f"schema {name}" for (name,) in cursor]
    if "redis" in entry.services:
        with connect.redis() as redis:
            found += [f"key {name}" for name in redis.scan_iter(f"{own}*", count=1_000)]
    if "mongo" in entry.services:
        with closing(connect.mongo().client) as client:
            names = client.get_default_database("learning_db").list_collection_names()
            found += [f"collection {name}" for name in names if name.startswith(own)]
    return found
