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
NUMBERS = (1, 2, 4, 8, 16, 32, 64, 256, 1024)


class Metrics:
    """The service's metrics in a registry of their own, so that two apps do not mix.

    `version` and `build` say which program this is, `cost_per_hour` what it costs, in dollars.
    """

    def __init__(self, version: str, build: str, cost_per_hour: float) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        ProcessCollector("flight", registry=self.registry)  # CPU, memory, start of this process
        own: dict[str, Any] = {"namespace": "flight", "registry": self.registry}
        self.about_requests(own)
        self.about_predictions(own)
        self.about_features(own)
        self.about_the_model(own)
        Info("service", "The program that answers", **own).info(
            {"version": version, "build": build}
        )
        Gauge("cost_per_hour_dollars", "What an hour of it costs", **own).set(cost_per_hour)

    def about_requests(self, own: dict[str, Any]) -> None:
        """How many come, how they end, how long they take."""
        self.requests = Counter("requests", "Requests answered", ["route", "status"], **own)
        self.request_seconds = Histogram(
            "request_seconds", "Seconds to an answer", ["route"], buckets=SECONDS, **own
        )
        self.under_way = Gauge("requests_in_progress", "Requests not answered yet", **own)
        self.refused = Counter("refused", "Requests refused, by reason", ["reason"], **own)

    def about_predictions(self, own: dict[str, Any]) -> None:
        """What is predicted, and what that takes."""
        self.predictions = Counter(
            "predictions", "Flights predicted: with all features, or degraded",
            ["model_version", "features"], **own,
        )  # fmt: skip
        self.delay = Histogram(
            "prediction_delay_minutes", "Predicted delays", buckets=MINUTES, **own
        )
        self.confidence = Histogram(
            "prediction_confidence", "Confidence of predictions", buckets=SHARES, **own
        )
        self.together = Histogram(
            "predictions_together", "Flights that the models saw at once", buckets=NUMBERS, **own
        )
        self.step_seconds = Histogram(
            "step_seconds", "Seconds by step: read, vector, models", ["step"],
            buckets=SECONDS, **own,
        )  # fmt: skip
        self.logged = Counter(
            "predictions_logged", "Predictions written to the journal, or dropped", ["result"],
            **own,
        )  # fmt: skip

    def about_features(self, own: dict[str, Any]) -> None:
        """Whether the feature store answers, and what it lacks."""
        self.store_up = Gauge(
            "feature_store_up", "1 when the feature store answered the last time", **own
        )
        self.age = Gauge("feature_age_seconds", "Age of the oldest features used last", **own)
        self.missing = Counter(
            "features_missing", "Flights for which a source had no value", ["source", "reason"],
            **own,
        )  # fmt: skip

    def about_the_model(self, own: dict[str, Any]) -> None:
        """Which one answers."""
        self.model_loaded = Gauge("model_loaded", "1 when a model can answer", **own)
        self.model_loads = Counter("model_loads", "Attempts to load a model", ["result"], **own)
        self.model = Info("model", "The model that answers", **own)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
