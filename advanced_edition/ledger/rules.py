"""The rules that a transaction must pass, and those that call a person.

A limit refuses. An AML rule (anti money laundering) reports and doesn't stop: telling the customer
would warn him. A sanctioned name refuses and reports. Signs of fraud are added up: some points
report, many make the payment wait for a review.

All are plain functions of what the bank knows and what is wanted, and change nothing.
"""

from decimal import Decimal

from ledger.days import DAY, HOUR, month_of
from ledger.money import ZERO
from ledger.products import TERMS
from ledger.state import CASH_KEPT, LARGE, RECENT, SPLIT_FROM, Account

LARGE_CASH = Decimal(10_000)  # to be reported from here on, as in the USA and the EU
REPORT_FROM, REVIEW_FROM = 40, 70  # points
POINTS = {"unusual amount": 40, "new payee": 30, "drains the account": 30, "at night": 10}
LOOK_FROM = Decimal(1_000)
UNUSUAL_TIMES = 3  # times the largest payment until now
DRAIN_SHARE = Decimal("0.9")
NIGHT_ENDS = 5 * HOUR

Alerts = tuple[str, ...]


def fee_and_refusal(account: Account, amount: Decimal, at: int) -> tuple[Decimal, str]:
    """(what a payment costs, why it can't be made: '' if it can)."""
    terms, day = TERMS[account.kind], at // DAY
    spent, paid = account.spent_today, account.paid_this_month
    if day != account.day:
        spent = ZERO
        if month_of(day) != account.month:
            paid = 0
    fee = ZERO if paid < terms.free_a_month else terms.fee(amount)
    if account.frozen:
        return fee, "the account is frozen"
    if amount > terms.each_limit:
        return fee, f"over the limit of {terms.each_limit:,} each"
    if spent + amount > terms.day_limit:
        return fee, f"over the limit of {terms.day_limit:,} a day"
    if amount + fee > account.balance - account.held:
        return fee, "insufficient funds"
    return fee, ""


def deposit_alerts(account: Account, amount: Decimal, channel: str, at: int) -> Alerts:
    """AML: large cash, and structuring (sums below the limit that pass it together)."""
    if channel != "cash":
        return ()
    if amount >= LARGE_CASH:
        return ("large cash",)
    if amount >= SPLIT_FROM:
        since = at - CASH_KEPT
        together = amount
        for when, earlier in account.cash:
            if when > since and earlier < LARGE_CASH:
                together += earlier
        if together >= LARGE_CASH:
            return ("structuring",)
    return ()


def payment_alerts(
    account: Account, amount: Decimal, channel: str, payee: str, at: int
) -> tuple[Alerts, bool]:
    """(the alerts that a payment raises, whether it has to wait for a review)."""
    recent = account.recent
    velocity = len(recent) == RECENT and recent[0] > at - HOUR  # this is the eleventh in an hour
    large = channel == "cash" and amount >= LARGE_CASH
    signs = signs_of_fraud(account, amount, payee, at) if amount >= LOOK_FROM else ()
    if not (velocity or large or signs):
        return (), False
    alerts: Alerts = ()
    if velocity:
        alerts += ("velocity",)
    if large:
        alerts += ("large cash",)
    points = sum(POINTS[sign] for sign in signs)
    if points >= REPORT_FROM:
        alerts += signs
    return alerts, points >= REVIEW_FROM


def signs_of_fraud(account: Account, amount: Decimal, payee: str, at: int) -> Alerts:
    """What is strange about a payment that is large enough to be worth a look."""
    signs: Alerts = ()
    if amount > UNUSUAL_TIMES * account.largest:
        signs += ("unusual amount",)
    if amount >= LARGE and payee and payee not in account.known:
        signs += ("new payee",)
    if amount >= DRAIN_SHARE * account.available:
        signs += ("drains the account",)
    if at % DAY < NIGHT_ENDS:
        signs += ("at night",)
    return signs
