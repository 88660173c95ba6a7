"""Both steps or none: the transaction's block commits at its end, and rolls back on an error."""

import asyncpg

ADD = "UPDATE points SET points = points + $2 WHERE customer_id = $1"


async def move(connection: asyncpg.Connection, giver: int, receiver: int, amount: int) -> None:
    """Move `amount` points; LookupError when there is no such receiver."""
    async with connection.transaction():
        await connection.execute(ADD, giver, -amount)
        if await connection.execute(ADD, receiver, amount) != "UPDATE 1":
            raise LookupError(f"there is no customer {receiver}")
