"""Enough, too little, nobody, and two at the same moment."""

import threading
from contextlib import closing
from decimal import Decimal

from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from course import connect
from course.exercises import expect, expect_error, require
from course.workspace import own_schema

SCHEMA = "exercise_transfer"
TABLE = """
    CREATE TABLE accounts (name text PRIMARY KEY, balance numeric(12, 2) NOT NULL);
    INSERT INTO accounts VALUES ('ann', 100), ('bob', 5);
"""


def connection():
    return closing(connect.postgres(options=f"-c search_path={SCHEMA} -c lock_timeout=5s"))


def balances() -> dict[str, Decimal]:
    """What another connection sees: what is committed."""
    with connection() as other, other.cursor() as cursor:
        cursor.execute("SELECT name, balance FROM accounts ORDER BY name")
        return dict(cursor.fetchall())


def check_enough(their):
    """Enough money moves, and is committed"""
    with own_schema(SCHEMA, TABLE), connection() as mine:
        their.transfer(mine, "ann", "bob", Decimal(30))
        expect(
            balances(),
            {"ann": Decimal(70), "bob": Decimal(35)},
            "This is what another connection sees: did you commit?",
        )


def check_too_little(their):
    """Too little: nothing has changed, nothing is left open"""
    with own_schema(SCHEMA, TABLE), connection() as mine:
        with expect_error(ValueError, "bob has 5, and can't give 6."):
            their.transfer(mine, "bob", "ann", Decimal(6))
        require(
            mine.get_transaction_status() == TRANSACTION_STATUS_IDLE,
            "a transaction was left open",
            "`with connection:` ends the transaction on every way out.",
        )
        their.transfer(mine, "bob", "ann", Decimal(5))
        expect(balances(), {"ann": Decimal(105), "bob": Decimal(0)}, "All of it may be given.")


def check_nobody(their):
    """No such account: the giver keeps the money"""
    with own_schema(SCHEMA, TABLE), connection() as mine:
        for giver, receiver in (("ann", "nobody"), ("nobody", "ann")):
            with expect_error(LookupError, f"{giver} -> {receiver}: LookupError."):
                their.transfer(mine, giver, receiver, Decimal(1))
        expect(balances(), {"ann": Decimal(100), "bob": Decimal(5)})


def check_at_once(their):
    """Eight at the same moment: the balance stays above zero"""
    with own_schema(SCHEMA, TABLE):
        refused = []

        def one() -> None:
            with connection() as mine:
                try:
                    their.transfer(mine, "ann", "bob", Decimal(60))
                except ValueError:
                    refused.append(1)

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(
            balances(),
            {"ann": Decimal(40), "bob": Decimal(65)},
            "Between a SELECT and an UPDATE others come in. Let the UPDATE itself ask for enough "
            "(WHERE balance >= …), or lock the row with FOR UPDATE.",
        )
        expect(len(refused), 7, "Seven of eight must hear ValueError.")
