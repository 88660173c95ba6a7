"""A bank in twenty lines beside the real one: whatever is asked, both say the same.

hypothesis makes up requests, repeats some, starts the ledger again with or without a snapshot, and
looks after every single step.
"""

import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from ledger.audit import audit, overdrawn
from ledger.books import Receipt
from ledger.closing import end_month
from ledger.days import DAY, HOUR, moment
from ledger.journal import BANK_ACCOUNTS
from ledger.products import TERMS
from ledger.service import HOLD_TIME, Ledger

amounts = st.decimals("0.0001", "9000", places=4)
names = st.sampled_from(["", "Green Grocer", "Stranger", "Viktor Malenko"])


class BankAndModel(RuleBasedStateMachine):
    """The ledger, and what a simple model expects of it: balances and money set aside."""

    holds = Bundle("holds")
    requests = Bundle("requests")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.at, self.asked = moment("2025-10-01 08:00"), 0
        self.ledger = self.open()
        self.balances: dict[str, Decimal] = {}
        self.held: dict[str, tuple[str, Decimal]] = {}
        for kind in TERMS:
            opened = self.ledger.create_account(kind, "Anna Koval", key=kind, at=self.at)
            self.balances[opened.event.account] = Decimal(0)
        self.numbers = sorted(self.balances)

    def open(self) -> Ledger:
        return Ledger.open(Path(self.folder.name), fsync="never")

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            assert audit(self.ledger).findings == []
            self.ledger.close()
            self.folder.cleanup()

    def new_key(self) -> str:
        self.asked += 1
        return f"r-{self.asked}"

    def expect(self, receipt: Receipt, account: str, to: str = "") -> Receipt:
        """Let the model do what the ledger says it did, and no more than it may."""
        event = receipt.event
        if receipt.outcome == "posted":
            total = event.amount + event.fee
            assert total <= self.available(account)
            self.balances[account] -= total
            if to:
                self.balances[to] += event.amount
        elif receipt.outcome == "pending":
            total = event.amount + event.fee
            assert total <= self.available(account)
            self.held[event.key] = account, total
        return receipt

    def available(self, account: str) -> Decimal:
        held = sum(amount for number, amount in self.held.values() if number == account)
        return self.balances[account] - held

    # --- what can be asked

    @rule(target=requests, place=st.integers(0, 2), amount=amounts, name=names, cash=st.booleans())
    def deposit(self, place: int, amount: Decimal, name: str, cash: bool) -> object:
        account, key = self.numbers[place], self.new_key()
        content = {"channel": "cash" if cash else "wire", "name": name}
        receipt = self.ledger.deposit(account, str(amount), key=key, at=self.at, **content)
        if receipt.outcome == "posted":
            self.balances[account] += amount
        return "deposit", (account, str(amount)), {"key": key, **content}, receipt.event

    @rule(target=requests, place=st.integers(0, 2), amount=amounts, name=names)
    def withdraw(self, place: int, amount: Decimal, name: str) -> object:
        account, key = self.numbers[place], self.new_key()
        receipt = self.ledger.withdraw(account, str(amount), key=key, at=self.at, name=name)
        self.expect(receipt, account)
        return "withdraw", (account, str(amount)), {"key": key, "name": name}, receipt.event

    @rule(target=requests, place=st.integers(0, 2), other=st.integers(1, 2), amount=amounts)
    def transfer(self, place: int, other: int, amount: Decimal) -> object:
        account, to, key = self.numbers[place], self.numbers[(place + other) % 3], self.new_key()
        receipt = self.ledger.transfer(account, to, str(amount), key=key, at=self.at)
        self.expect(receipt, account, to)
        return "transfer", (account, to, str(amount)), {"key": key}, receipt.event

    @rule(target=holds, place=st.integers(0, 2), amount=amounts)
    def hold(self, place: int, amount: Decimal) -> object:
        account = self.numbers[place]
        receipt = self.ledger.hold(account, str(amount), key=self.new_key(), at=self.at)
        self.expect(receipt, account)
        return receipt.event.key if receipt.outcome == "pending" else multiple()

    @rule(key=consumes(holds), share=st.integers(1, 100))
    def post(self, key: str, share: int) -> None:
        if key not in self.held:
            return
        account, _ = self.held.pop(key)
        placed = self.ledger.bank.holds[key]
        amount = max(placed.amount * share / 100, Decimal("0.0001")).quantize(placed.amount)
        self.ledger.post(key, str(amount), key=self.new_key(), at=self.at)
        self.balances[account] -= amount + placed.fee

    @rule(key=consumes(holds))
    def void(self, key: str) -> None:
        if self.held.pop(key, None):
            self.ledger.void(key, "changed my mind", key=self.new_key(), at=self.at)

    @rule(request=requests)
    def ask_again(self, request: tuple) -> None:
        verb, arguments, content, event = request
        receipt = getattr(self.ledger, verb)(*arguments, **content, at=self.at)
        assert (receipt.outcome, receipt.event) == ("exists", event)

    @rule(request=consumes(requests))
    def reverse(self, request: tuple) -> None:
        _, _, content, event = request
        if self.ledger.state_of(event.key) != "posted" or event.key in self.held:
            return
        if type(event).__name__ == "HoldPlaced":
            return
        self.ledger.reverse(event.key, "a mistake", key=self.new_key(), at=self.at)
        incoming = type(event).__name__ == "Deposit"
        total = event.amount + getattr(event, "fee", 0)
        self.balances[event.account] += -event.amount if incoming else total
        if getattr(event, "to", ""):
            self.balances[event.to] -= event.amount
        assert content["key"] == event.key

    @rule(hours=st.sampled_from([0, 1, 30]))
    def wait(self, hours: int) -> None:
        self.at += hours * HOUR

    @rule()
    def a_week_later(self) -> None:
        self.at += HOLD_TIME
        self.ledger.expire_holds(self.at)
        self.held.clear()

    @rule()
    def close_the_month(self) -> None:
        self.at += 31 * DAY
        known = set(self.ledger.keys)
        end_month(self.ledger, self.at)
        for key in set(self.ledger.keys) - known:
            event = self.ledger.event(key)
            interest = type(event).__name__ == "InterestPaid"
            self.balances[event.account] += event.amount if interest else -event.amount

    @rule(snapshot=st.booleans())
    def start_again(self, snapshot: bool) -> None:
        if snapshot:
            self.ledger.snapshot()
        self.ledger.close()
        self.ledger = self.open()
        assert self.ledger.log.dropped is None

    # --- what must hold after every step, that is at every prefix of the history

    @invariant()
    def money_is_conserved(self) -> None:
        if hasattr(self, "ledger"):
            assert self.ledger.bank.sum_of_balances() == 0

    @invariant()
    def both_say_the_same(self) -> None:
        if hasattr(self, "ledger"):
            accounts = self.ledger.bank.accounts
            assert {n: accounts[n].balance for n in self.numbers} == self.balances
            assert {n: accounts[n].available for n in self.numbers} == {
                n: self.available(n) for n in self.numbers
            }
            assert set(self.ledger.bank.holds) == set(self.held)

    @invariant()
    def rules_overdraw_nobody(self) -> None:
        """Only a reversal, the correction of a mistake, may take what isn't there."""
        if hasattr(self, "ledger") and "reversed" not in self.ledger.bank.moved.values():
            assert overdrawn(self.ledger.bank) == []
            assert all(number in self.ledger.bank.accounts for number in BANK_ACCOUNTS)


TestBankAndModel = BankAndModel.TestCase
TestBankAndModel.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
