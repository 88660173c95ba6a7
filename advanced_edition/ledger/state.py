"""What the bank knows now: built from events and from nothing else.

`Bank.apply(event)` is the only place that changes anything, and it is used when an event is new and
when it is replayed. It decides nothing and can't refuse: what happened has happened.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ledger import events
from ledger.days import DAY, month_of
from ledger.events import Event
from ledger.journal import BANK_ACCOUNTS, ENTRIES
from ledger.money import ZERO
from ledger.products import TERMS, Period
from ledger.states import State

RECENT = 10  # payments whose times are remembered, for the velocity rule
CASH_KEPT = 3 * DAY  # seconds for which cash deposits are remembered, for the structuring rule
WEIGHT = 0.1  # of the newest payment, in what is typical for an account


@dataclass(slots=True)
class Account:
    """One account: its balance, and what the rules must remember about it.

    The bank owes a customer `balance`; `held` of it is set aside. `closings` has the end-of-day
    balances since interest was last paid. What is typical is a float: a statistic, not money.
    """

    number: str
    kind: str
    owner: str = ""
    balance: Decimal = ZERO
    held: Decimal = ZERO
    frozen: bool = False
    bears_interest: bool = False
    day: int = 0
    month: int = 0
    spent_today: Decimal = ZERO
    paid_this_month: int = 0
    closings: list[Period] = field(default_factory=list)
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    cash: list[tuple[int, Decimal]] = field(default_factory=list)
    payees: set[str] = field(default_factory=set)
    payments: int = 0
    typical: float = 0.0
    spread: float = 0.0
    last_deposit: int = 0

    @property
    def available(self) -> Decimal:
        """What can be spent."""
        return self.balance - self.held

    def begin(self, day: int) -> None:
        """A new day begins: close the days before."""
        if self.bears_interest:
            self.closings.append((self.day, day, self.balance))
        self.day = day
        self.spent_today = ZERO
        month = month_of(day)
        if month != self.month:
            self.month = month
            self.paid_this_month = 0

    def paid(self, at: int, amount: Decimal, payee: str) -> None:
        """Remember a payment to `payee`; what is typical follows it slowly.

        Mean and mean deviation as TCP estimates its round trips (Jacobson 1988).
        """
        self.spent_today += amount
        self.paid_this_month += 1
        self.payments += 1
        self.recent.append(at)
        size = float(amount)
        error = size - self.typical
        self.typical += WEIGHT * error
        self.spread += WEIGHT * (abs(error) - self.spread)
        if payee:
            self.payees.add(payee)


class Bank:
    """The accounts, the open holds and the open alerts, as of event `number` at time `at`."""

    def __init__(self) -> None:
        self.number = 0
        self.at = 0
        self.accounts = {name: Account(name, "bank") for name in BANK_ACCOUNTS}
        self.holds: dict[str, events.HoldPlaced] = {}
        self.alerts: dict[int, tuple[str, ...]] = {}
        self.moved: dict[str, State] = {}  # transactions that have left their first state
        self._effects: dict[type, Callable[[Any], None]] = {
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

    def apply(self, event: Event) -> None:
        """Let `event` have happened."""
        kind = type(event)
        self.number, self.at = event.number, event.at
        day = event.at // DAY
        for number, amount in ENTRIES[kind](event):
            account = self.accounts[number]
            if account.day != day:
                account.begin(day)
            account.balance += amount
        self._effects[kind](event)

    def sum_of_balances(self) -> Decimal:
        """Debits and credits of all accounts together: zero, or money was made or lost."""
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
        account, at = self.accounts[event.account], event.at
        account.last_deposit = at
        if event.channel == "cash":
            kept = [one for one in account.cash if one[0] > at - CASH_KEPT]
            account.cash = [*kept, (at, event.amount)]
        if event.alerts:
            self.alerts[event.number] = event.alerts

    def _withdrawal(self, event: events.Withdrawal) -> None:
        self.accounts[event.account].paid(event.at, event.amount, event.name)
        if event.alerts:
            self.alerts[event.number] = event.alerts

    def _transfer(self, event: events.Transfer) -> None:
        self.accounts[event.account].paid(event.at, event.amount, event.to)
        self.accounts[event.to].last_deposit = event.at
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
        if event.to:
            self.accounts[event.to].last_deposit = event.at

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
