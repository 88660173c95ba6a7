"""The requests: decide by the rules, then have it recorded.

    with Ledger.open(folder) as ledger:
        account = ledger.create_account("checking", "Anna Koval", key="a-1", at=now).event.account
        ledger.deposit(account, "250.00", key="d-1", at=now, channel="cash")

Every request has an idempotency key. The same request with the same key is answered `exists` and
changes nothing, so a caller who got no answer sends it again. Another request with a used key is an
error. What a rule refuses is recorded as rejected; what makes no sense raises BadRequest and leaves
no trace. The caller gives the time, in seconds since 1970, UTC.
"""

from decimal import Decimal

from ledger import events, rules
from ledger.account_numbers import account_number
from ledger.books import Books, Receipt
from ledger.days import DAY
from ledger.errors import BadRequest
from ledger.journal import BANK_ACCOUNTS, CHANNELS, entries
from ledger.money import ZERO, money
from ledger.products import TERMS
from ledger.screening import sanctioned
from ledger.state import Account
from ledger.states import State, check_move

REVIEW_TIME = 3 * DAY  # after which a payment that nobody reviewed is given up
HOLD_TIME = 7 * DAY
DECISIONS = ("cleared", "reported")


class Ledger(Books):
    """A bank: everything that its customers and its staff can ask for."""

    def create_account(self, kind: str, owner: str, *, key: str, at: int) -> Receipt:
        """Open an account of a kind in TERMS; rejected when the owner's name is sanctioned."""
        if kind not in TERMS or not owner.strip():
            raise BadRequest(f"an account has an owner and is one of {', '.join(TERMS)}")
        if key in self.keys:
            return self.exists(key, "AccountCreated", kind=kind, owner=owner, name=owner)
        number, at = self.next(at)
        if sanctioned(owner):
            return self._sanctioned("AccountCreated", key, at, "", ZERO, "", owner)
        serial = len(self.bank.accounts) - len(BANK_ACCOUNTS) + 1
        account = account_number(TERMS[kind].prefix, serial)
        return self.accept(events.AccountCreated(number, at, key, account, kind, owner))

    def deposit(
        self, account: str, amount: str, *, key: str, at: int, channel: str = "wire", name: str = ""
    ) -> Receipt:
        """Take money in; `name` is the sender's, empty when it is the owner."""
        value = money(amount)
        if key in self.keys:
            return self.exists(
                key, "Deposit", account=account, amount=value, channel=channel, name=name
            )
        target = self.account(account)
        check_channel(channel)
        number, at = self.next(at)
        if name and sanctioned(name):
            return self._sanctioned("Deposit", key, at, account, value, channel, name)
        alerts = rules.deposit_alerts(target, value, channel, at)
        return self.accept(events.Deposit(number, at, key, account, value, channel, name, alerts))

    def withdraw(
        self, account: str, amount: str, *, key: str, at: int, channel: str = "card", name: str = ""
    ) -> Receipt:
        """Pay out, to `name` or to the owner. What looks like fraud waits for a review."""
        value = money(amount)
        if key in self.keys:
            return self.exists(
                key, "Withdrawal", account=account, amount=value, channel=channel, name=name
            )
        source = self.account(account)
        check_channel(channel)
        return self._pay("Withdrawal", source, "", value, key, at, channel, name)

    def transfer(self, account: str, to: str, amount: str, *, key: str, at: int) -> Receipt:
        """Move money from one account of the bank to another: both sides or none."""
        value = money(amount)
        if key in self.keys:
            return self.exists(key, "Transfer", account=account, to=to, amount=value)
        source, _ = self.account(account), self.account(to)
        if account == to:
            raise BadRequest("a transfer goes to another account")
        return self._pay("Transfer", source, to, value, key, at)

    def hold(self, account: str, amount: str, *, key: str, at: int, name: str = "") -> Receipt:
        """Set money aside for a card payment to `name` that comes within HOLD_TIME."""
        value = money(amount)
        if key in self.keys:
            return self.exists(
                key, "Hold", account=account, amount=value, channel="card", name=name
            )
        return self._pay("Hold", self.account(account), "", value, key, at, "card", name)

    def post(self, hold: str, amount: str | None = None, *, key: str, at: int) -> Receipt:
        """End a hold with a payment: of all, or of a smaller amount. A review approves so too."""
        placed = self._placed(hold)
        value = placed.amount if amount is None else money(amount)
        if key in self.keys:
            return self.exists(
                key, "HoldPosted", hold=hold, account=placed.account, to=placed.to, amount=value,
                channel=placed.channel,
            )  # fmt: skip
        self._check_pending(placed, State.POSTED, at)
        if value > placed.amount:
            raise BadRequest(f"{hold} holds {placed.amount}: {value} is more than that")
        number, at = self.next(at)
        return self.accept(
            events.HoldPosted(number, at, key, hold, placed.account, placed.to, value, placed.fee,
                              placed.channel)
        )  # fmt: skip

    def void(self, hold: str, reason: str, *, key: str, at: int) -> Receipt:
        """Give a hold up; the money is free again. A review declines so too."""
        placed = self._placed(hold)
        if key in self.keys:
            return self.exists(key, "HoldVoided", hold=hold)
        self._check_pending(placed, State.VOIDED, at)
        number, at = self.next(at)
        return self.accept(events.HoldVoided(number, at, key, hold, reason))

    def expire_holds(self, at: int) -> int:
        """Give up all holds whose time is over, and say how many. Call it often."""
        over = [key for key, placed in self.bank.holds.items() if placed.expires <= at]
        for key in over:
            number, when = self.next(at)
            self.accept(events.HoldExpired(number, when, f"expire:{key}", key))
        return len(over)

    def reverse(self, original: str, reason: str, *, key: str, at: int) -> Receipt:
        """Correct a transaction by its opposite; the mistake stays in the history.

        The bank's own mistakes are corrected even if the account goes below zero by it.
        """
        if key in self.keys:
            return self.exists(key, "TransactionReversed", original=original)
        wrong = self.event(original)
        moved = entries(wrong)
        if not moved or isinstance(wrong, events.TransactionReversed):
            raise BadRequest(f"{original!r} is a {type(wrong).__name__}: nothing to reverse")
        check_move(original, self.state_of(original), State.REVERSED)
        number, at = self.next(at)
        opposite = tuple((credit, debit, amount) for debit, credit, amount in moved)
        return self.accept(events.TransactionReversed(number, at, key, original, reason, opposite))

    def review(self, alert: int, decision: str, reviewer: str, *, key: str, at: int) -> Receipt:
        """Settle the alerts of event `alert`: cleared, or reported to the authority."""
        if key in self.keys:
            return self.exists(key, "AlertReviewed", alert=alert, decision=decision)
        if decision not in DECISIONS or alert not in self.bank.alerts:
            raise BadRequest(f"an open alert is {' or '.join(DECISIONS)}: {alert} {decision!r}")
        waiting = [h.key for h in self.bank.holds.values() if h.number == alert]
        if waiting and self.bank.holds[waiting[0]].request != "Hold":
            raise BadRequest(f"{waiting[0]} waits for this review: post it or void it")
        number, at = self.next(at)
        return self.accept(events.AlertReviewed(number, at, key, alert, decision, reviewer))

    def freeze(self, account: str, reason: str, *, key: str, at: int) -> Receipt:
        """Let nothing more go out of an account."""
        if key in self.keys:
            return self.exists(key, "AccountFrozen", account=account)
        self.account(account)
        return self.accept(events.AccountFrozen(*self.next(at), key, account, reason))

    def release(self, account: str, reason: str, *, key: str, at: int) -> Receipt:
        """Let a frozen account be used again."""
        if key in self.keys:
            return self.exists(key, "AccountReleased", account=account)
        self.account(account)
        return self.accept(events.AccountReleased(*self.next(at), key, account, reason))

    # --- deciding

    def _pay(
        self, request: str, source: Account, to: str, amount: Decimal, key: str, at: int,
        channel: str = "", name: str = "",
    ) -> Receipt:  # fmt: skip
        """All rules on money that goes out; `to` is an account of the bank, `name` a stranger."""
        number, at = self.next(at)
        account = source.number
        if name and sanctioned(name):
            return self._sanctioned(request, key, at, account, amount, channel, name)
        fee, reason = rules.fee_and_refusal(source, amount, at)
        alerts, wait = rules.payment_alerts(source, amount, channel, to or name, at)
        if wait and request == "Hold":  # nobody at the counter waits for a review
            reason = reason or "looks like fraud"
        if reason:
            return self.accept(
                events.TransactionRejected(number, at, key, request, account, to, amount, channel,
                                           name, reason, alerts),
                State.REJECTED,
            )  # fmt: skip
        if wait or request == "Hold":
            expires = at + (REVIEW_TIME if wait else HOLD_TIME)
            return self.accept(
                events.HoldPlaced(number, at, key, request, account, to, amount, fee, channel,
                                  name, expires, alerts),
                State.PENDING,
            )  # fmt: skip
        if to:
            return self.accept(events.Transfer(number, at, key, account, to, amount, fee, alerts))
        return self.accept(
            events.Withdrawal(number, at, key, account, amount, fee, channel, name, alerts)
        )

    def _sanctioned(
        self, request: str, key: str, at: int, account: str, amount: Decimal, channel: str,
        name: str,
    ) -> Receipt:  # fmt: skip
        """No business with this name, and somebody must know that it was tried."""
        return self.accept(
            events.TransactionRejected(
                *self.next(at), key, request, account, "", amount, channel, name,
                "a sanctioned name", ("sanctioned name",),
            ),
            State.REJECTED,
        )  # fmt: skip

    def _placed(self, hold: str) -> events.HoldPlaced:
        event = self.event(hold)
        if not isinstance(event, events.HoldPlaced):
            raise BadRequest(f"{hold!r} is a {type(event).__name__} and no hold")
        return event

    def _check_pending(self, placed: events.HoldPlaced, wanted: State, at: int) -> None:
        """WrongState unless the hold is pending; one whose time is over expires first."""
        if placed.key in self.bank.holds and placed.expires <= at:
            self.expire_holds(at)
        check_move(placed.key, self.state_of(placed.key), wanted)


def check_channel(channel: str) -> None:
    """BadRequest for a way in or out that there is none."""
    if channel not in CHANNELS:
        raise BadRequest(f"{channel!r} is no channel: one of {', '.join(CHANNELS)}")
