"""Many buyers at once, a bank that is slow, and one whose card is refused."""

import asyncio

from course.exercises import expect, require


class Bank:
    """Takes a moment for each payment; refuses the cards of those in `refused`."""

    def __init__(self, *refused: str) -> None:
        self.refused, self.asked = refused, []

    async def pay(self, buyer: str) -> None:
        self.asked.append(buyer)
        await asyncio.sleep(0.002)
        if buyer in self.refused:
            raise ValueError(f"the card of {buyer} is refused")


async def check_seats(their):
    """Twenty buyers for five seats: five tickets are sold."""
    bank = Bank()
    office = their.BoxOffice(5, bank.pay)
    answers = await asyncio.gather(*(office.buy(f"buyer {n}") for n in range(20)))
    require(
        len(office.sold) == 5,
        f"{len(office.sold)} tickets were sold for 5 seats",
        "While one buyer waits for the bank, others see the same number of free seats.",
    )
    expect(sum(answers), 5, "buy() must answer True to those who got a ticket, and to no others.")
    expect(office.free, 0, "After five sales no seat is free.")


async def check_payments(their):
    """Nobody pays who gets no ticket."""
    bank = Bank()
    office = their.BoxOffice(3, bank.pay)
    await asyncio.gather(*(office.buy(f"buyer {n}") for n in range(10)))
    expect(sorted(bank.asked), sorted(office.sold), "Ask the bank only for a seat that is there.")


async def check_refused(their):
    """A refused card gives the seat back."""
    bank = Bank("buyer 0")
    office = their.BoxOffice(1, bank.pay)
    first = (await asyncio.gather(office.buy("buyer 0"), return_exceptions=True))[0]
    require(isinstance(first, ValueError), f"the bank's error was swallowed, buy gave {first!r}")
    expect(office.free, 1, "The seat of a refused card is free again.")
    expect(await office.buy("buyer 1"), True, "The next buyer must get it.")
