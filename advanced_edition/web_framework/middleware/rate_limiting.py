"""Not too much from one client: a token bucket for each, 429 when it is empty.

A bucket holds `burst` tokens and gains `per_second`. A request takes one. So a client may hurry for
a moment but not for long. One bucket is two numbers, and the fill is computed when somebody looks.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from web_framework.errors import HttpError
from web_framework.onion import Call
from web_framework.request import Request
from web_framework.response import Response


class RateLimiting:
    """At most `burst` requests at once and `per_second` for long, for each `whose(request)`.

    The `most` clients seen last are remembered: memory must not grow with the number of attackers.
    One process counts for itself; for several, the buckets belong into Redis.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        whose: Callable[[Request], str] = lambda request: request.client,
        clock: Callable[[], float] = time.monotonic,
        most: int = 10_000,
    ) -> None:
        if per_second <= 0 or burst < 1:
            raise ValueError("per_second must be above 0, burst at least 1")
        self.per_second, self.burst, self.whose = per_second, burst, whose
        self.clock, self.most = clock, most
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.lock = threading.Lock()

    def __call__(self, request: Request, call_next: Call) -> Response:
        wait = self.take(self.whose(request))
        if wait > 0:
            seconds = str(math.ceil(wait))
            raise HttpError(429, f"wait {seconds} s", [("Retry-After", seconds)])
        return call_next(request)

    def take(self, key: str) -> float:
        """Take one token. 0.0 if there was one, else the seconds until there is one."""
        with self.lock:
            now = self.clock()
            tokens, seen = self.buckets.pop(key, (float(self.burst), now))
            tokens = min(self.burst, tokens + (now - seen) * self.per_second)
            allowed = tokens >= 1
            self.buckets[key] = (tokens - allowed, now)
            if len(self.buckets) > self.most:
                self.buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self.per_second
