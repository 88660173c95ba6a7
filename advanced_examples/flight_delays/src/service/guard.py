"""What holds for every request: counted and timed, bounded in size and time, never a bare error."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from src.service.metrics import Metrics

LARGEST_BODY = 1_000_000
log = logging.getLogger("flights")


def problem(status: int, error: str, reason: str, **headers: str) -> JSONResponse:
    """An error as JSON; `headers` with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"error": error, "reason": reason}, status, named)


class Guard:
    """ASGI middleware around all routes.

    Plain ASGI, because Starlette's BaseHTTPMiddleware costs as much as an endpoint; one for all,
    because each layer is paid for by every request.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, timeout_seconds: float) -> None:
        self.app, self.metrics, self.timeout = app, metrics, timeout_seconds
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.metrics.under_way.inc()
        try:
            refusal = await self.attempt(scope, receive, watch)
            if refusal is not None and status == 0:
                await refusal(scope, receive, watch)
        finally:
            self.metrics.under_way.dec()
            self.count(scope, status, time.perf_counter() - began)

    async def attempt(self, scope: Scope, receive: Receive, send: Send) -> JSONResponse | None:
        """Let the routes answer; the answer to give when they could not."""
        refusal = unreadable(scope)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(self.timeout):
                await self.app(scope, receive, send)
        except TimeoutError:
            reason = f"no answer within {self.timeout:g} s; send the request again"
            return problem(504, "timeout", reason, Connection="close")
        except Exception:
            # The caller gets a number to tell us; what broke stands in the log under it.
            number = uuid.uuid4().hex[:12]
            log.exception("Error %s in %s %s", number, scope["method"], scope["path"])
            reason = f"an error on our side; tell us its number, {number}"
            return problem(500, "internal error", reason)
        return None

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request under its route's pattern: a label for each path would never end.

        Status 0: the caller left before there was an answer.
        """
        route = getattr(scope.get("route"), "path", "(none)")
        known = self._known.get((route, status))
        if known is None:
            counter = self.metrics.requests.labels(route, status)
            known = self._known[route, status] = counter, self.metrics.request_seconds.labels(route)
        counter, histogram = known
        counter.inc()
        histogram.observe(seconds)


def unreadable(scope: Scope) -> JSONResponse | None:
    """A refusal for a body that is too large or doesn't say how large it is."""
    if scope["method"] not in ("POST", "PUT", "PATCH"):
        return None
    headers = dict(scope["headers"])
    length = headers.get(b"content-length")
    if length is None:
        chunked = b"transfer-encoding" in headers
        reason = "send the header Content-Length, which tells how large the body is"
        return problem(411, "length required", reason, Connection="close") if chunked else None
    if int(length) > LARGEST_BODY:
        reason = f"the body may have {LARGEST_BODY:,} bytes; send fewer flights at once"
        return problem(413, "too large", reason, Connection="close")
    return None


def as_json(answer: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(answer, separators=(",", ":")).encode()
