"""The events: what happened, in the past tense, never changed afterwards.

An event holds the outcome of a decision (the fee that was taken, the alerts that were raised) and
not the rule behind it. So a new tariff changes the future only, and a replay needs no rules.

Each one has a `number` (1, 2, 3 … without a gap), a time `at` (seconds since 1970, UTC) and the
`key` of the request that caused it. One event is one line of the log, so that a transfer can't be
half there: both its sides are in one line.
"""

import json
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.errors import LogDamaged


class AccountCreated(NamedTuple):
    """A customer's account was opened; `kind` is checking, savings or money market."""

    number: int
    at: int
    key: str
    account: str
    kind: str
    owner: str


class Deposit(NamedTuple):
    """Money came in through `channel`; `name` is who sent it, empty when the owner did."""

    number: int
    at: int
    key: str
    account: str
    amount: Decimal
    channel: str
    name: str
    alerts: tuple[str, ...]


class Withdrawal(NamedTuple):
    """Money went out through `channel`, to `name`; `fee` was taken in addition."""

    number: int
    at: int
    key: str
    account: str
    amount: Decimal
    fee: Decimal
    channel: str
    name: str
    alerts: tuple[str, ...]


class Transfer(NamedTuple):
    """Money went from `account` to the account `to`; the sender paid `fee` in addition."""

    number: int
    at: int
    key: str
    account: str
    to: str
    amount: Decimal
    fee: Decimal
    alerts: tuple[str, ...]


class HoldPlaced(NamedTuple):
    """Amount and fee are set aside until it is posted, voided, or `expires` has passed.

    `request` says what for: a Hold that the customer agreed to (a hotel, a filling station), or a
    Withdrawal or Transfer that waits for a review.
    """

    number: int
    at: int
    key: str
    request: str
    account: str
    to: str
    amount: Decimal
    fee: Decimal
    channel: str
    name: str
    expires: int
    alerts: tuple[str, ...]


class HoldPosted(NamedTuple):
    """The hold ended in a payment of `amount`, which may be less than was set aside."""

    number: int
    at: int
    key: str
    hold: str
    account: str
    to: str
    amount: Decimal
    fee: Decimal
    channel: str


class HoldVoided(NamedTuple):
    """The hold was given up; the money is free again."""

    number: int
    at: int
    key: str
    hold: str
    reason: str


class HoldExpired(NamedTuple):
    """Nobody posted the hold in time; the money is free again."""

    number: int
    at: int
    key: str
    hold: str


class TransactionRejected(NamedTuple):
    """A request was understood and refused. It is recorded, so that its key stays answered."""

    number: int
    at: int
    key: str
    request: str
    account: str
    to: str
    amount: Decimal
    channel: str
    name: str
    reason: str
    alerts: tuple[str, ...]


class TransactionReversed(NamedTuple):
    """The correction of the transaction `original`: its entries, debit and credit exchanged."""

    number: int
    at: int
    key: str
    original: str
    reason: str
    entries: tuple[tuple[str, str, Decimal], ...]


class InterestPaid(NamedTuple):
    """Interest for the days from `since` up to, without, `until` (days since 1970)."""

    number: int
    at: int
    key: str
    account: str
    amount: Decimal
    since: int
    until: int


class FeeCharged(NamedTuple):
    """A fee that belongs to no transaction, such as the monthly one."""

    number: int
    at: int
    key: str
    account: str
    amount: Decimal
    reason: str


class AlertReviewed(NamedTuple):
    """A person decided on the alerts of event `alert`: cleared, or reported to the authority."""

    number: int
    at: int
    key: str
    alert: int
    decision: str
    reviewer: str


class AccountFrozen(NamedTuple):
    """Nothing goes out of the account until it is released."""

    number: int
    at: int
    key: str
    account: str
    reason: str


class AccountReleased(NamedTuple):
    """The account can be used again."""

    number: int
    at: int
    key: str
    account: str
    reason: str


Event = (
    AccountCreated | Deposit | Withdrawal | Transfer | HoldPlaced | HoldPosted | HoldVoided
    | HoldExpired | TransactionRejected | TransactionReversed | InterestPaid | FeeCharged
    | AlertReviewed | AccountFrozen | AccountReleased
)  # fmt: skip
KINDS: dict[str, Any] = {kind.__name__: kind for kind in Event.__args__}
to_json = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, check_circular=False, default=str
).encode
from_json = json.JSONDecoder().decode


def encode(event: Event) -> str:
    """The event as text: its kind and its fields as JSON, amounts as text, for JSON has floats."""
    fields = dict(zip(event._fields, event, strict=True))
    return f"{type(event).__name__} {to_json(fields)}"


def decode(text: str) -> Event:
    """The event that `encode` made `text` of; LogDamaged if this version doesn't know it."""
    kind, _, data = text.partition(" ")
    try:
        fields = from_json(data)
        if "amount" in fields:
            fields["amount"] = Decimal(fields["amount"])
        if "fee" in fields:
            fields["fee"] = Decimal(fields["fee"])
        if "alerts" in fields:
            fields["alerts"] = tuple(fields["alerts"])
        if "entries" in fields:
            fields["entries"] = tuple((one, two, Decimal(n)) for one, two, n in fields["entries"])
        return KINDS[kind](**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise LogDamaged(
            f"An event that this version doesn't know ({error}): {text[:120]}\n"
            "Was the log written by a newer version? Then open it with that one."
        ) from error
