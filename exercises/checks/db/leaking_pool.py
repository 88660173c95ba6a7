"""A pool of two connections is asked for nobody five times, then for somebody."""

from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.pool import PoolError

from course import connect
from course.exercises import expect, expect_error, require


@contextmanager
def small_pool():
    """A pool of two connections, which remembers the state in which they come back."""
    pool = connect.postgres_pool(1, 2)
    back, put = [], pool.putconn

    def putconn(connection=None, *others, **options):
        back.append(connection.get_transaction_status())
        put(connection, *others, **options)

    pool.putconn = putconn
    try:
        yield pool, back
    finally:
        pool.closeall()


def check_somebody(their):
    """Somebody is found"""
    with small_pool() as (pool, _):
        name = their.name_of(pool, 1)
        require(isinstance(name, str) and name, f"customer 1 has a name, and {name!r} came back")


def check_nobody(their):
    """Nobody is found five times: the pool is still whole"""
    with small_pool() as (pool, _):
        try:
            for _ in range(5):
                with expect_error(LookupError, "Nobody has number -1: LookupError."):
                    their.name_of(pool, -1)
        except PoolError:
            require(
                False,
                "connection pool exhausted: connections were taken and didn't come back",
                "When an error leaves the function, the lines below it are left out.",
            )
        expect(their.name_of(pool, 1), their.name_of(pool, 1))


def check_broken_question(their):
    """An error of the database gives the connection back, too"""
    with small_pool() as (pool, back):
        for _ in range(3):
            with expect_error(psycopg2.Error, "Let the database's error out."):
                their.name_of(pool, "not a number")
        expect(len(back), 3, "How often a connection came back, after three questions.")


def check_clean(their):
    """What goes back has no transaction open"""
    with small_pool() as (pool, back):
        their.name_of(pool, 1)
        require(
            back == [TRANSACTION_STATUS_IDLE],
            "the connection went back inside a transaction",
            "The SELECT began one. `with connection:` ends it, whatever happens.",
        )
