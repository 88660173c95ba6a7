"""Databases for the shop's tests: always ones of their own, never the course's working data."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions as pg
import pytest

from course.shop.load import ensure_loaded

numbers = count()


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of a new, empty database on `server`, which is dropped at the end."""
    name = f"shop_test_{os.getpid()}_{next(numbers)}"
    with closing(psycopg2.connect(server)) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {name}")
            try:
                yield urlsplit(server)._replace(path=f"/{name}").geturl()
            finally:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shop(service: Callable[[str], str]) -> Iterator[pg.connection]:
    """A connection to the default shop; tests only read it."""
    with new_database(service("postgres")) as url, closing(psycopg2.connect(url)) as connection:
        ensure_loaded(connection)
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'Europe/Kyiv'")  # no query may depend on it
        connection.commit()
        connection.set_session(readonly=True, autocommit=True)
        yield connection


@pytest.fixture
def database(service: Callable[[str], str]) -> Iterator[str]:
    """The URL of an empty database."""
    with new_database(service("postgres")) as url:
        yield url


@pytest.fixture
def connection(database: str) -> Iterator[pg.connection]:
    """A connection to an empty database."""
    with closing(psycopg2.connect(database)) as connection:
        yield connection
