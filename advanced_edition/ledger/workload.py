"""Made-up customers and their requests: mostly dull, with planted cases for the rules.

The same size and seed give the same requests. They come as tuples, one at a time, so that a million
of them need no memory.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from ledger.books import Receipt
from ledger.days import DAY, moment
from ledger.screening import SANCTIONED
from ledger.service import Ledger

START, DAYS = moment("2025-09-01"), 55  # up to 2025-10-26
OPENING_HOUR = START - 3_600
EACH = 500  # requests to one account, on average: a few are busy, most are quiet
KINDS = ("checking", "checking", "checking", "savings", "money market")
FIRST = ("Anna", "Ivan", "Olena", "Petro", "Maria", "Taras", "Iryna", "Andrii", "Sofia", "Danylo")
LAST = ("Koval", "Shevchuk", "Bondar", "Tkach", "Melnyk", "Kravets", "Lysenko", "Rudenko")
SHOPS = ("Green Grocer", "City Energy", "Book Corner", "Rail & Bus", "Cafe Lviv", "Pharmacy 24")
SPECIAL = 400  # one in so many requests begins a planted case


class Request(NamedTuple):
    """One thing that a customer asks for; `verb` is deposit, withdraw, transfer or hold."""

    verb: str
    account: str
    to: str
    amount: str
    channel: str
    name: str
    key: str
    at: int


def open_accounts(ledger: Ledger, requests: int, seed: int) -> list[str]:
    """Accounts for so many requests, each with a first deposit; their numbers."""
    rng = random.Random(seed)
    numbers = []
    for serial in range(max(requests // EACH, 20)):
        owner = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
        kind = KINDS[serial % len(KINDS)]
        opened = ledger.create_account(kind, owner, key=f"open-{serial}", at=OPENING_HOUR)
        numbers.append(opened.event.account)
        amount = f"{rng.randrange(200_000, 6_000_000) / 100:.2f}"
        ledger.deposit(numbers[-1], amount, key=f"first-{serial}", at=OPENING_HOUR)
    return numbers


def requests(accounts: list[str], count: int, seed: int) -> Iterator[Request]:
    """`count` requests in the order of time, spread over DAYS days."""
    rng = random.Random(seed + 1)
    choice, uniform = rng.choice, rng.random

    def some_account() -> str:
        """One of the accounts; the busiest tenth gets a fifth of the requests."""
        return accounts[int(len(accounts) * uniform() ** 1.5)]

    made, waiting = 0, list[Request]()
    while made < count:
        at = START + made * DAYS * DAY // count
        if waiting:
            yield waiting.pop()._replace(at=at, key=f"t-{made}")
        elif uniform() < 1 / SPECIAL:
            waiting = planted(rng, some_account(), at)
            continue
        else:
            account, size, shop = some_account(), uniform(), choice(SHOPS)
            amount = f"{5 + size * size * size * 900:.2f}"
            kind = uniform()
            if kind < 0.40:
                yield Request("withdraw", account, "", amount, "card", shop, f"t-{made}", at)
            elif kind < 0.70:
                yield Request("deposit", account, "", amount, "wire", "", f"t-{made}", at)
            elif kind < 0.95 and (to := some_account()) != account:
                yield Request("transfer", account, to, amount, "", "", f"t-{made}", at)
            else:
                yield Request("deposit", account, "", amount, "cash", "", f"t-{made}", at)
        made += 1


def planted(rng: random.Random, account: str, at: int) -> list[Request]:
    """A few requests that one of the rules should notice; keys and times come later."""
    case = rng.randrange(6)
    if case == 0:
        return [Request("deposit", account, "", "12500.00", "cash", "", "", at)]
    if case == 1:
        return [Request("deposit", account, "", "4200.00", "cash", "", "", at)] * 3
    if case == 2:
        return [Request("withdraw", account, "", "19.90", "card", "Game Shop", "", at)] * 12
    if case == 3:
        name = rng.choice(SANCTIONED)
        return [Request("withdraw", account, "", "800.00", "wire", name, "", at)]
    if case == 4:
        name = f"Stranger {rng.randrange(10**6)}"
        return [Request("withdraw", account, "", "7400.00", "wire", name, "", at)]
    return [Request("hold", account, "", "180.00", "card", "Hotel Dnipro", "", at)]


def perform(ledger: Ledger, request: Request) -> Receipt:
    """Ask the ledger for it."""
    verb, account, to, amount, channel, name, key, at = request
    if verb == "withdraw":
        return ledger.withdraw(account, amount, key=key, at=at, channel=channel, name=name)
    if verb == "deposit":
        return ledger.deposit(account, amount, key=key, at=at, channel=channel, name=name)
    if verb == "transfer":
        return ledger.transfer(account, to, amount, key=key, at=at)
    return ledger.hold(account, amount, key=key, at=at, name=name)


def first_account(ledger: Ledger) -> str:
    """The account that was opened first, which is also the busiest."""
    return ledger.event("open-0").account


def three_accounts(ledger: Ledger, at: int) -> tuple[str, str, str]:
    """Accounts of two people: Anna's with 3,000, Ivan's with 8,000, and 60,000 of Anna's."""
    wanted = [
        ("checking", "Anna Koval", "3000"),
        ("savings", "Ivan Tkach", "8000"),
        ("money market", "Anna Koval", "60000"),
    ]
    numbers = []
    for serial, (kind, owner, amount) in enumerate(wanted):
        opened = ledger.create_account(kind, owner, key=f"open-{serial}", at=at)
        numbers.append(opened.event.account)
        ledger.deposit(numbers[-1], amount, key=f"first-{serial}", at=at)
    return numbers[0], numbers[1], numbers[2]
