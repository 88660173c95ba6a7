"""Good rows, and five ways to be bad."""

from decimal import Decimal

from course.exercises import expect, require

GOOD = {"sku": "tea", "price": "4.50", "amount": "2"}
BAD = [
    ({**GOOD, "price": "cheap"}, "price"),
    ({**GOOD, "amount": "2.5"}, "amount"),
    ({**GOOD, "amount": "0"}, "amount"),
    ({**GOOD, "price": "-1"}, "price"),
    ({**GOOD, "price": "NaN"}, "price"),
    ({"sku": "tea", "amount": "1"}, "price"),
    ({**GOOD, "sku": ""}, "sku"),
]


def check_good(their):
    """Good rows come through"""
    good, bad = their.transform([GOOD, {**GOOD, "price": "0"}])
    expect(good[0], their.Line("tea", Decimal("4.50"), 2), "Each field in its own type.")
    expect(good[1].price, Decimal(0), "0 is a price.")
    expect(bad, [], "Nothing is wrong with them.")


def check_goes_on(their):
    """A bad row in the middle stops nobody"""
    try:
        good, bad = their.transform([GOOD, BAD[0][0], GOOD])
    except (ValueError, ArithmeticError) as error:
        require(
            False,
            f"one bad row ended everything ({type(error).__name__})",
            "Try each row by itself; Decimal('cheap') raises decimal.InvalidOperation.",
        )
    expect(len(good), 2, "Two rows are good.")
    expect(len(bad), 1, "One is bad, and it may not vanish.")


def check_letters(their):
    """Each dead letter has the row, the field and a reason"""
    for row, field in BAD:
        good, bad = their.transform([row])
        require(
            not good and len(bad) == 1,
            f"{row} is bad, and was taken as {good}",
            "An empty sku, a price below 0 or no number, an amount below 1 or not whole.",
        )
        expect((bad[0].raw, bad[0].field), (row, field), "The row as it came, and the wrong field.")
        require(bad[0].reason.strip(), f"the dead letter of {row} gives no reason")


def check_account(their):
    """Nothing is lost: good and bad together are what came"""
    rows = [GOOD, *(row for row, _ in BAD)] * 3
    good, bad = their.transform(rows)
    expect(len(good) + len(bad), len(rows), "Every row is in exactly one of the two lists.")
