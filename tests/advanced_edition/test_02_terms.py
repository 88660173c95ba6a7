"""Money, fees, interest and limits: what a bank's terms say, to the last place."""

from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger.closing import end_month
from ledger.days import DAY, HOUR, actual_360, actual_365, moment, thirty_360
from ledger.errors import BadRequest
from ledger.journal import FEES, INTEREST
from ledger.money import ZERO, money, rounded, shown
from ledger.products import TERMS, yearly
from ledger.service import Ledger

NOW = moment("2025-10-26 09:00")
People = tuple[Ledger, str, str, str]


# --- money


@pytest.mark.parametrize(
    "bad", [0.1, "0.00001", "0", "-1", "NaN", "sNaN", "Infinity", "1e40", "", "ten", None, b"1", []]
)
def test_what_is_no_amount_is_refused(people: People, bad: Any) -> None:
    ledger, anna, *_ = people
    before = ledger.bank.number
    with pytest.raises(BadRequest, match=r"amount|float"):
        ledger.deposit(anna, bad, key="bad", at=NOW)
    assert ledger.bank.number == before
    assert "bad" not in ledger.keys


@given(st.decimals(min_value="0.0001", max_value="1e15", places=4))
def test_an_amount_is_exact_to_four_places(amount: Decimal) -> None:
    assert money(str(amount)) == money(amount) == amount
    assert money(amount).as_tuple().exponent == -4


@given(st.decimals(min_value="-1e9", max_value="1e9", places=4))
def test_what_is_shown_is_the_nearest_cent_and_even_in_the_middle(amount: Decimal) -> None:
    cents = Decimal(shown(amount).replace(",", ""))
    assert abs(cents - amount) <= Decimal("0.005")
    if abs(cents - amount) == Decimal("0.005"):
        assert int(cents * 100) % 2 == 0


# --- terms


@pytest.mark.parametrize(
    ("amount", "fee"),
    [("1000", "0.5"), ("1000.01", "2"), ("10000", "2"), ("10000.01", "7"), ("20000", "12")],
)
def test_fees_by_tier(amount: str, fee: str) -> None:
    assert TERMS["savings"].fee(money(amount)) == Decimal(fee)


@pytest.mark.parametrize(
    ("balance", "expected"),
    [("0", "0"), ("10000", "150"), ("50000", "950"), ("60000", "1200"), ("-5", "0")],
)
def test_each_slice_of_a_balance_has_its_own_rate(balance: str, expected: str) -> None:
    assert yearly(TERMS["savings"].interest, Decimal(balance)) == Decimal(expected)


@pytest.mark.parametrize(
    ("start", "end", "days_360", "actual"),
    [
        ("2025-01-31", "2025-03-31", 60, 59),
        ("2025-01-30", "2025-01-31", 0, 1),
        ("2025-01-15", "2025-01-31", 16, 16),
        ("2024-02-28", "2024-03-01", 3, 2),
        ("2025-02-28", "2025-03-01", 3, 1),
        ("2024-01-01", "2025-01-01", 360, 366),
    ],
)
def test_three_ways_to_count_days(start: str, end: str, days_360: int, actual: int) -> None:
    days = moment(start) // DAY, moment(end) // DAY
    assert thirty_360(*days) == Decimal(days_360) / 360
    assert actual_365(*days) == Decimal(actual) / 365
    assert actual_360(*days) == Decimal(actual) / 360


@given(st.lists(st.tuples(st.integers(1, 40), st.decimals("0", "200000", places=2)), max_size=8))
def test_interest_for_periods_is_interest_for_days(periods: list[tuple[int, Decimal]]) -> None:
    """Paying for ten days at once or ten times for one is the same but for the last place."""
    terms, day, at_once, daily = TERMS["savings"], 20_000, [], []
    for length, balance in periods:
        at_once.append((day, day + length, balance))
        daily += [(one, one + 1, balance) for one in range(day, day + length)]
        day += length
    assert terms.interest_for(at_once) == terms.interest_for(daily)


