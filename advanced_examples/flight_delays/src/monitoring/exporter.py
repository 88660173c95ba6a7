"""Figures that no request shows, for Prometheus: drift, accuracy, age of the features.

    python -m src.monitoring.exporter                         http://127.0.0.1:9697/metrics
    python -m src.monitoring.exporter --every 0.5 --window 600 --port 0

Reads the streams of predictions and of landed flights, and the reference of the version that
answers. REDIS_URL, FLIGHTS_KEY_PREFIX and MODEL_PATH say where, as for the service. One exporter
serves any number of services. It runs in the serving environment.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from src import online
from src.bundle import BundleError, champion
from src.ending import asked_to_end
from src.monitoring.drift import Drift, Reference, drift, read_reference
from src.monitoring.ledger import Ledger
from src.monitoring.outcomes import LATE_MINUTES, Judged, accuracy, mean_error
from src.params import ParamsError
from src.service.process import LISTENS_ON
from src.service.settings import Settings, from_environment, port_number, positive, seconds

WINDOW, EVERY, PORT = 5_000, 5.0, 9697
FEWEST_JUDGED = 20  # flights: an airline or a route with fewer is not shown
log = logging.getLogger("flights")


@dataclass(frozen=True)
class Figures:
    """What one look at everything gave; `at` is seconds since 1970, 0 before the first."""

    at: float = 0.0
    drifts: Sequence[Drift] = ()
    compared: int = 0
    reference_rows: int = 0
    judged: Sequence[Judged] = ()
    landed: int = 0
    ages: dict[str, float] = field(default_factory=dict)
    failures: int = 0


class Watch:
    """Looks at the streams and the champion's reference, and keeps the newest figures."""

    def __init__(self, client: redis.Redis, prefix: str, models: Path, window: int) -> None:
        self.client, self.prefix, self.models = client, prefix, models
        self.ledger = Ledger(client, prefix, window)
        self.figures = Figures()
        self._known: tuple[Path | None, Reference | None] = None, None

    def look(self) -> None:
        """Make new figures; when Redis is away, the old ones stay and the failure is counted."""
        try:
            self.ledger.refresh()
            ages = {
                view: known.age
                for view, known in online.freshness(self.client, self.prefix).items()
            }
        except (redis.RedisError, OSError) as error:
            log.warning("The streams can't be read: %s", error)
            # What goes stale goes stale visibly: `at` stays as it was.
            self.figures = Figures(**{**vars(self.figures), "failures": self.figures.failures + 1})
            return
        reference = self.reference()
        seen, departures = self.ledger.seen()
        self.figures = Figures(
            at=time.time(),
            drifts=drift(reference, seen, departures) if reference else (),
            compared=len(seen),
            reference_rows=len(reference.matrix) if reference else 0,
            judged=self.ledger.judged(),
            landed=self.ledger.landed,
            ages=ages,
            failures=self.figures.failures,
        )

    def reference(self) -> Reference | None:
        """The training flights of the version that answers now; None without any."""
        try:
            folder = champion(self.models)
        except BundleError:
            return None
        if folder != self._known[0]:
            self._known = folder, read_reference(folder)
            if self._known[1] is None:
                log.warning("%s has no reference: drift can't be seen. Train again.", folder)
        return self._known[1]


