"""A race, repaired: take the seat before the wait, and give it back when the bank refuses."""

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
        if self.free == 0:
            return False
        # No await stands between the question and this line, so nobody comes in between.
        self.free -= 1
        try:
            await self.pay(buyer)
        except BaseException:
            self.free += 1
            raise
        self.sold.append(buyer)
        return True
