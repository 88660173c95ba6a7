"""Money is a Decimal with four places inside and two for people.

Four places keep interest and percentages exact enough to add up; a statement shows two, rounded
half to even (banker's rounding), because rounding every half up makes a sum drift upwards.
"""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from ledger.errors import BadRequest

PLACES = Decimal("0.0001")
SHOWN = Decimal("0.01")
ZERO = Decimal("0.0000")
LARGEST = Decimal(10) ** 15  # a trillion sums of it still fit the 28 digits that Decimal keeps


def money(value: str | int | Decimal) -> Decimal:
    """An amount above zero, exact to four places.

    Raises BadRequest for a float (0.1 is not a tenth in binary), for more than four places, and
    for what is not a positive number.
    """
    if isinstance(value, float):
        raise BadRequest(f"{value!r} is a float, which is not exact: give the amount as text")
    try:
        exact = Decimal(value)
        amount = exact.quantize(PLACES)
        if exact == amount and ZERO < amount <= LARGEST:
            return amount
    except (InvalidOperation, TypeError, ValueError):
        pass
    raise BadRequest(f"{value!r} is no amount: above zero, at most four places, up to {LARGEST:,}")


def rounded(amount: Decimal) -> Decimal:
    """To four places, half to even: for what a percentage yields."""
    return amount.quantize(PLACES, ROUND_HALF_EVEN)


def shown(amount: Decimal) -> str:
    """Two places for people, half to even: 2.125 is shown as 2.12, 2.135 as 2.14."""
    return f"{amount.quantize(SHOWN, ROUND_HALF_EVEN):,}"
