"""Who is asking, and how often: API keys and a limit for each of them."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping

MINUTE = 60.0


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
    """At most `rate` requests of each holder in any 60 seconds.

    It remembers when each of the last `rate` requests came: the next one may go ahead once the
    oldest is a minute old. Exact, where counting by clock minutes lets twice as many through
    around the full minute. It counts in this process only; who runs several behind a balancer
    sends each client to the same one (client IP affinity), or gets a limit for each of them.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._times: dict[str, deque[float]] = {}

    def wait(self, holder: str) -> float:
        """Count a request: 0.0 if it may go ahead, else the seconds until one may.

        A refused request does not count, so who keeps asking is not shut out for longer.
        """
        now = self._clock()
        times = self._times.get(holder)
        if times is None:
            times = self._times[holder] = deque(maxlen=self._rate)
        if len(times) == self._rate and now - times[0] < MINUTE:
            return MINUTE - (now - times[0])
        times.append(now)
        return 0.0
