"""What a good order looks like: one rule a field, cleaning on the way, and what we know besides.

Each field has a function that takes the source's text and returns the clean value, or raises
ValueError. Cleaning takes what is meant beyond doubt (` ua ` is UA, `19,90` is 19.90) and refuses
the rest: 03/04/2025 is the third of April or the fourth of March, so nobody may guess.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

TODAY = date(2025, 10, 26)
FIRST_DAY = date(2020, 1, 1)
MICRO = 1_000_000
MOST_REMEMBERED, LONGEST_REMEMBERED = 2_048, 40

# country: (region, euros for one unit of its money, in millionths)
COUNTRIES = {
    "UA": ("Eastern Europe", 20_500),
    "PL": ("Central Europe", 235_000),
    "DE": ("Western Europe", 1_000_000),
    "GB": ("Western Europe", 1_150_000),
    "US": ("North America", 860_000),
}
ALIASES = {"UKRAINE": "UA", "POLAND": "PL", "GERMANY": "DE", "UK": "GB", "USA": "US"}
CATEGORIES = ("books", "electronics", "garden", "kitchen", "sports", "toys")
CATALOGUE = {f"P{number:03}": CATEGORIES[number % len(CATEGORIES)] for number in range(1, 301)}
MOST_ORDERS = 999_999_999_999
LONGEST_EMAIL = 254  # RFC 3696, erratum 1690
LARGEST = 50_000_00  # euro cents for one order: above it, somebody should look

# The parts of an address have no letter in common with what follows them, so the possessive ++
# finds what + would find, and never tries twice.
_EMAIL = re.compile(r"[a-z0-9._%+-]++@[a-z0-9-]++(?:\.[a-z0-9-]++)++").fullmatch
_WHOLE = re.compile(r"[0-9]{1,12}").fullmatch
_PRICE = re.compile(r"([0-9]{1,7})(?:[.,]([0-9]{1,2}))?").fullmatch
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_OUR_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})").fullmatch


class Remembered(dict[str, Any]):
    """The answers of `clean` by text: few different values come again and again.

    Asked as `_day[text]`, because looking into a dict costs half of a call. It holds at most
    2,048 short texts, and what is refused is not kept.
    """

    def __init__(self, clean: Callable[[str], Any]) -> None:
        super().__init__()
        self.clean = clean

    def __missing__(self, text: str) -> Any:
        answer = self.clean(text)
        if len(self) < MOST_REMEMBERED and len(text) < LONGEST_REMEMBERED:
            self[text] = answer
        return answer


def _whole(text: str, least: int, most: int) -> int:
    stripped = text.strip()
    if not _WHOLE(stripped) or not least <= (number := int(stripped)) <= most:
        raise ValueError
    return number


def order_number(text: str) -> int:
    """The order's key."""
    # Every row has another one, so this is written for speed: int() alone would take "1_000".
    if text.isdecimal() and text.isascii() and 0 < (number := int(text)) <= MOST_ORDERS:
        return number
    return _whole(text, 1, MOST_ORDERS)


def revision(text: str) -> int:
    """How often the order was written: the highest one counts."""
    return _whole(text, 1, 1_000)


def day(text: str) -> str:
    """A date as 2025-10-26; 26.10.2025 is cleaned."""
    text = text.strip()
    if ours := _OUR_DATE(text):
        dd, mm, yyyy = ours.groups()
        text = f"{yyyy}-{mm:0>2}-{dd:0>2}"
    if not _ISO_DATE(text) or not FIRST_DAY <= date.fromisoformat(text) <= TODAY:
        raise ValueError
    return text


def email(text: str) -> str:
    """An address in small letters without blanks around it."""
    if not _EMAIL(text):
        text = text.strip().lower()
        if not _EMAIL(text):
            raise ValueError
    if len(text) > LONGEST_EMAIL:
        raise ValueError
    return text


def country(text: str) -> str:
    """One of COUNTRIES by its two letters; a few names are cleaned."""
    code = text.strip().upper()
    code = ALIASES.get(code, code)
    if code not in COUNTRIES:
        raise ValueError
    return code


