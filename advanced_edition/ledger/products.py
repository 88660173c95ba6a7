"""The three kinds of account: limits, fees and interest.

Everything here is a rule for *deciding*. The outcome goes into the event, so these numbers may
change on any day without changing what happened before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ledger.days import actual_360, actual_365
from ledger.money import ZERO, rounded

Tier = tuple[Decimal, Decimal]  # from this balance on, this rate
Period = tuple[int, int, Decimal]  # from this day up to, without, that day: the balance


@dataclass(frozen=True)
class FeeTier:
    """For amounts up to `up_to`: `flat`, and `rate` of the amount."""

    up_to: Decimal
    flat: Decimal = ZERO
    rate: Decimal = ZERO


@dataclass(frozen=True)
class Terms:
    """What holds for one kind of account; amounts in the ledger's one currency."""

    prefix: str
    each_limit: Decimal
    day_limit: Decimal
    free_a_month: int
    fees: tuple[FeeTier, ...]
    maintenance: Decimal = ZERO
    no_maintenance_from: Decimal = ZERO
    interest: tuple[Tier, ...] = ()
    day_count: Callable[[int, int], Decimal] = actual_365

    def fee(self, amount: Decimal) -> Decimal:
        """What a payment costs when the month's free ones are used up, by the tier of `amount`."""
        tier = next(tier for tier in self.fees if amount <= tier.up_to)
        return rounded(tier.flat + tier.rate * amount) if tier.rate else tier.flat

    def monthly_fee(self, balance: Decimal, available: Decimal) -> Decimal:
        """The month's fee: waived from a certain balance on, never more than is available."""
        if balance >= self.no_maintenance_from:
            return ZERO
        return max(min(self.maintenance, available), ZERO)

    def interest_for(self, periods: Sequence[Period]) -> Decimal:
        """Interest on the end-of-day balances of `periods`, rounded once, at the end."""
        total = sum(
            (yearly(self.interest, balance) * self.day_count(start, end))
            for start, end, balance in periods
        )
        return rounded(Decimal(total))


def yearly(tiers: Sequence[Tier], balance: Decimal) -> Decimal:
    """A year's interest: each slice of the balance at its own rate, as with income tax.

    With the other usual way, one rate for the whole balance, a cent more could mean a jump.
    """
    upper = [start for start, _ in tiers[1:]] + [balance]
    return sum(
        (max(min(balance, end) - start, ZERO) * rate
         for (start, rate), end in zip(tiers, upper, strict=True)),
        ZERO,
    )  # fmt: skip


def _tiers(*pairs: tuple[str, str]) -> tuple[Tier, ...]:
    return tuple((Decimal(start), Decimal(rate)) for start, rate in pairs)


UNBOUNDED = Decimal("Infinity")
PAYMENT_FEES = (
    FeeTier(Decimal(1_000), flat=Decimal("0.5000")),
    FeeTier(Decimal(10_000), flat=Decimal("2.0000")),
    FeeTier(UNBOUNDED, flat=Decimal("2.0000"), rate=Decimal("0.0005")),
)
TERMS = {
    "checking": Terms(
        prefix="CHK",
        each_limit=Decimal(15_000),
        day_limit=Decimal(25_000),
        free_a_month=30,
        fees=PAYMENT_FEES,
        maintenance=Decimal("4.0000"),
        no_maintenance_from=Decimal(1_500),
    ),
    "savings": Terms(
        prefix="SAV",
        each_limit=Decimal(25_000),
        day_limit=Decimal(25_000),
        free_a_month=6,
        fees=PAYMENT_FEES,
        interest=_tiers(("0", "0.0150"), ("10000", "0.0200"), ("50000", "0.0250")),
    ),
    "money market": Terms(
        prefix="MMK",
        each_limit=Decimal(100_000),
        day_limit=Decimal(250_000),
        free_a_month=6,
        fees=PAYMENT_FEES,
        maintenance=Decimal("12.0000"),
        no_maintenance_from=Decimal(10_000),
        interest=_tiers(("0", "0.0100"), ("25000", "0.0300"), ("100000", "0.0375")),
        day_count=actual_360,
    ),
}
