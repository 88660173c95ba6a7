"""Committed, forgotten, failed, and used again."""

import sqlite3

from course.exercises import expect, expect_error

INSERT = "INSERT INTO orders VALUES (?)"


def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY)")
    return connection


def numbers(connection: sqlite3.Connection) -> list[int]:
    """What is there after the block, whatever somebody left open."""
    connection.rollback()
    return [n for (n,) in connection.execute("SELECT number FROM orders ORDER BY number")]


def check_committed(their):
    """What is committed stays"""
    connection = database()
    with their.UnitOfWork(connection) as work:
        work.execute(INSERT, (1,))
        work.execute(INSERT, (2,))
        work.commit()
    expect(numbers(connection), [1, 2])


def check_forgotten(their):
    """Who forgets to commit keeps nothing"""
    connection = database()
    with their.UnitOfWork(connection) as work:
        work.execute(INSERT, (1,))
    expect(connection.in_transaction, False, "A transaction was left open: roll back in __exit__.")
    expect(numbers(connection), [], "Only commit() makes changes true.")


def check_failed(their):
    """An error rolls back, and comes out"""
    connection = database()
    with (
        expect_error(
            sqlite3.IntegrityError, "__exit__ must not return True: that hides the error."
        ),
        their.UnitOfWork(connection) as work,
    ):
        work.execute(INSERT, (1,))
        work.execute(INSERT, (1,))
        work.commit()
    expect(connection.in_transaction, False, "Roll back in __exit__.")
    expect(numbers(connection), [], "The first insert goes with the second.")


def check_after_commit(their):
    """What was committed before an error stays"""
    connection = database()
    with expect_error(ZeroDivisionError), their.UnitOfWork(connection) as work:
        work.execute(INSERT, (1,))
        work.commit()
        work.execute(INSERT, (2,))
        raise ZeroDivisionError
    expect(numbers(connection), [1], "Order 1 was committed, order 2 wasn't.")


def check_results(their):
    """Questions are answered inside the block"""
    with their.UnitOfWork(database()) as work:
        work.execute(INSERT, (7,))
        expect(work.execute("SELECT number FROM orders").fetchone(), (7,), "Return the cursor.")
