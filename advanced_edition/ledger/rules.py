"""The rules that a transaction must pass, and those that call a person.

A limit refuses. An AML rule (anti money laundering) reports and doesn't stop: telling the customer
would warn him. A sanctioned name refuses and reports. Signs of fraud are added up: some points
report, many make the payment wait for a review.

All are plain functions of what the bank knows and what is wanted, and change nothing.
"""

from decimal import Decimal

from ledger.days import DAY, month_of
from ledger.money import ZERO
from ledger.products import TERMS
from ledger.state import CASH_KEPT, RECENT, Account

HOUR = 3_600
LARGE_CASH = Decimal(10_000)  # to be reported from here on, as in the USA and the EU
STRUCTURING_FROM = Decimal(2_000)  # several of these, together a large sum: split on purpose?
REPORT_FROM, REVIEW_FROM = 40, 70  # points
POINTS = {"unusual amount": 40, "new payee": 30, "drains the account": 30, "at night": 10}
UNUSUAL_FROM, UNUSUAL_TIMES, ENOUGH_PAYMENTS = Decimal(500), 6.0, 10
NEW_PAYEE_FROM = Decimal(2_000)
DRAIN_FROM, DRAIN_SHARE = Decimal(1_000), Decimal("0.9")
NIGHT_ENDS = 5 * HOUR

Alerts = tuple[str, ...]


def fee(account: Account, amount: Decimal, at: int) -> Decimal:
    """What a payment of `amount` costs now, by the tiers of the kind of account."""
    same_month = account.month == month_of(at // DAY)
    return TERMS[account.kind].fee(amount, account.paid_this_month if same_month else 0)


def refusal(account: Account, amount: Decimal, fee: Decimal, at: int) -> str:
    """Why a payment can't be made, '' if it can."""
    terms = TERMS[account.kind]
    if account.frozen:
        return "the account is frozen"
    if amount > terms.each_limit:
        return f"over the limit of {terms.each_limit:,} each"
    spent = account.spent_today if account.day == at // DAY else ZERO
    if spent + amount > terms.day_limit:
        return f"over the limit of {terms.day_limit:,} a day"
    if amount + fee > account.available:
        return "insufficient funds"
    return ""


def deposit_alerts(account: Account, amount: Decimal, channel: str, at: int) -> Alerts:
    """AML: large cash, and structuring (sums below the limit that pass it together)."""
    if channel != "cash":
        return ()
    if amount >= LARGE_CASH:
        return ("large cash",)
    if amount >= STRUCTURING_FROM:
        since = at - CASH_KEPT
        together = amount
        for when, earlier in account.cash:
            if when > since and STRUCTURING_FROM <= earlier < LARGE_CASH:
                together += earlier
        if together >= LARGE_CASH:
            return ("structuring",)
    return ()


def payment_alerts(
    account: Account, amount: Decimal, channel: str, payee: str, at: int
) -> tuple[Alerts, bool]:
    """(the alerts that a payment raises, whether it has to wait for a review)."""
    recent = account.recent
    velocity = len(recent) == RECENT and recent[0] > at - HOUR
    large = channel == "cash" and amount >= LARGE_CASH
    signs = signs_of_fraud(account, amount, payee, at)
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
    """What is strange about a payment; small ones are not worth a look."""
    if amount < UNUSUAL_FROM:
        return ()
    signs: Alerts = ()
    usual = account.typical + UNUSUAL_TIMES * account.spread
    if account.payments >= ENOUGH_PAYMENTS and amount > usual:
        signs += ("unusual amount",)
    if amount >= NEW_PAYEE_FROM and payee and payee not in account.payees:
        signs += ("new payee",)
    just_filled = account.last_deposit > at - HOUR
    if just_filled and amount >= DRAIN_FROM and amount >= DRAIN_SHARE * account.available:
        signs += ("drains the account",)
    if at % DAY < NIGHT_ENDS:
        signs += ("at night",)
    return signs
