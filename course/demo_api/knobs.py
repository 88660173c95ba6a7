"""Faults on demand: what a request asks the demo API to do to it, and what its fate will be."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

FAULTS = ("fail", "throttle", "garble", "drop")
# Some clocks move in steps of 16 ms: a client that waited long enough may seem early.
CLOCK_GRACE = 0.02


class BadRequestError(ValueError):
    """A query parameter that makes no sense; the text says which and why."""


@dataclass(frozen=True)
class Knobs:
    """The knobs of one request; the package's docstring explains each of them."""

    delay: float = 0.0
    stall: float = 0.0
    fail: float = 0.0
    throttle: float = 0.0
    garble: float = 0.0
    drop: float = 0.0
    retry_after: int = 1
    seed: int = 0
    attempt: int | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "Knobs":
        """Read the knobs in `query`; BadRequestError when one is out of its range."""
        given = {
            name: (whole_number if name in WHOLE else number)(query, name, low, high)
            for name, (low, high) in LIMITS.items()
            if name in query
        }
        knobs = cls(**given)  # type: ignore[arg-type]
        if sum(knobs.shares().values()) > 1 + 1e-9:
            raise BadRequestError(f"the shares {' + '.join(FAULTS)} add up to more than 1")
        return knobs

    def shares(self) -> dict[str, float]:
        """The share of requests, 0 to 1, that each fault is to hit."""
        return {fault: getattr(self, fault) for fault in FAULTS}


LIMITS: dict[str, tuple[int, int]] = {
    "delay": (0, 60),
    "stall": (0, 60),
    **dict.fromkeys(FAULTS, (0, 1)),
    "retry_after": (0, 3600),
    "seed": (0, 2**53),
    "attempt": (1, 2**53),
}
WHOLE = {"retry_after", "seed", "attempt"}


def number(query: Mapping[str, str], name: str, low: float, high: float) -> float:
    """The parameter `name` as a number from `low` to `high`; BadRequestError otherwise."""
    try:
        value = float(query[name])
    except ValueError:
        raise BadRequestError(f"{name}={query[name]} is not a number") from None
    if not low <= value <= high:
        raise BadRequestError(f"{name}={query[name]} is not between {low:g} and {high:g}")
    return value


def whole_number(query: Mapping[str, str], name: str, low: int, high: int) -> int:
    """The parameter `name` as a whole number from `low` to `high`; BadRequestError otherwise."""
    value = number(query, name, low, high)
    if value != int(value):
        raise BadRequestError(f"{name}={query[name]} is not a whole number")
    return int(value)


@dataclass(frozen=True)
class Fate:
    """What happens to one request: a fault (or None), the attempt it was, seconds until a retry."""

    fault: str | None = None
    attempt: int = 0
    retry_after: int = 0
    too_early: bool = False


def draw_fault(knobs: Knobs, resource: str, attempt: int) -> str | None:
    """The fault that hits this attempt, from the seed, the resource and the attempt alone."""
    digest = hashlib.blake2b(f"{knobs.seed}|{resource}|{attempt}".encode(), digest_size=8).digest()
    drawn = int.from_bytes(digest, "big") / 2**64
    reached = 0.0
    for fault, share in knobs.shares().items():
        reached += share
        if drawn < reached:
            return fault
    return None


class Fates:
    """Decides the fate of each request; remembers attempts, and who was told to come back later."""

    def __init__(self) -> None:
        self._attempts: Counter[tuple[int, str]] = Counter()
        self._closed_until: dict[tuple[int, str], float] = {}

    def decide(self, knobs: Knobs, resource: str, now: float) -> Fate:
        """The fate of a request for `resource` at the monotonic time `now` (seconds).

        A client that was told to wait and comes too early is told again; that is no new attempt.
        """
        if not any(knobs.shares().values()):
            return Fate()
        key = (knobs.seed, resource)
        left = self._closed_until.get(key, now) - now
        if left > 0:
            return Fate("throttle", self._attempts[key], math.ceil(left), too_early=True)
        self._attempts[key] = knobs.attempt or self._attempts[key] + 1
        fault = draw_fault(knobs, resource, self._attempts[key])
        if fault == "throttle":
            self._closed_until[key] = now + knobs.retry_after - CLOCK_GRACE
        return Fate(fault, self._attempts[key], knobs.retry_after)
