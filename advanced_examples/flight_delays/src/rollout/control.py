"""The router's own pages: GET and PUT /rollout, and /metrics.

A share comes with a lease, and when nobody renews it the share goes back to nothing: a canary that
was killed, or a laptop that fell asleep, leaves no candidate on the air that nobody watches.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from src.rollout.metrics import RolloutMetrics
from src.rollout.proxy import Proxy, problem
from src.rollout.sides import BOUNDS, CANDIDATE, KEY_HEADER, PAGE, STABLE

METRICS = "/metrics"
FOREVER = float("inf")
WORDS = ("holder", "decision", "limit", "reason")
FIELDS = frozenset({"share", "lease_seconds", "renew", "accuracy", *WORDS})
log = logging.getLogger("rollout")


class RequestedError(ValueError):
    """What was sent to PUT /rollout can't be used; the text says what to send."""


class Lease(NamedTuple):
    """Who set the share and until when it holds; '' for somebody by hand."""

    holder: str
    until: float


class Wanted(NamedTuple):
    """What somebody wants of the router; `renew`: only if the share is still theirs."""

    share: float
    lease_seconds: float
    renew: bool
    holder: str
    decision: str
    limit: str
    reason: str
    accuracy: Mapping[str, float]


class Control:
    """Who may set the share, for how long, and what is told about it."""

    def __init__(self, proxy: Proxy, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.proxy, self.metrics = proxy, RolloutMetrics(proxy)
        self.lease = Lease("", FOREVER)
        self._run, self._key, self._clock = uuid.uuid4().hex, key, clock

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The answer to any request: our own pages here, the rest from the two sides."""
        if request.path == METRICS:
            return web.Response(body=self.metrics.page(), content_type="text/plain")
        if request.path != PAGE:
            return await self.proxy.handle(request)
        if self._key and not hmac.compare_digest(
            request.headers.get(KEY_HEADER, "").encode(), self._key.encode()
        ):
            return problem(401, "unauthorized", f"send the key in the header {KEY_HEADER}")
        if request.method == "PUT":
            return self.put(await request.read())
        return web.json_response(self.status())

    def put(self, body: bytes) -> web.Response:
        """Set the share; 400 for what can't be used, 409 while another canary has it."""
        try:
            wanted = understood(body)
        except RequestedError as error:
            return problem(400, "bad request", str(error))
        self.expire()
        if wanted.share > 0 and (why := self.conflict(wanted)):
            return problem(409, "conflict", why)
        self.set(wanted)
        return web.json_response(self.status())

    def conflict(self, wanted: Wanted) -> str:
        """Why `wanted` may not have a share; '' when it may. Anybody may set it to 0."""
        holder = self.lease.holder
        if holder not in ("", wanted.holder):
            return f"{holder} has the share now; others may only set it to 0"
        if wanted.renew and holder != wanted.holder:
            return "the share is yours no more: it ran out, was taken, or the router began anew"
        return ""

    def set(self, wanted: Wanted) -> None:
        """Do what is wanted."""
        if wanted.share != self.proxy.share:
            log.info("The candidate gets %.0f %% now. %s", 100 * wanted.share, wanted.reason)
        self.proxy.share = wanted.share
        held = wanted.share > 0 and wanted.lease_seconds < FOREVER
        until = self._clock() + wanted.lease_seconds
        self.lease = Lease(wanted.holder, until) if held else Lease("", FOREVER)
        if wanted.decision:
            self.metrics.decisions[wanted.decision, wanted.limit] += 1
        self.metrics.accuracy.update(wanted.accuracy)

    def expire(self) -> None:
        """Take the share back when its lease has run out."""
        if self._clock() >= self.lease.until:
            reason = f"{self.lease.holder or 'whoever set the share'} has not renewed it in time."
            self.set(Wanted(0.0, FOREVER, False, "", "expired", "", reason, {}))

    def status(self) -> dict[str, Any]:
        """All that is known, for the canary and for people. `run` names this run of the router."""
        return {
            "run": self._run,
            "share": self.proxy.share,
            "holder": self.lease.holder,
            "saved": self.proxy.saved,
            "lost": self.proxy.lost,
            "bounds_seconds": BOUNDS,
            "sides": {
                side.name: {
                    "asked": side.asked, "errors": dict(side.errors), "buckets": side.buckets,
                    "in_flight": side.in_flight, "version": side.version,
                    "backends": [{"url": one.url, "up": one.up} for one in side.backends],
                }
                for side in self.proxy.sides
            },
        }  # fmt: skip


def understood(body: bytes) -> Wanted:
    """What the body of a PUT asks for.

    Raises:
        RequestedError: it can't be used.
    """
    example = 'send JSON such as {"share": 0.1}, with the share from 0 to 1'
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise RequestedError(f"the body is not JSON ({error}): {example}") from error
    if not isinstance(asked, dict) or not number(asked.get("share")):
        raise RequestedError(example)
    if not 0 <= asked["share"] <= 1:
        raise RequestedError(example)
    if unknown := sorted(set(asked) - FIELDS):
        raise RequestedError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(FIELDS))}")
    seconds = asked.get("lease_seconds", FOREVER)
    if not number(seconds) or not seconds > 0:
        raise RequestedError("lease_seconds must be more than 0")
    accuracy = asked.get("accuracy", {})
    if not isinstance(accuracy, dict) or not all(
        side in (STABLE, CANDIDATE) and number(share) for side, share in accuracy.items()
    ):
        raise RequestedError(f"accuracy must be numbers by side, {STABLE} or {CANDIDATE}")
    words = {name: str(asked.get(name, "")) for name in WORDS}
    renew = asked.get("renew") is True
    return Wanted(float(asked["share"]), float(seconds), renew, accuracy=accuracy, **words)


def number(value: Any) -> bool:
    """Whether JSON had a number there; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
