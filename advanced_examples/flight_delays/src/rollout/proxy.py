"""Hand a request to the right side, and to the next backend when one fails.

Predictions have no side effects: asked twice, a flight gets the same answer twice. So a request
that failed may be sent again elsewhere, even if the first backend had begun with it. (Never do
that with requests that book or pay: there only what surely was not begun may be repeated. Without
`failover` the proxy works by that stricter rule.)

A request for the candidate that fails is answered by the stable side and counts as the candidate's
error. Requests for the stable side never go to the candidate: it is on trial. With `mirror` it gets
copies of them, whose answers nobody sees: both versions then predict the same flights (see ab.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from src.rollout.sides import SPLIT_PATHS, Backend, Side, place

SIDE_HEADER = "X-Model-Side"
LARGEST_BODY = 1_000_000  # as the service has it
MOST_TRIES = 3
MOST_COPIES = 64  # under way at once; a candidate too slow for all of them misses some
LAST_WAIT = 40.0  # seconds; the service itself answers 504 after 30
# Below uvicorn's 5 seconds: a connection that the server is about to close isn't used again.
IDLE_SECONDS = 3.0
VERSION = re.compile(rb'"model_version"\s*:\s*"([^"]*)"')
# For one connection only, never to be passed on (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
log = logging.getLogger("rollout")


@dataclass(frozen=True)
class Answer:
    """What a backend said."""

    status: int
    headers: CIMultiDict[str]
    body: bytes


class TryFailedError(Exception):
    """A backend gave no answer: why, and whether it may have begun with the request."""

    def __init__(self, why: str, begun: bool) -> None:
        super().__init__(why)
        self.why, self.begun = why, begun


class Proxy:
    """Routes requests between `stable` and `candidate`; `share` of the flights to the latter."""

    def __init__(
        self,
        stable: Side,
        candidate: Side,
        *,
        patience: float,
        failover: bool,
        mirror: bool = False,
        salt: str = "",
    ) -> None:
        self.stable, self.candidate = stable, candidate
        self.patience, self.failover, self.mirror, self.salt = patience, failover, mirror, salt
        self._copies: set[asyncio.Task[None]] = set()
        self.share = 0.0
        self.saved = 0  # requests that failed once and were answered all the same
        self.lost = 0  # requests that nobody answered
        self.client: aiohttp.ClientSession | None = None

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.stable, self.candidate

    def open(self) -> None:
        """Make the connections' pool; needs a running event loop."""
        self.client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )  # fmt: skip

    async def close(self) -> None:
        """Close all connections."""
        if self.client is not None:
            await self.client.close()

    def plan(self, path: str, body: bytes) -> Iterator[tuple[Side, Backend]]:
        """Whom to ask, one after another."""
        if path in SPLIT_PATHS and place(body, self.salt) < self.share:
            if self.candidate.up:
                yield self.candidate, self.candidate.in_turn()[0]
            else:  # its own fault: this is how many requests it would have failed
                self.candidate.asked += 1
                self.candidate.failed("down")
        for backend in self.stable.in_turn():
            yield self.stable, backend

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """The answer to `request`."""
        if not request.raw_path.startswith("/"):
            return problem(400, "bad request", "send the path only, beginning with /")
        if (request.content_length or 0) > LARGEST_BODY:
            return problem(413, "too large", f"the body may have {LARGEST_BODY:,} bytes")
        body = await request.read()
        tries = list(self.plan(request.path, body))[:MOST_TRIES]
        if self.mirror and request.path in SPLIT_PATHS and tries[0][0] is self.stable:
            self.copy(request, body)
        answer, side, why = None, self.stable, "there is nobody to ask"
        for number, (side, backend) in enumerate(tries, start=1):
            last = number == len(tries)
            try:
                answer = await self.ask(side, backend, request, body, last)
            except TryFailedError as error:
                answer, why = None, error.why
                if error.begun and not self.failover:
                    break
                continue
            if answer.status < 500 or not self.failover:
                self.saved += number > 1
                break
        if answer is None:
            self.lost += 1
            return problem(502, "bad gateway", f"no answer from the service: {why}; try again")
        answer.headers[SIDE_HEADER] = side.name
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def copy(self, request: web.BaseRequest, body: bytes) -> None:
        """Ask the candidate too, beside the request, and forget what it answers."""
        if self.candidate.up and len(self._copies) < MOST_COPIES:
            task = asyncio.create_task(self._ask_in_vain(request, body))
            self._copies.add(task)
            task.add_done_callback(self._copies.discard)

    async def _ask_in_vain(self, request: web.BaseRequest, body: bytes) -> None:
        with contextlib.suppress(TryFailedError):
            await self.ask(self.candidate, self.candidate.in_turn()[0], request, body, last=False)

    async def ask(
        self, side: Side, backend: Backend, request: web.BaseRequest, body: bytes, last: bool
    ) -> Answer:
        """What `backend` answers; counted on its side.

        Raises:
            TryFailedError: it didn't.
        """
        began = time.perf_counter()
        side.asked += 1
        backend.in_flight += 1
        try:
            answer = await self.send(backend, request, body, LAST_WAIT if last else self.patience)
        except TryFailedError as error:
            side.failed(error.why)
            if error.why == "broken" and side is self.stable:
                backend.refused()  # nobody else is sent there until a check has found it well
            if error.begun:
                side.took(time.perf_counter() - began)
            raise
        finally:
            backend.in_flight -= 1
        side.took(time.perf_counter() - began)
        if answer.status >= 500:
            side.failed(str(answer.status))
        elif (found := VERSION.search(answer.body)) is not None:
            side.version = found[1].decode(errors="replace")
        return answer

    async def send(
        self, backend: Backend, request: web.BaseRequest, body: bytes, wait: float
    ) -> Answer:
        """One request on the wire, answered within `wait` seconds."""
        assert self.client is not None, "open() comes first"
        url = URL(backend.url + request.raw_path, encoded=True)
        try:
            async with asyncio.timeout(wait), self.client.request(
                request.method, url, data=body or None,
                headers=passed_on(request.headers), allow_redirects=False,
            ) as got:  # fmt: skip
                return Answer(got.status, passed_on(got.headers), await got.read())
        except aiohttp.ClientConnectorError as error:
            backend.refused()
            log.warning("%s refuses connections", backend.url)
            raise TryFailedError("refused", begun=False) from error
        except TimeoutError as error:
            raise TryFailedError("timeout", begun=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TryFailedError("broken", begun=True) from error

    async def check(self, backend: Backend) -> None:
        """Ask a backend whether it is ready, and note it."""
        assert self.client is not None, "open() comes first"
        try:
            async with asyncio.timeout(2.0), self.client.get(f"{backend.url}/ready") as got:
                ready = got.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            ready = False
        if backend.checked(ready):
            log.warning("%s is %s", backend.url, "up" if backend.up else "down")

    async def watch(self, every: float) -> None:
        """Check all backends again and again, until cancelled."""
        while True:
            await asyncio.gather(*(self.check(one) for side in self.sides for one in side.backends))
            await asyncio.sleep(every)


def passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers that go to the other end; length and host are set anew by who sends."""
    dropped = HOP_BY_HOP | {"content-length", "host", SIDE_HEADER.lower()}
    if named := headers.get("Connection"):
        dropped |= {name.strip().lower() for name in named.split(",")}
    kept = ((name, text) for name, text in headers.items() if name.lower() not in dropped)
    return CIMultiDict(kept)


def problem(status: int, error: str, reason: str) -> web.Response:
    """An error in the form of the service's own."""
    text = json.dumps({"error": error, "reason": reason})
    return web.Response(status=status, text=text, content_type="application/json")
