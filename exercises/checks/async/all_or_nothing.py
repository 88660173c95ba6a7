"""Points move whole, or not at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from course import connect
from course.exercises import expect, expect_error, require

TABLE = """
    CREATE TEMP TABLE points (customer_id int PRIMARY KEY, points int NOT NULL CHECK (points >= 0));
    INSERT INTO points VALUES (1, 100), (2, 5);
"""


@asynccontextmanager
async def table() -> AsyncIterator[asyncpg.Connection]:
    """A connection with a table of its own."""
    connection = await asyncpg.connect(connect.url("postgres"))
    try:
        await connection.execute(TABLE)
        yield connection
    finally:
        await connection.close()


async def points(connection: asyncpg.Connection) -> dict[int, int]:
    rows = await connection.fetch("SELECT customer_id, points FROM points ORDER BY 1")
    return dict(rows)


async def check_move(their):
    """Points move from one to the other."""
    async with table() as connection:
        await their.move(connection, 1, 2, 30)
        expect(await points(connection), {1: 70, 2: 35}, "30 points from customer 1 to 2.")


async def check_too_much(their):
    """Too much: the database refuses, and nothing has changed."""
    async with table() as connection:
        with expect_error(asyncpg.CheckViolationError, "Let the database's error out."):
            await their.move(connection, 2, 1, 50)
        require(
            not connection.is_in_transaction(),
            "a transaction was left open",
            "`async with connection.transaction()` closes it on every way out.",
        )
        expect(await points(connection), {1: 100, 2: 5}, "Both updates belong to one transaction.")


async def check_nobody(their):
    """Nobody there to receive: LookupError, and the giver keeps the points."""
    async with table() as connection:
        with expect_error(LookupError, 'An UPDATE that finds nobody returns "UPDATE 0".'):
            await their.move(connection, 1, 99, 10)
        expect(
            await points(connection),
            {1: 100, 2: 5},
            "Raise inside the transaction's block, so that it rolls back.",
        )
