"""A circuit breaker: two things to remember, the failures in a row and since when it is open."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Open(Exception):  # noqa: N818
    """The source is known to be down; it was not asked."""


class Breaker:
    """Stops asking after `failures` failures in a row, for `rest` seconds."""

    def __init__(self, failures: int, rest: float, clock: Callable[[], float]) -> None:
        self.failures, self.rest, self.clock = failures, rest, clock
        self.in_a_row = 0
        self.since: float | None = None

    def call(self, ask: Callable[[], T]) -> T:
        """What `ask` returns; its own error, or Open when it isn't asked."""
        if self.since is not None and self.clock() < self.since + self.rest:
            raise Open(f"open since {self.since:g} s, for {self.rest:g} s")
        try:
            answer = ask()
        except Exception:
            self.in_a_row += 1
            if self.in_a_row >= self.failures:
                self.since = self.clock()
            raise
        self.in_a_row, self.since = 0, None
        return answer
