"""A database of its own with the shop and its views, and its tables as frames."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import psycopg2.extensions as pg
import pytest

from course.analytics import apply
from course.shop.load import ensure_loaded
from tests.shop.conftest import new_database
from tests.sql_examples.shop_frames import Shop, read_shop


@pytest.fixture(scope="session")
def shop_url(service: Callable[[str], str]) -> Iterator[str]:
    """The URL of the default shop with its views."""
    with new_database(service("postgres")) as url:
        with closing(psycopg2.connect(url)) as connection:
            ensure_loaded(connection)
            apply(connection)
        yield url


@pytest.fixture(scope="session")
def shop(shop_url: str) -> Iterator[pg.connection]:
    """A connection that only reads, in a time zone on which no view may depend."""
    with closing(psycopg2.connect(shop_url)) as connection:
        connection.set_session(readonly=True, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'America/Los_Angeles'")
        yield connection


@pytest.fixture(scope="session")
def tables(shop: pg.connection) -> Shop:
    """The five tables, read once."""
    return read_shop(shop)


@pytest.fixture
def empty_url(service: Callable[[str], str]) -> Iterator[str]:
    """The URL of an empty database."""
    with new_database(service("postgres")) as url:
        yield url
