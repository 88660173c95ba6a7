"""What the service counts about itself, for Prometheus; every name begins with `flight_`."""

from __future__ import annotations

from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
MINUTES = (-15.0, -5.0, 0.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 240.0)
SHARES = tuple(tenth / 10 for tenth in range(1, 10))


class Metrics:
    """The service's metrics in a registry of their own, so that two apps do not mix."""

    def __init__(self) -> None:
        disable_created_metrics()
        registry = self.registry = CollectorRegistry()
        ProcessCollector("flight", registry=registry)  # CPU, memory and start of this process

        def made(kind: Any, name: str, says: str, *labels: str, **more: Any) -> Any:
            return kind(f"flight_{name}", says, labels, registry=registry, **more)

        self.requests: Counter = made(Counter, "requests", "Requests answered", "route", "status")
        self.request_seconds: Histogram = made(
            Histogram, "request_seconds", "Seconds to an answer", "route", buckets=SECONDS
        )
        self.under_way: Gauge = made(Gauge, "requests_in_progress", "Requests not answered yet")
        self.predictions: Counter = made(
            Counter, "predictions", "Flights predicted: with all features, or degraded",
            "model_version", "features",
        )  # fmt: skip
        self.delay: Histogram = made(
            Histogram, "prediction_delay_minutes", "Predicted delays", buckets=MINUTES
        )
        self.confidence: Histogram = made(
            Histogram, "prediction_confidence", "Confidence of predictions", buckets=SHARES
        )
        self.together: Histogram = made(
            Histogram, "predictions_together", "Flights that the models saw at once",
            buckets=(1, 2, 4, 8, 16, 32, 64, 256, 1024),
        )  # fmt: skip
        self.step_seconds: Histogram = made(
            Histogram, "step_seconds", "Seconds by step: read, vector, models", "step",
            buckets=SECONDS,
        )  # fmt: skip
        self.store_up: Gauge = made(
            Gauge, "feature_store_up", "1 when the feature store answered the last time"
        )
        self.age: Gauge = made(Gauge, "feature_age_seconds", "Age of the oldest features used last")
        self.missing: Counter = made(
            Counter,
            "features_missing",
            "Flights for which a source had no value",
            "source",
            "reason",
        )
        self.refused: Counter = made(Counter, "refused", "Requests refused, by reason", "reason")
        self.model_loaded: Gauge = made(Gauge, "model_loaded", "1 when a model can answer")
        self.model_loads: Counter = made(
            Counter, "model_loads", "Attempts to load a model", "result"
        )
        self.model: Info = made(Info, "model", "The model that answers")

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
