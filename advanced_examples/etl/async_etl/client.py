"""Asking one source: bounded, patient where that helps, and never when it can't."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from async_etl.breaker import CircuitBreaker, CircuitOpen
from async_etl.metrics import Metrics
from async_etl.settings import Settings

LARGEST_ANSWER = 20_000_000  # bytes


class SourceError(Exception):
    """What a source did instead of answering. The text is for people."""


class Refused(SourceError):  # noqa: N818
    """The request itself is wrong (400, 404 …): no use to ask again, and the source is well."""


class Passing(SourceError):  # noqa: N818
    """Another attempt may succeed, at the earliest in `retry_after` seconds."""

    def __init__(self, text: str, retry_after: float = 0.0) -> None:
        self.retry_after = retry_after
        super().__init__(text)


class Throttled(Passing):
    """429: we ask too often. That is no failure of the source."""


class Unavailable(Passing):
    """5xx, a lost connection, or no answer in time."""


class Garbage(Passing):
    """An answer that can't be read; `body` is what came."""

    def __init__(self, text: str, body: bytes) -> None:
        self.body = body
        super().__init__(text)


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that Retry-After asks for, given as a number or as a date; else 0."""
    said = headers.get("Retry-After", "0").strip()
    if said.isdecimal():
        return float(said[:9])
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def failure(state: RetryCallState) -> BaseException | None:
    """What the last attempt raised."""
    return state.outcome.exception() if state.outcome else None


class Patience:
    """When to stop asking: after so many attempts, or when the next one would come too late.

    What an open breaker refused was no attempt: it did the source no harm.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.attempts, self.clock = settings.attempts, clock
        self.until = clock() + settings.patience

    def __call__(self, state: RetryCallState) -> bool:
        error = failure(state)
        self.attempts -= not isinstance(error, CircuitOpen)
        return self.attempts < 1 or self.clock() + getattr(error, "retry_after", 0) > self.until


@dataclass
class Client:
    """Asks one source. `sleep`, `clock` and `dice` are given in tests."""

    source: str
    session: aiohttp.ClientSession
    settings: Settings
    metrics: Metrics
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    dice: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.breaker = CircuitBreaker(
            self.source, (Unavailable, Garbage), self.settings.failures, self.settings.open_for,
            self.clock,
        )  # fmt: skip
        self.places = asyncio.Semaphore(self.settings.at_once)
        self._tell_breaker()

    async def get(self, path: str, check: Callable[[Any], Any], **query: str | int) -> Any:
        """What `check` makes of the JSON at `path`; SourceError or CircuitOpen in the end.

        `check` raises ValueError when the JSON isn't what it should be.
        """

        async def attempt() -> Any:
            async with self.places:
                return await self.breaker.call(lambda: self._ask(path, query, check))

        retrying = AsyncRetrying(
            retry=retry_if_exception_type((Passing, CircuitOpen)),
            wait=self._wait,
            stop=Patience(self.settings, self.clock),
            before_sleep=self._retried,
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        finally:
            self._tell_breaker()

    def _wait(self, state: RetryCallState) -> float:
        """What the source asks for, and anything up to first_wait, then 2, 4, 8 times that."""
        doubled = self.settings.first_wait * 2 ** min(state.attempt_number - 1, 30)
        asked = getattr(failure(state), "retry_after", 0.0)
        return asked + self.dice.uniform(0, min(doubled, self.settings.longest_wait))

    def _retried(self, state: RetryCallState) -> None:
        self._tell_breaker()
        if not isinstance(failure(state), CircuitOpen):
            self.metrics.retried += 1

    def _tell_breaker(self) -> None:
        self.metrics.breaker(self.source, self.breaker.state, self.breaker.opened)

    async def _ask(
        self, path: str, query: Mapping[str, str | int], check: Callable[[Any], Any]
    ) -> Any:
        result = "answered"
        try:
            return await self._answer(path, query, check)
        except SourceError as error:
            result = type(error).__name__.lower()
            raise
        finally:
            self.metrics.meters.requests.labels(self.source, result).inc()

    async def _answer(
        self, path: str, query: Mapping[str, str | int], check: Callable[[Any], Any]
    ) -> Any:
        body = bytearray()
        try:
            async with self.session.get(path, params=query or None) as response:
                while piece := await response.content.read(LARGEST_ANSWER - len(body)):
                    body += piece
                _check_status(response.status, response.headers, body)
            return check(json.loads(body))
        except (ValueError, RecursionError) as error:
            raise Garbage(f"an answer that can't be read ({error})", bytes(body)) from None
        except TimeoutError:
            limit = self.settings.timeout
            raise Unavailable(f"no answer within {limit:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"the connection failed ({type(error).__name__})") from None


def _check_status(status: int, headers: Mapping[str, str], body: bytes) -> None:
    if status == 429:
        wait = retry_after(headers)
        raise Throttled(f"429, come back in {wait:g} s", wait)
    if status >= 500:
        raise Unavailable(f"status {status}", retry_after(headers))
    if status >= 400:
        raise Refused(f"status {status}: {body[:200].decode(errors='replace')}")
