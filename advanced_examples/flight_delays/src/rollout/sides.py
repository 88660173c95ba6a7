"""The two sides that answer: who belongs to each, who is up, and what came of their requests."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

STABLE, CANDIDATE = "stable", "candidate"
PAGE, KEY_HEADER = "/rollout", "X-Rollout-Key"  # where the share is set, and by whom
# Seconds; 2.0 is one of them, so that "slower than 2000 ms" can be counted exactly.
BOUNDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
FALL = 2  # failed checks in a row until a backend counts as down; one good check brings it back
SPLIT_PATHS = frozenset({"/predict", "/predict-batch", "/explain"})
FLIGHT_ID = re.compile(rb'"flight_id"\s*:\s*"([^"\\]+)"')


def place(body: bytes, salt: str = "") -> float:
    """Where a request stands between 0 and 1: the same flight always at the same place.

    The candidate gets the places below its share. So a flight stays on its side while the share
    stays, and one that was on the candidate's side stays there when the share rises. Another
    `salt` deals anew.
    """
    named = FLIGHT_ID.search(body)
    key = named[1] if named else body
    digest = hashlib.blake2b(key, digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest) / 2**64


@dataclass
class Backend:
    """One process of the service, at `url`."""

    url: str
    up: bool = True
    failed_checks: int = 0
    in_flight: int = 0

    def checked(self, ready: bool) -> bool:
        """Note a health check; whether it changed what we think of the backend."""
        before = self.up
        self.failed_checks = 0 if ready else self.failed_checks + 1
        if ready:
            self.up = True
        elif self.failed_checks >= FALL:
            self.up = False
        return self.up != before

    def refused(self) -> None:
        """Nobody listens there: down until a check finds it ready."""
        self.up, self.failed_checks = False, FALL


@dataclass
class Side:
    """The backends of one side, and counts of what they were asked since the router began.

    `asked` counts requests handed to the side, `errors` those it failed, by reason. A request
    that fails on one backend and succeeds on the next was handed over twice.
    """

    name: str
    backends: Sequence[Backend]
    asked: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    version: str = ""
    _turn: int = 0

    def in_turn(self) -> list[Backend]:
        """The backends to try, the ones that are up first; who begins changes with each call."""
        self._turn = (self._turn + 1) % max(len(self.backends), 1)
        turned = [*self.backends[self._turn :], *self.backends[: self._turn]]
        return sorted(turned, key=lambda backend: not backend.up)

    @property
    def up(self) -> bool:
        """Whether at least one backend is up."""
        return any(backend.up for backend in self.backends)

    def took(self, seconds: float) -> None:
        """Count how long an answer (or waiting for none) took."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def failed(self, why: str) -> None:
        """Count a failed request."""
        self.errors[why] += 1

    @property
    def in_flight(self) -> int:
        """Requests that wait for an answer of this side now."""
        return sum(backend.in_flight for backend in self.backends)