class Page:
    """The figures as Prometheus' metrics (a collector of prometheus_client)."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def collect(self) -> Iterator[Metric]:
        """All metrics of the newest figures."""
        figures = self.watch.figures
        yield from drift_metrics(figures)
        yield from judged_metrics(figures.judged)
        yield counter("flight_landed", "Landings that were told", figures.landed)
        ages = gauge("flight_feature_staleness_seconds", "Since a view was written", "view")
        for view, age in figures.ages.items():
            ages.add_metric([view], age)
        yield ages
        at = "flight_exporter_refreshed_timestamp_seconds"
        yield GaugeMetricFamily(at, "When these figures were made", figures.at)
        yield counter("flight_exporter_failures", "Looks that failed", figures.failures)


def drift_metrics(figures: Figures) -> Iterator[Metric]:
    """How far the inputs have moved, and on how many flights that rests."""
    labels = ("input", "kind")
    psi = gauge("flight_drift_psi", "Population stability index against training", *labels)
    ks = gauge("flight_drift_ks", "Kolmogorov-Smirnov statistic against training", *labels)
    for one in figures.drifts:
        psi.add_metric([one.name, one.kind], one.psi)
        ks.add_metric([one.name, one.kind], one.ks)
    yield from (psi, ks)
    yield GaugeMetricFamily("flight_drift_flights", "Flights compared", figures.compared)
    rows = figures.reference_rows
    yield GaugeMetricFamily("flight_reference_rows", "Training flights at hand", rows)


def judged_metrics(judged: Sequence[Judged]) -> Iterator[Metric]:
    """How right the predictions were, of all flights, by airline and by route."""
    labels = ("by", "value", "version")
    right = gauge("flight_accuracy", "Share rightly called late or not", *labels)
    error = gauge("flight_mae_minutes", "Mean absolute error in minutes", *labels)
    count = gauge("flight_judged_flights", "Flights that this rests on", *labels)
    late = gauge("flight_late_ratio", "Share of judged flights 15 minutes late", "which", "version")
    for names, flights in groups(judged).items():
        right.add_metric(names, accuracy(flights))
        error.add_metric(names, mean_error(flights))
        count.add_metric(names, len(flights))
        by, _, version = names
        if by == "all":
            for which in ("predicted", "actual"):
                minutes = [getattr(one, which) >= LATE_MINUTES for one in flights]
                late.add_metric([which, version], sum(minutes) / len(flights))
    yield from (right, error, count, late)


def groups(judged: Sequence[Judged]) -> dict[tuple[str, str, str], list[Judged]]:
    """Flights by (by, value, version); airlines and routes with too few are left out."""
    found: dict[tuple[str, str, str], list[Judged]] = defaultdict(list)
    for one in judged:
        for by, value in (("all", "all"), ("airline", one.airline), ("route", one.route)):
            found[by, value, one.version].append(one)
    return {
        names: flights
        for names, flights in found.items()
        if names[0] == "all" or len(flights) >= FEWEST_JUDGED
    }


def gauge(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    """A gauge with labels, still empty."""
    return GaugeMetricFamily(name, says, labels=labels)


def counter(name: str, says: str, value: float) -> CounterMetricFamily:
    """A counter without labels."""
    return CounterMetricFamily(name, says, value)


async def serve(watch: Watch, host: str, port: int, every: float) -> None:
    """Look again and again until Ctrl-C or SIGTERM, and serve what was found last."""
    stop = asked_to_end()
    await asyncio.to_thread(watch.look)
    registry = CollectorRegistry()
    registry.register(Page(watch))
    ProcessCollector("flight_exporter", registry=registry)
    server, _ = start_http_server(port, host, registry)
    print(f"The flight delay exporter{LISTENS_ON}http://{host}:{server.server_port}", flush=True)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)
        if not stop.is_set():
            await asyncio.to_thread(watch.look)
    server.shutdown()
    server.server_close()


def options(argv: list[str] | None) -> tuple[argparse.Namespace, Settings]:
    """The command line and the settings it shares with the service."""
    parser = argparse.ArgumentParser(
        prog="python -m src.monitoring.exporter", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for all interfaces")
    parser.add_argument("--port", type=port_number, default=PORT, help=f"(default: {PORT})")
    parser.add_argument("--every", type=seconds, default=EVERY, help="seconds between two looks")
    parser.add_argument(
        "--window", type=positive, default=WINDOW,
        help=f"newest flights that figures rest on (default: {WINDOW:,})",
    )  # fmt: skip
    # The host is the service's own matter: the exporter shows figures only, and needs no keys.
    return parser.parse_args(argv), from_environment(host="127.0.0.1")


def main(argv: list[str] | None = None) -> int:
    """Run the command; 1 when it can't start."""
    try:
        wanted, settings = options(argv)
        logging.basicConfig(
            level=settings.log_level.upper(),
            format="%(asctime)s %(levelname)s %(name)s %(message)s",
        )
        client = redis.Redis.from_url(settings.redis, socket_timeout=10, socket_connect_timeout=2)
        watch = Watch(client, settings.key_prefix, settings.models, wanted.window)
        asyncio.run(serve(watch, wanted.host, wanted.port, wanted.every))
    except (OSError, ValueError, ParamsError) as error:
        print(f"The exporter can't start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
