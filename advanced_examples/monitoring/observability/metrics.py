"""What the pipeline counts about itself, for Prometheus.

The names follow the rules of Prometheus: a prefix for the application, base units (seconds, ratio),
`_total` for counters. See https://prometheus.io/docs/practices/naming/
"""

from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)

HOST = "127.0.0.1"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SERVICES = ("postgres", "rabbitmq")
OUTCOMES = ("stored", "duplicate", "dead")
disable_created_metrics()  # else every counter and histogram brings a second series


class IntakeMetrics:
    """The intake's metrics, in a registry of their own so that two services do not mix."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "shop_intake_requests", "Requests answered", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "shop_intake_seconds", "Seconds from request to answer", ["route"], buckets=SECONDS,
            registry=registry,
        )  # fmt: skip
        self.in_progress = Gauge(
            "shop_intake_in_progress", "Requests being answered now", registry=registry
        )
        # A series that appears with its first event has no 0 to rise from: `rate` would miss it.
        self.seconds.labels("/orders")
        for status in ("202", "400", "503"):
            self.requests.labels("/orders", status)


class WorkerMetrics:
    """The worker's metrics."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.processed = Counter(
            "shop_orders_processed", "Orders settled, by outcome", ["outcome"], registry=registry
        )
        self.seconds = Histogram(
            "shop_order_seconds", "Seconds of work on an order", buckets=SECONDS, registry=registry
        )
        self.delay = Histogram(
            "shop_order_delay_seconds", "Seconds from the queue's front door to being settled",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.last = Gauge(
            "shop_worker_last_order_timestamp_seconds", "When the last order was settled",
            registry=registry,
        )  # fmt: skip
        self.connected = Gauge(
            "shop_worker_connected", "1 while the worker has this service, else 0", ["service"],
            registry=registry,
        )  # fmt: skip
        self.lost = Counter(
            "shop_worker_connections_lost", "Times that a service went away or was not there",
            ["service"], registry=registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "shop_queue_messages", "Messages that wait in the queue", ["queue"], registry=registry
        )
        for outcome in OUTCOMES:
            self.processed.labels(outcome)
        for service in SERVICES:
            self.connected.labels(service).set(0)
            self.lost.labels(service)


class QualityMetrics:
    """What the data checks found: one batch of one data set, compared with its reference."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.newest = self._gauge("newest_timestamp_seconds", "Time of the newest row")
        self.checked = self._gauge("checked_timestamp_seconds", "When the data was checked last")
        self.rows = self._gauge("rows", "Rows of the batch")
        self.rows_expected = self._gauge("rows_expected", "Rows that the reference promises")
        self.nulls = self._gauge("null_ratio", "Share of values without content", "column")
        self.nulls_limit = self._gauge("null_ratio_limit", "The share that is usual", "column")
        self.psi = self._gauge("psi", "Population stability index", "column")
        self.psi_noise = self._gauge("psi_noise", "PSI that chance reaches in 1 of 20", "column")
        self.ks = self._gauge("ks", "Kolmogorov-Smirnov statistic, 0 to 1", "column")

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"shop_data_{name}", says, ["dataset", *labels], registry=self.registry)


def serve(registry: CollectorRegistry, port: int = 0) -> tuple[str, WSGIServer]:
    """Serve `/metrics` from a thread; (base URL, the server, whose `shutdown()` ends it).

    `port` 0 takes any free one. OSError when the port is taken.
    """
    server, _ = start_http_server(port, HOST, registry)
    return f"http://{HOST}:{server.server_port}", server
