"""What the router tells Prometheus; every name begins with `flight_rollout_`.

The router counts in plain numbers, which the canary reads too. They become metrics only when
somebody looks: one count, two readers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from src.rollout.proxy import Proxy
from src.rollout.sides import BOUNDS, Side


class RolloutMetrics(Collector):
    """The metrics of one router. `decisions` counts (decision, limit) as the canary told them,
    `accuracy` holds what it measured last, by side."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.accuracy: dict[str, float] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """One family after another."""
        proxy = self.proxy
        yield gauge("share", "Share of the flights that the candidate answers", proxy.share)
        yield counter("saved", "Requests that failed once and were answered after", proxy.saved)
        yield counter("lost", "Requests that no backend answered", proxy.lost)
        yield from by_side(proxy.sides)
        decisions = CounterMetricFamily(
            named("decisions"), "What the canary decided, and by which limit",
            labels=("decision", "limit"),
        )  # fmt: skip
        for labels, count in self.decisions.items():
            decisions.add_metric(labels, count)
        yield decisions
        accuracy = GaugeMetricFamily(
            named("accuracy"), "Share of landed flights called rightly", labels=("side",)
        )
        for side, share in self.accuracy.items():
            accuracy.add_metric((side,), share)
        yield accuracy


def by_side(sides: tuple[Side, Side]) -> Iterator[Metric]:
    """What there is for each side."""
    asked = CounterMetricFamily(named("requests"), "Requests handed to a side", labels=("side",))
    errors = CounterMetricFamily(
        named("errors"), "Requests that a side failed, by reason", labels=("side", "reason")
    )
    waiting = GaugeMetricFamily(named("in_flight"), "Requests not answered yet", labels=("side",))
    up = GaugeMetricFamily(
        named("backend_up"), "1 when the backend is ready", labels=("side", "backend")
    )
    seconds = HistogramMetricFamily(named("seconds"), "Seconds to an answer", labels=("side",))
    for side in sides:
        asked.add_metric((side.name,), side.asked)
        waiting.add_metric((side.name,), side.in_flight)
        for reason, count in side.errors.items():
            errors.add_metric((side.name, reason), count)
        for backend in side.backends:
            up.add_metric((side.name, backend.url), backend.up)
        ends = (*map(str, BOUNDS), "+Inf")
        counts = zip(ends, accumulate(side.buckets), strict=True)
        seconds.add_metric((side.name,), list(counts), side.seconds)
    yield from (asked, errors, waiting, up, seconds)


def gauge(name: str, says: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(named(name), says, value)


def counter(name: str, says: str, value: float) -> Metric:
    """A counter without labels."""
    return CounterMetricFamily(named(name), says, value)


def named(name: str) -> str:
    """The metric's whole name."""
    return f"flight_rollout_{name}"
