"""A circuit breaker for asyncio: stop asking a source that is down, and notice when it is back."""

import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeVar

T = TypeVar("T")


class State(Enum):
    """What a breaker does with a call: lets it pass, refuses it, or lets one pass as a probe."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class CircuitOpen(Exception):  # noqa: N818
    """Refused without asking; `retry_after` seconds from now a probe may be let through."""

    def __init__(self, name: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"the circuit of {name} is open")


class CircuitBreaker:
    """Opens after `failures` failures in a row; after `open_for` seconds one probe may pass.

    Only errors of the kinds `counts` are failures. Any other error is an answer: the source is
    alive and says no. `clock` gives monotonic seconds: a wall clock may jump.
    """

    def __init__(
        self,
        name: str,
        counts: type[Exception] | tuple[type[Exception], ...],
        failures: int = 5,
        open_for: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.counts, self.failures, self.open_for = name, counts, failures, open_for
        self.clock = clock
        self.state = State.CLOSED
        self.opened = 0  # how often so far
        self._in_a_row = 0
        self._opened_at = 0.0
        self._period = 0  # grows with every change of state

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work()` returns or raises; CircuitOpen instead while it must not be asked."""
        self._let_pass()
        period = self._period
        try:
            result = await work()
        except self.counts:
            self._failed(period)
            raise
        except Exception:
            self._answered(period)
            raise
        except BaseException:
            self._cancelled(period)
            raise
        self._answered(period)
        return result

    def _let_pass(self) -> None:
        if self.state is State.CLOSED:
            return
        left = self._opened_at + self.open_for - self.clock()
        if self.state is State.HALF_OPEN or left > 0:  # half-open: the one probe is under way
            raise CircuitOpen(self.name, max(left, 0.0))
        self._become(State.HALF_OPEN)

    def _failed(self, period: int) -> None:
        if period != self._period:
            return  # it began before the last change: old news
        self._in_a_row += 1
        if self.state is State.HALF_OPEN or self._in_a_row >= self.failures:
            self._opened_at = self.clock()
            self.opened += 1
            self._become(State.OPEN)

    def _answered(self, period: int) -> None:
        if period != self._period:
            return
        self._in_a_row = 0
        if self.state is State.HALF_OPEN:
            self._become(State.CLOSED)

    def _cancelled(self, period: int) -> None:
        """A probe that was cancelled has shown nothing: the next call may be the probe."""
        if period == self._period and self.state is State.HALF_OPEN:
            self._become(State.OPEN)

    def _become(self, state: State) -> None:
        self.state = state
        self._in_a_row = 0
        self._period += 1
