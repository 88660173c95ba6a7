"""Smoke tests: course data must be untouched, and transcripts hold for the embedded Linux stack."""

import sys
from collections.abc import Iterator

import pytest

from course import connect, stack
from course.errors import ServiceUnavailable


@pytest.fixture(scope="session")
def embedded_on_linux() -> bool:
    return sys.platform == "linux" and stack.find("postgres").source == "embedded"


@pytest.fixture
def course_data_unchanged() -> Iterator[None]:
    """Fails the test when the lesson left the shop other than it found it."""
    from course.shop.load import fingerprint

    try:
        connect.prepare(["postgres"])
    except ServiceUnavailable:
        yield
        return
    connection = connect.postgres()
    connection.autocommit = True
    before = fingerprint(connection)
    yield
    after = fingerprint(connection)
    connection.close()
    assert after == before, "the lesson changed course data"
