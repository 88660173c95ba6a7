"""What the bank knows now: built from events and from nothing else.

`Bank.apply(event)` is the only place that changes anything, and it is used when an event is new and
when it is replayed. It decides nothing and can't refuse: what happened has happened.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ledger import events
from ledger.days import DAY, HOUR, month_of
from ledger.events import Event
from ledger.journal import BANK_ACCOUNTS, ENTRIES
from ledger.money import ZERO
from ledger.products import TERMS, Period
from ledger.states import State

RECENT = 9  # payments whose times are remembered, besides the last, for the velocity rule
LARGE = Decimal(2_000)  # a payment from which on its payee is remembered
SPLIT_FROM = Decimal(2_000)  # smaller cash deposits are not taken for parts of a large one
CASH_KEPT = 3 * DAY  # seconds for which cash deposits are remembered, for the structuring rule
MODEST = Decimal(500)  # a payment that surprises nobody, from a new account either


@dataclass(slots=True)
class Account:
    """One account: its balance, and what the rules must remember about it.

    The bank owes a customer `balance`; `held` of it is set aside. `closings` has the end-of-day
    balances since interest was last paid; `largest` is the largest payment, `known` has the payees
    of large ones, and `recent` the times of payments before the last one, each within an hour of
    the next.
    """

    number: str
    kind: str
    owner: str = ""
    bears_interest: bool = False
    frozen: bool = False
    balance: Decimal = ZERO
    held: Decimal = ZERO
    day: int = 0
    month: int = 0
    spent_today: Decimal = ZERO
    paid_this_month: int = 0
    last_payment: int = 0
    largest: Decimal = MODEST
    recent: tuple[int, ...] = ()
    closings: list[Period] = field(default_factory=list)
    cash: tuple[tuple[int, Decimal], ...] = ()
    known: set[str] = field(default_factory=set)

    @property
    def available(self) -> Decimal:
        """What can be spent."""
        return self.balance - self.held

    def begin(self, day: int, month: int) -> None:
        """A new day begins: close the days before."""
        if self.bears_interest:
            self.closings.append((self.day, day, self.balance))
        self.day = day
        self.spent_today = ZERO
        if month != self.month:
            self.month = month
            self.paid_this_month = 0

    def paid(self, at: int, amount: Decimal, payee: str) -> None:
        """Remember a payment to `payee`, which is '' for the account's owner."""
        self.spent_today += amount
        self.paid_this_month += 1
        if amount > MODEST:
            self.largest = max(amount, self.largest)
            if payee and amount >= LARGE:
                self.known.add(payee)
        if self.last_payment > at - HOUR:
            self.recent = (*self.recent, self.last_payment)[-RECENT:]
        elif self.recent:
            self.recent = ()
        self.last_payment = at


