"""The audit: read the whole history again and see whether it leads to what we believe.

It uses no snapshot and no index. A replay is the proof that nothing is known which didn't happen.
"""

from dataclasses import dataclass
from decimal import Decimal

from ledger.books import Books
from ledger.events import decode
from ledger.journal import BANK_ACCOUNTS, entries
from ledger.money import ZERO
from ledger.snapshots import as_data
from ledger.state import Bank


@dataclass
class Audit:
    """What the audit found; `findings` has a sentence for each thing that is wrong."""

    events: int
    debits: Decimal
    credits: Decimal
    findings: list[str]


def audit(books: Books) -> Audit:
    """Replay the log from its first event, check each one, and compare the end with the books."""
    bank, found = Bank(), Audit(0, ZERO, ZERO, [])
    keys: dict[str, int] = {}
    for offset, text in books.log.lines():
        event = decode(text)
        amounts = [amount for _, amount in entries(event)]
        found.events += 1
        found.credits += sum((amount for amount in amounts if amount > 0), ZERO)
        found.debits -= sum((amount for amount in amounts if amount < 0), ZERO)
        if found.debits != found.credits:
            found.findings.append(f"event {event.number} doesn't balance")
        if event.number != found.events or event.at < bank.at or event.key in keys:
            found.findings.append(f"event {event.number}: out of order, or its key is not new")
        keys[event.key] = offset
        bank.apply(event)
    if bank.sum_of_balances() != ZERO:
        found.findings.append("the balances don't add up to zero")
    if keys != books.keys:
        found.findings.append("the index of keys is not what the log says")
    if as_data(bank) != as_data(books.bank):
        found.findings.append("the books differ from what the log leads to")
    return found


def overdrawn(bank: Bank) -> list[str]:
    """The customers' accounts below zero, or with more held than there is."""
    return [
        account.number
        for account in bank.accounts.values()
        if account.number not in BANK_ACCOUNTS and account.available < ZERO
    ]
