"""A race: more tickets sold than there are seats.

The box office asks the bank before it sells, and that takes a moment. With one buyer at a time all
is well. With many at once it sells more tickets than there are seats. Find out why, and repair
`buy`. The bank must still be asked for every ticket that is sold, and for none that isn't.
"""

from collections.abc import Awaitable, Callable

Pay = Callable[[str], Awaitable[None]]


class BoxOffice:
    """Sells `seats` tickets; `pay` asks the bank, takes a moment, and may raise."""

    def __init__(self, seats: int, pay: Pay) -> None:
        self.free = seats
        self.pay = pay
        self.sold: list[str] = []

    async def buy(self, buyer: str) -> bool:
        """Sell a ticket to `buyer`; False when there is none left."""
        # TODO: between the question and the answer, others buy as well.
        if self.free == 0:
            return False
        free = self.free
        await self.pay(buyer)
        self.free = free - 1
        self.sold.append(buyer)
        return True
