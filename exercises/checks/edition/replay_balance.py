"""Replays, decisions, and histories that can't be."""

from decimal import Decimal

from course.exercises import expect, expect_error


def check_replay(their):
    """The balance is what the events come to"""
    history = [
        their.AccountOpened(),
        their.Deposited(Decimal("100.10")),
        their.Withdrawn(Decimal("30.05")),
        their.Deposited(Decimal("0.20")),
    ]
    account = their.replay(iter(history))
    expect(account, their.Account(Decimal("70.25"), Decimal(0), 4), "Four events: version 4.")
    expect(
        their.replay(history[:2]).balance, Decimal("100.10"), "Any point of time can be replayed."
    )


def check_opened(their):
    """A history begins with its one AccountOpened"""
    expect(their.replay([their.AccountOpened(Decimal(50))]).overdraft, Decimal(50))
    opened, money = their.AccountOpened(), their.Deposited(Decimal(1))
    for history in ([], [money], [opened, opened], [money, opened]):
        with expect_error(ValueError, f"A history of {[type(e).__name__ for e in history]}."):
            their.replay(history)


def check_unknown(their):
    """An unknown event stops the replay"""
    with expect_error(TypeError, "Skipping what one doesn't know gives a wrong balance."):
        their.replay([their.AccountOpened(), "interest"])


def check_withdraw(their):
    """What may be withdrawn, to the cent"""
    account = their.Account(Decimal(10), Decimal(5), 2)
    expect(
        their.withdraw(account, Decimal(15)), their.Withdrawn(Decimal(15)), "10 and 5 overdraft."
    )
    expect(their.withdraw(account, Decimal("0.01")).amount, Decimal("0.01"), "A cent is money.")
    for amount in (Decimal("15.01"), Decimal(0), Decimal(-3)):
        with expect_error(ValueError, f"{amount} may not be withdrawn from 10 and 5 overdraft."):
            their.withdraw(account, amount)


def check_appended(their):
    """The event becomes true when it is appended"""
    history = [their.AccountOpened(), their.Deposited(Decimal(10))]
    account = their.replay(history)
    history.append(their.withdraw(account, Decimal(4)))
    expect(their.replay(history).balance, Decimal(6))
    expect(account.balance, Decimal(10), "withdraw() decides; it changes nothing.")
