"""Money moves, or it doesn't.

The table `accounts(name, balance)` holds money. Write `transfer`: it takes `amount` from one
account, gives it to another, and commits. When the giver has too little, raise `ValueError`; when
one of the two accounts doesn't exist, raise `LookupError`. In both cases nothing has changed, and
the connection is ready for the next question. `connection` is a psycopg2 connection.

Two transfers may run at the same moment: the balance must never go below zero.
"""

from decimal import Decimal

from psycopg2.extensions import connection as Connection  # noqa: N812


def transfer(connection: Connection, giver: str, receiver: str, amount: Decimal) -> None:
    """Move `amount` euros; ValueError when there is too little, LookupError for no such account."""
    raise NotImplementedError("TODO: move the money in one transaction")
