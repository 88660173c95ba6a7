"""`@cache`: keep a handler's answer for a while, with a tag so that clients can keep it too."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from web_framework.conditional import tag_of
from web_framework.onion import Call, Handler, around
from web_framework.request import Request
from web_framework.response import Header, Response


class Kept(NamedTuple):
    """An answer that is kept; `since` on the monotonic clock."""

    since: float
    body: bytes
    headers: list[Header]


def cache(
    seconds: float, entries: int = 1_000, clock: Callable[[], float] = time.monotonic
) -> Callable[[Handler], Handler]:
    """Answer from memory for `seconds`; the `entries` used last are kept.

    For answers that depend on path and query alone. A request that brings a token is passed on and
    its answer is not kept: what one user may see, another one must not get. Two requests at the
    same moment may both do the work.
    """
    return around(Cache(seconds, entries, clock))


class Cache:
    """The layer behind `@cache`."""

    def __init__(self, seconds: float, entries: int, clock: Callable[[], float]) -> None:
        self.seconds, self.entries, self.clock = seconds, entries, clock
        self.kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self.lock = threading.Lock()

    def __call__(self, request: Request, call_next: Call) -> Response:
        if request.method not in ("GET", "HEAD") or request.header("Authorization"):
            return call_next(request)
        key = (request.path, request.environ.get("QUERY_STRING", ""))
        now = self.clock()
        with self.lock:
            found = self.kept.get(key)
            if found and now - found.since < self.seconds:
                self.kept.move_to_end(key)
                return answer_from(found, now)
        response = call_next(request)
        if response.status != 200 or not isinstance(response.body, bytes):
            return response
        response.set("ETag", tag_of(response.body))
        response.set("Cache-Control", f"max-age={self.seconds:.0f}")
        self._keep(key, Kept(now, response.body, list(response.headers)))
        return response

    def _keep(self, key: tuple[str, str], answer: Kept) -> None:
        with self.lock:
            self.kept[key] = answer
            self.kept.move_to_end(key)
            if len(self.kept) > self.entries:
                self.kept.popitem(last=False)


def answer_from(kept: Kept, now: float) -> Response:
    """A response of its own for each request: layers may change it."""
    response = Response(kept.body)
    response.headers = [*kept.headers, ("Age", str(int(now - kept.since)))]
    return response
