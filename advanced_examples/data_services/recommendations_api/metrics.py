"""What the service counts about itself, for Prometheus."""

import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BAD = 500  # statuses from here on are our fault


class Metrics:
    """The service's metrics in a registry of their own, so that two apps do not mix."""

    def __init__(self) -> None:
        disable_created_metrics()
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "recommendations_requests", "Requests answered", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "recommendations_request_seconds", "Seconds from request to answer", ["route"],
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.answers = Counter(
            "recommendations_answers", "Recommendations served, by tier", ["tier"],
            registry=registry,
        )  # fmt: skip
        self.loads = Counter(
            "recommendations_loads", "Answers computed from the databases", registry=registry
        )
        self.store = Histogram(
            "recommendations_store_seconds", "Seconds that each store took", ["store"],
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.events = Counter(
            "recommendations_events",
            "Answers told to analytics: published, put into the outbox, dropped",
            ["fate"], registry=registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "recommendations_events_waiting", "Answers in memory, not yet told to analytics",
            registry=registry,
        )  # fmt: skip
        for fate in ("published", "outbox", "dropped"):
            self.events.labels(fate)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


class Measured:
    """ASGI middleware: counts and times every request under its route's pattern.

    Under the pattern and not the path: a label for each of a million users would be a million
    time series. Plain ASGI, because Starlette's BaseHTTPMiddleware costs as much as an endpoint.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), BAD

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            self._count(scope, status, time.perf_counter() - began)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "(none)")
        known = self._known.get((route, status))
        if known is None:
            counter = self.metrics.requests.labels(route, status)
            known = self._known[route, status] = counter, self.metrics.seconds.labels(route)
        counter, histogram = known
        counter.inc()
        histogram.observe(seconds)
