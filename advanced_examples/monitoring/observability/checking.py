"""Check the newest batch again and again, and publish what was found as metrics."""

import threading
import time

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from observability import batches
from observability.batches import DATASET
from observability.logs import log
from observability.metrics import QualityMetrics
from observability.quality import Report, is_measured

CHECK_EVERY = 5.0  # seconds


def check_until(
    stop: threading.Event, metrics: QualityMetrics, database_url: str, planted: str | None = None
) -> None:
    """Check every few seconds until `stop` is set; ValueError when no plant is called `planted`."""
    plants = {plant.__name__: plant for plant in batches.PLANTS}
    if planted is not None and planted not in plants:
        raise ValueError(f"nothing is called {planted!r}; there are {', '.join(plants)}")
    engine = open_engine(database_url)
    try:
        while not stop.is_set():
            check(engine, metrics, plants[planted] if planted else None)
            stop.wait(CHECK_EVERY)
    finally:
        engine.dispose()


def open_engine(database_url: str) -> Engine:
    """An engine with the driver psycopg2; dispose of it at the end."""
    return create_engine(make_url(database_url).set(drivername="postgresql+psycopg2"))


def check(engine: Engine, metrics: QualityMetrics, plant: batches.Plant | None = None) -> None:
    """Measure the newest batch; a database that is away is told, and asked again later."""
    try:
        past = batches.history(engine)
    except SQLAlchemyError as error:
        log.error("data not checked", neighbour="postgres", reason=str(error).splitlines()[0])
        return
    newest = past.batches[-1][1]
    report = past.check(-1, plant(newest) if plant else newest)
    publish(report, metrics)
    log.info("data checked", rows=report.rows, findings=report.findings())


def publish(report: Report, metrics: QualityMetrics) -> None:
    """Set the gauges to a report. What could not be measured has no series."""
    now = time.time()
    metrics.checked.labels(DATASET).set(now)
    metrics.rows.labels(DATASET).set(report.rows)
    metrics.rows_expected.labels(DATASET).set(report.rows_expected)
    metrics.newest.clear()
    if is_measured(report.age):
        # A time, not an age: an age stands still when the checker dies, and nobody notices.
        metrics.newest.labels(DATASET).set(now - report.age)
    gauges = {
        metrics.nulls: "nulls", metrics.nulls_limit: "nulls_limit", metrics.psi: "psi",
        metrics.psi_noise: "noise", metrics.ks: "ks",
    }  # fmt: skip
    for gauge, field in gauges.items():
        gauge.clear()
        for column in report.columns:
            value = getattr(column, field)
            if is_measured(value):
                gauge.labels(DATASET, column.name).set(value)
