"""Who is asking, and how often: API keys and a rate limit for each of them."""

import hashlib
import time
from collections.abc import Callable, Mapping


class Keys:
    """The API keys. Only their digests are kept, so a lookup tells nothing by its timing."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._holders = {digest(key): holder for key, holder in keys.items()}

    def holder(self, key: str | None) -> str | None:
        """Who holds `key`; None for an unknown or missing one."""
        return self._holders.get(digest(key)) if key else None


def digest(key: str) -> bytes:
    """The SHA-256 of a key; enough for long random keys, where passwords need a slow hash."""
    return hashlib.sha256(key.encode()).digest()


class RateLimit:
    """At most `rate` requests a minute for each caller, up to `burst` of them at once.

    The generic cell rate algorithm (ITU-T I.371): one number a caller, the time at which an evenly
    pacing caller's next request would be due. It needs no timer and no other server, so it works
    when Redis is down, and it uses a monotonic clock, so setting the wall clock changes nothing.
    Each process counts for itself: with four workers the limit is four times as high.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 60 / rate
        self._tolerance = (burst - 1) * self._interval
        self._clock = clock
        self._due: dict[str, float] = {}

    def wait(self, caller: str) -> float:
        """Count a request of `caller`: 0.0 if it may go ahead, else the seconds to wait.

        A refused request does not count, so who keeps asking is not shut out for longer.
        """
        now = self._clock()
        due = max(self._due.get(caller, now), now)
        early = due - now - self._tolerance
        if early > 1e-9:
            return early
        self._due[caller] = due + self._interval
        return 0.0