class Bank:
    """The accounts, the open holds and the open alerts, as of event `number` at time `at`."""

    def __init__(self) -> None:
        self.number = self.at = 0
        self.day = self.month = 0
        self.accounts = {name: Account(name, "bank") for name in BANK_ACCOUNTS}
        self.holds: dict[str, events.HoldPlaced] = {}
        self.alerts: dict[int, tuple[str, ...]] = {}
        self.moved: dict[str, State] = {}  # transactions that have left their first state
        effects: dict[type, Callable[[Any], None]] = {
            events.AccountCreated: self._account_created,
            events.Deposit: self._deposit,
            events.Withdrawal: self._withdrawal,
            events.Transfer: self._transfer,
            events.HoldPlaced: self._hold_placed,
            events.HoldPosted: self._hold_posted,
            events.HoldVoided: self._hold_voided,
            events.HoldExpired: self._hold_expired,
            events.TransactionRejected: self._rejected,
            events.TransactionReversed: self._reversed,
            events.InterestPaid: self._interest_paid,
            events.FeeCharged: self._fee_charged,
            events.AlertReviewed: self._alert_reviewed,
            events.AccountFrozen: self._frozen,
            events.AccountReleased: self._released,
        }
        self._handlers = {kind: (ENTRIES[kind], effect) for kind, effect in effects.items()}

    def apply(self, event: Event) -> None:
        """Let `event` have happened."""
        entries, effect = self._handlers[type(event)]
        self.number, self.at = event.number, event.at
        accounts, day = self.accounts, event.at // DAY
        if day != self.day:
            self.day, self.month = day, month_of(day)
        for debit, credit, amount in entries(event):
            source, target = accounts[debit], accounts[credit]
            if source.day != day:
                source.begin(day, self.month)
            if target.day != day:
                target.begin(day, self.month)
            source.balance -= amount
            target.balance += amount
        effect(event)

    def sum_of_balances(self) -> Decimal:
        """All accounts together: zero, or money was made or lost."""
        return sum((account.balance for account in self.accounts.values()), ZERO)

    def _account_created(self, event: events.AccountCreated) -> None:
        day = event.at // DAY
        self.accounts[event.account] = Account(
            event.account,
            event.kind,
            event.owner,
            bears_interest=bool(TERMS[event.kind].interest),
            day=day,
            month=month_of(day),
        )

    def _deposit(self, event: events.Deposit) -> None:
        if event.channel == "cash" and event.amount >= SPLIT_FROM:
            account = self.accounts[event.account]
            kept = [one for one in account.cash if one[0] > event.at - CASH_KEPT]
            account.cash = (*kept, (event.at, event.amount))
        if event.alerts:
            self.alerts[event.number] = event.alerts

    def _withdrawal(self, event: events.Withdrawal) -> None:
        self.accounts[event.account].paid(event.at, event.amount, event.name)
        if event.alerts:
            self.alerts[event.number] = event.alerts

    def _transfer(self, event: events.Transfer) -> None:
        self.accounts[event.account].paid(event.at, event.amount, event.to)
        if event.alerts:
            self.alerts[event.number] = event.alerts

    def _hold_placed(self, event: events.HoldPlaced) -> None:
        self.accounts[event.account].held += event.amount + event.fee
        self.holds[event.key] = event
        if event.alerts:
            self.alerts[event.number] = event.alerts

    def _end_of_hold(self, key: str, state: State) -> events.HoldPlaced:
        """The hold ends in `state`.

        If it waited for a review and a person ended it, its alerts are settled by that.
        """
        placed = self.holds.pop(key)
        self.accounts[placed.account].held -= placed.amount + placed.fee
        self.moved[key] = state
        if placed.request != "Hold" and state is not State.EXPIRED:
            self.alerts.pop(placed.number, None)
        return placed

    def _hold_posted(self, event: events.HoldPosted) -> None:
        placed = self._end_of_hold(event.hold, State.POSTED)
        self.accounts[event.account].paid(event.at, event.amount, event.to or placed.name)

    def _hold_voided(self, event: events.HoldVoided) -> None:
        self._end_of_hold(event.hold, State.VOIDED)

    def _hold_expired(self, event: events.HoldExpired) -> None:
        self._end_of_hold(event.hold, State.EXPIRED)

    def _rejected(self, event: events.TransactionRejected) -> None:
        if event.alerts:
            self.alerts[event.number] = event.alerts

    def _reversed(self, event: events.TransactionReversed) -> None:
        self.moved[event.original] = State.REVERSED

    def _interest_paid(self, event: events.InterestPaid) -> None:
        self.accounts[event.account].closings.clear()

    def _fee_charged(self, event: events.FeeCharged) -> None:
        pass  # its entries are all

    def _alert_reviewed(self, event: events.AlertReviewed) -> None:
        del self.alerts[event.alert]

    def _frozen(self, event: events.AccountFrozen) -> None:
        self.accounts[event.account].frozen = True

    def _released(self, event: events.AccountReleased) -> None:
        self.accounts[event.account].frozen = False
