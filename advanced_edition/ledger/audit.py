"""The audit: read the whole history again and see whether it leads to what we believe.

It uses no snapshot and no index, and adds up debits and credits of each account by itself. A replay
is the proof that nothing is known which didn't happen.
"""

from collections import defaultdict
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
    bank, keys, findings = Bank(), dict[str, int](), list[str]()
    debits, credits = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    for offset, text in books.log.lines():
        event = decode(text)
        if event.number != bank.number + 1 or event.at < bank.at or event.key in keys:
            findings.append(f"event {event.number}: out of order, or its key is not new")
        for debit, credit, amount in entries(event):
            debits[debit] += amount
            credits[credit] += amount
            if amount < ZERO:
                findings.append(f"event {event.number} moves {amount}")
        keys[event.key] = offset
        bank.apply(event)
    for account in books.bank.accounts.values():
        if account.balance != credits[account.number] - debits[account.number]:
            findings.append(f"{account.number}: the balance is not what the entries add up to")
    if books.bank.sum_of_balances() != ZERO:
        findings.append("the balances don't add up to zero")
    if keys != books.keys:
        findings.append("the index of keys is not what the log says")
    if as_data(bank) != as_data(books.bank):
        findings.append("the books differ from what the log leads to")
    return Audit(bank.number, sum(debits.values(), ZERO), sum(credits.values(), ZERO), findings)


def overdrawn(bank: Bank) -> list[str]:
    """The customers' accounts below zero, or with more held than there is."""
    return [
        account.number
        for account in bank.accounts.values()
        if account.number not in BANK_ACCOUNTS and account.available < ZERO
    ]
