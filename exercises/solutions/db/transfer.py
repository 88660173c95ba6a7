"""Money moves, or it doesn't: one transaction, and an UPDATE that asks and changes at once."""

from decimal import Decimal

from psycopg2.extensions import connection as Connection  # noqa: N812

TAKE = "UPDATE accounts SET balance = balance - %s WHERE name = %s AND balance >= %s"
GIVE = "UPDATE accounts SET balance = balance + %s WHERE name = %s"


def transfer(connection: Connection, giver: str, receiver: str, amount: Decimal) -> None:
    """Move `amount` euros; ValueError when there is too little, LookupError for no such account."""
    with connection, connection.cursor() as cursor:
        cursor.execute(TAKE, (amount, giver, amount))
        if cursor.rowcount == 0:
            cursor.execute("SELECT FROM accounts WHERE name = %s", (giver,))
            if cursor.rowcount == 0:
                raise LookupError(f"there is no account {giver}")
            raise ValueError(f"{giver} has less than {amount}")
        cursor.execute(GIVE, (amount, receiver))
        if cursor.rowcount == 0:
            raise LookupError(f"there is no account {receiver}")