def product(text: str) -> str:
    """A key of CATALOGUE."""
    code = text.strip().upper()
    if code not in CATALOGUE:
        raise ValueError
    return code


def quantity(text: str) -> int:
    """Pieces, 1 to 1,000."""
    return _whole(text, 1, 1_000)


def price(text: str) -> int:
    """The price of one piece in the hundredths of its money: whole numbers lose nothing."""
    found = _PRICE(text.strip())
    if not found:
        raise ValueError
    cents = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    if cents == 0:
        raise ValueError
    return cents


@dataclass(frozen=True)
class Field:
    """A field's name, what cleans it, and the rule in words."""

    name: str
    clean: Callable[[str], object]
    rule: str


FIELDS = (
    Field("order_id", order_number, f"a whole number from 1 to {MOST_ORDERS:,}"),
    Field("revision", revision, "a whole number from 1 to 1,000"),
    Field("ordered_on", day, f"a date YYYY-MM-DD from {FIRST_DAY} to {TODAY}"),
    Field("email", email, "an e-mail address"),
    Field("country", country, f"one of {', '.join(COUNTRIES)}"),
    Field("product", product, "a product of the catalogue"),
    Field("quantity", quantity, "a whole number from 1 to 1,000"),
    Field("price", price, "a price above 0 with at most two decimals"),
)
_revision, _day, _country, _product, _quantity, _price = map(
    Remembered, (revision, day, country, product, quantity, price)
)
NAMES = tuple(field.name for field in FIELDS)
WIDTH = len(FIELDS)

# What goes into the target, in this order; the pipeline adds the number of the run.
COLUMNS = (*NAMES, "region", "category", "cents_eur")
Order = tuple[int, int, str, str, str, str, int, int, str, str, int]


class InvalidRowError(ValueError):
    """A row that breaks rules: `faults` are (field, value, rule), one for each."""

    def __init__(self, faults: Sequence[tuple[str, object, str]]) -> None:
        self.faults = list(faults)
        super().__init__(
            "; ".join(f"{field}: {shorten(value)} is not {rule}" for field, value, rule in faults)
        )


def shorten(value: object, most: int = 60) -> str:
    """A value for an error message: quoted, in ASCII, not too long."""
    text = ascii(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def validate(row: Sequence[str]) -> tuple:
    """The clean values of a row in the order of FIELDS.

    Raises InvalidRowError, which names each field, its value and the rule.
    """
    # Each row of a million comes through here. Names and calls written out take half the time of
    # a loop over FIELDS.
    try:
        number, written, ordered, address, land, item, pieces, each = row
        return (
            order_number(number),
            _revision[written],
            _day[ordered],
            email(address),
            _country[land],
            _product[item],
            _quantity[pieces],
            _price[each],
        )
    except (ValueError, TypeError, AttributeError):
        pass  # rare, so the way that names the faults may take its time
    raise InvalidRowError(faults_of(row))


def faults_of(row: Sequence[object]) -> list[tuple[str, object, str]]:
    """Each (field, value, rule) that is broken in `row`."""
    if len(row) != WIDTH:
        return [("row", f"{len(row)} fields", f"{WIDTH} fields: {', '.join(NAMES)}")]
    faults = []
    for field, value in zip(FIELDS, row, strict=True):
        try:
            field.clean(value)  # type: ignore[arg-type]
        except (ValueError, TypeError, AttributeError):
            faults.append((field.name, value, field.rule))
    return faults


def enrich(values: tuple) -> Order:
    """Add the region, the category and the value in euro cents, rounded half up.

    Raises InvalidRowError for a value above LARGEST, which is a rule of two fields together.
    """
    number, written, ordered, address, land, item, pieces, each = values
    region, rate = COUNTRIES[land]
    cents = (pieces * each * rate + MICRO // 2) // MICRO
    if cents > LARGEST:
        most = f"at most {LARGEST // 100:,} EUR (quantity x price)"
        raise InvalidRowError([("order value", f"{cents / 100:,.2f} EUR", most)])
    return (number, written, ordered, address, land, item, pieces, each,
            region, CATALOGUE[item], cents)  # fmt: skip
