"""Account numbers with two check digits, so that a mistyped one is noticed before money moves.

The digits are those of an IBAN: ISO 7064, MOD 97-10. They find every single wrong digit and every
swap of two neighbours.
"""

PREFIXES = {"CHK": 1, "SAV": 2, "MMK": 3}


def check_digits(prefix: str, serial: int) -> int:
    """The two digits that make the whole number, times 100 plus these, 1 modulo 97."""
    return 98 - (PREFIXES[prefix] * 10**8 + serial) * 100 % 97


def account_number(prefix: str, serial: int) -> str:
    """Such as CHK-00000017-05."""
    return f"{prefix}-{serial:08d}-{check_digits(prefix, serial):02d}"


def is_account_number(text: str) -> bool:
    """Whether `text` has the form of an account number and the right check digits."""
    prefix, *digits = text.split("-")
    if prefix not in PREFIXES or [len(part) for part in digits] != [8, 2]:
        return False
    serial, check = digits
    return (serial + check).isdecimal() and int(check) == check_digits(prefix, int(serial))
