"""Move points between customers: both steps or none.

The table `points(customer_id, points)` has a rule of its own: points can't go below 0, and who
tries gets an `asyncpg.CheckViolationError`. Write `move`: it takes `amount` from one customer and
gives it to another. Whatever fails on the way, nothing may have changed. When the receiver doesn't
exist, raise `LookupError`; asyncpg itself sees no error in an UPDATE that finds no row.

`connection` is an asyncpg connection: `await connection.execute("UPDATE …", value, …)` with `$1`,
`$2` in the text; it returns words like `"UPDATE 1"`.
"""

import asyncpg


async def move(connection: asyncpg.Connection, giver: int, receiver: int, amount: int) -> None:
    """Move `amount` points; LookupError when there is no such receiver."""
    raise NotImplementedError("TODO: two updates in one transaction")