def test_a_month_is_closed_once_even_if_it_took_two_attempts(people: People) -> None:
    ledger, anna, ivan, rich = people
    ledger.withdraw(anna, "1900", key="w", at=NOW + 2 * HOUR, name="Landlord")
    close = moment("2025-11-01")
    append, ledger.log.append = ledger.log.append, refuse_the_third(ledger.log.append)
    with pytest.raises(OSError, match="on purpose"):
        end_month(ledger, close)
    ledger.log.append = append
    assert end_month(ledger, close) == (1, 0)
    assert end_month(ledger, close) == (0, 0)
    accounts = ledger.bank.accounts
    assert accounts[anna].balance == money("1096")  # the monthly fee of 4
    assert accounts[ivan].balance == 8_000 + rounded(Decimal(120) * 6 / 365)
    assert accounts[rich].balance == 60_000 + rounded(Decimal(1_300) * 6 / 360)
    assert accounts[INTEREST].balance == -(accounts[ivan].balance + accounts[rich].balance - 68_000)


def refuse_the_third(append: Callable[[str], int]) -> Callable[[str], int]:
    """An `append` that fails each third time."""
    calls = count(1)

    def sometimes(text: str) -> int:
        if next(calls) % 3 == 0:
            raise OSError("on purpose")
        return append(text)

    return sometimes


def test_a_monthly_fee_takes_no_more_than_there_is(people: People) -> None:
    ledger, anna, *_ = people
    for number, amount in enumerate(("1400", "1599")):
        ledger.transfer(anna, people[2], amount, key=f"t-{number}", at=NOW + 2 * HOUR)
    end_month(ledger, moment("2025-11-01"))
    assert ledger.account(anna).balance == ZERO


# --- limits and refusals


@pytest.mark.parametrize(
    ("kind", "amount", "reason"),
    [
        ("checking", "15000.01", "over the limit of 15,000 each"),
        ("checking", "3000.01", "insufficient funds"),
        ("savings", "25000.01", "over the limit of 25,000 each"),
        ("savings", "8000.01", "insufficient funds"),
    ],
)
def test_limits(people: People, kind: str, amount: str, reason: str) -> None:
    ledger, anna, ivan, _ = people
    account = {"checking": anna, "savings": ivan}[kind]
    balance = ledger.account(account).balance
    receipt = ledger.withdraw(account, amount, key="no", at=NOW)
    assert (receipt.outcome, receipt.event.reason) == ("rejected", reason)
    assert ledger.account(account).balance == balance
    assert ledger.state_of("no") == "rejected"
    assert ledger.withdraw(account, amount, key="no", at=NOW).outcome == "exists"


def test_the_limit_of_a_day_ends_with_the_day(people: People) -> None:
    ledger, _, ivan, _ = people
    ledger.deposit(ivan, "60000", key="d", at=NOW)
    for number in range(2, 4):
        ledger.withdraw(ivan, "12000", key=f"w-{number}", at=NOW + number * HOUR)
    over = ledger.withdraw(ivan, "1000.01", key="over", at=NOW + 4 * HOUR)
    assert over.event.reason == "over the limit of 25,000 a day"
    assert ledger.withdraw(ivan, "1000.01", key="next", at=NOW + DAY).outcome == "posted"


def test_a_frozen_account_pays_nothing_out(people: People) -> None:
    ledger, anna, *_ = people
    ledger.freeze(anna, "court order", key="f", at=NOW)
    assert ledger.withdraw(anna, "1", key="w", at=NOW).event.reason == "the account is frozen"
    assert ledger.deposit(anna, "1", key="d", at=NOW).outcome == "posted"
    ledger.release(anna, "court order lifted", key="r", at=NOW)
    assert ledger.withdraw(anna, "1", key="w2", at=NOW).outcome == "posted"


def test_free_payments_come_back_with_the_month(people: People) -> None:
    ledger, _, ivan, _ = people
    for number in range(7):
        ledger.withdraw(ivan, "1", key=f"w-{number}", at=NOW + number * HOUR)
    assert ledger.account(ivan).balance == money("7992.50")
    assert ledger.bank.accounts[FEES].balance == money("0.50")
    next_month = moment("2025-11-01")
    assert ledger.withdraw(ivan, "1", key="november", at=next_month).event.fee == ZERO
