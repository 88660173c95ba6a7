"""The domain: what a customer is, what may happen to one, and what is said when it may not.

It imports the standard library only. No database, no framework, nothing to start: that is what
makes these rules cheap to read and to test.
"""

# ruff: noqa: N818  (errors are named by what happened)
import re
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from uuid import uuid4

LONGEST_NAME, LONGEST_EMAIL = 100, 254  # characters; 254 is what SMTP allows (RFC 5321, 4.5.3.1.3)
MOST_POINTS = 1_000_000_000
# The "valid e-mail address" of the HTML standard (4.10.5.1.5), with a dot in the domain.
EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")


class CustomerError(Exception):
    """A rule was broken. The text is for people, and the same whichever engine is used."""

    says: ClassVar[str] = "{}"

    def __str__(self) -> str:
        return self.says.format(*self.args)


class InvalidName(CustomerError):
    says = "{!r} is no name: it needs 1 to 100 characters that can be printed"


class InvalidEmail(CustomerError):
    says = "{!r} is no e-mail address: it needs a form like anna@example.com"


class DuplicateEmail(CustomerError):
    says = "{} has an account already: sign in, or use another address"


class AlreadyStored(CustomerError):
    says = "the customer {} was added before: update it instead"


class UnknownCustomer(CustomerError):
    says = "there is no customer {}"


class ForbiddenChange(CustomerError):
    """The customer exists, but this may not happen to them."""


class ConcurrentChange(CustomerError):
    says = "somebody else changed the same customer meanwhile: load it again and repeat"


class Email(str):
    """An e-mail address in lower case; InvalidEmail if the text is none.

    A value object: it never changes, and two are equal when their text is. Only the mail that
    arrives proves an address, so the form is checked and no more.
    """

    __slots__ = ()

    def __new__(cls, text: object) -> "Email":
        address = text.strip().lower() if isinstance(text, str) and text.isascii() else ""
        if len(address) > LONGEST_EMAIL or not EMAIL.fullmatch(address):
            raise InvalidEmail(text)
        return super().__new__(cls, address)


def valid_name(text: object) -> str:
    """`text` with single spaces; InvalidName if nothing is left, it is too long or unprintable."""
    name = " ".join(text.split()) if isinstance(text, str) else ""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidName(text)
    return name


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer, valid from the first moment: the aggregate, and an entity with an identity.

    The identity is made here, not by a database, so that it is the same in every engine. A change
    makes a new object; nothing that somebody else holds can change behind their back. `version`
    counts the stored changes.
    """

    name: str
    email: str
    points: int = 0
    closed: bool = False
    customer_id: str = field(default_factory=lambda: str(uuid4()))
    version: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", valid_name(self.name))
        object.__setattr__(self, "email", Email(self.email))
        if not 0 <= self.points <= MOST_POINTS:
            raise ForbiddenChange(f"points go from 0 to {MOST_POINTS:,}, not to {self.points:,}")

    def changed(self, **changes: Any) -> "Customer":
        """The customer after the change, checked anew; ForbiddenChange if the account is closed."""
        if self.closed:
            raise ForbiddenChange(f"the account of {self.email} is closed: nothing may change")
        return replace(self, **changes)


@dataclass(frozen=True)
class Event:
    """Something that happened: past tense, never changed. `customer` is as it was then."""

    customer: Customer


@dataclass(frozen=True)
class CustomerRegistered(Event):
    """An account was opened."""


@dataclass(frozen=True)
class EmailChanged(Event):
    """The address was another one before: `old`."""

    old: str


@dataclass(frozen=True)
class PointsAwarded(Event):
    """So many points were added."""

    points: int


@dataclass(frozen=True)
class AccountClosed(Event):
    """An account was closed for good."""


@dataclass(frozen=True)
class CustomersMerged(Event):
    """`customer` goes on with the points of the account `closed`."""

    closed: Customer
