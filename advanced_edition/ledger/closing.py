"""The end of a month: interest is paid and monthly fees are taken.

The keys name month and account (`interest:2025-09:SAV-…`), so that a run that died halfway is
simply started again: what was done already is skipped.
"""

from ledger import events
from ledger.days import DAY, date_of
from ledger.products import TERMS
from ledger.service import Ledger


def end_month(ledger: Ledger, at: int) -> tuple[int, int]:
    """Close the month that ended before `at`; (accounts paid interest, accounts charged).

    Interest counts the end-of-day balances since it was last paid, up to the day of `at`.
    """
    month = f"{date_of(at // DAY - 1):%Y-%m}"
    customers = [account for account in ledger.bank.accounts.values() if account.kind in TERMS]
    paid = charged = 0
    for account in customers:
        paid += pay_interest(ledger, account.number, f"interest:{month}:{account.number}", at)
        charged += charge(ledger, account.number, f"fee:{month}:{account.number}", at)
    return paid, charged


def pay_interest(ledger: Ledger, number: str, key: str, at: int) -> bool:
    """Pay what an account has earned; False if it bears none or has it already."""
    account = ledger.account(number)
    if not account.bears_interest or key in ledger.keys:
        return False
    event_number, at = ledger.next(at)
    today = at // DAY
    periods = list(account.closings)
    if today > account.day:
        periods.append((account.day, today, account.balance))
    since = periods[0][0] if periods else today
    amount = TERMS[account.kind].interest_for(periods)
    ledger.accept(
        events.InterestPaid(event_number, at, key, number, amount, since, today)
    )  # fmt: skip
    return True


def charge(ledger: Ledger, number: str, key: str, at: int) -> bool:
    """Take an account's monthly fee; False if there is none or it was taken already."""
    account = ledger.account(number)
    amount = TERMS[account.kind].monthly_fee(account.balance, account.available)
    if not amount or key in ledger.keys:
        return False
    ledger.accept(events.FeeCharged(*ledger.next(at), key, number, amount, "monthly fee"))
    return True
