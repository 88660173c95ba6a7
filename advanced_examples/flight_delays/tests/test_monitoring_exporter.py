"""The exporter: its ledger agrees with the streams, and its page with both."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from api_kit import redis_url, wait_until
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from features import route_features
from features.vector import INPUTS, PLACE
from src.bundle import CHAMPION
from src.monitoring import drift, exporter, landed, ledger, outcomes
from src.monitoring.outcomes import Predicted
from src.packed import remove, write
from src.service.process import service

PREFIX = "flights_test_exporter"
NOON = 1_719_835_200  # 1 July 2024
NUMBERS = itertools.count()


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(redis_url()) as client:
        remove(client, PREFIX)
        yield client
        remove(client, PREFIX)


def predict(redis: Redis, count: int, warmer: float = 0.0, **more: Any) -> list[str]:
    """Log predictions of 20 minutes; returns their flight_ids."""
    rng = np.random.default_rng(count)
    names = []
    for _ in range(count):
        inputs = np.zeros(len(INPUTS), "<f4")
        inputs[PLACE["origin_temperature"]] = rng.normal() + warmer
        names.append(f"F{next(NUMBERS)}")
        made = Predicted(
            names[-1], time.time(), "v1", "AA", "JFK-LAX", 20.0, 1.0, 40.0, 0.7, 50, NOON,
            inputs.tobytes(),
        )  # fmt: skip
        outcomes.log_prediction(redis, PREFIX, made._replace(**more))
    return names


def page(watch: exporter.Watch) -> dict[tuple[str, ...], float]:
    """The page's samples: (name, values of the labels) → value."""
    registry = CollectorRegistry()
    registry.register(exporter.Page(watch))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}


def champion(folder: Path, version: str = "v1", reference: bool = True) -> Path:
    """A folder of models whose champion has a reference of normal temperatures."""
    (folder / version).mkdir(parents=True, exist_ok=True)
    (folder / CHAMPION).write_text(f"{version}\n", encoding="utf-8")
    if reference:
        matrix = np.zeros((5000, len(INPUTS)), np.float32)
        matrix[:, PLACE["origin_temperature"]] = np.random.default_rng(1).normal(size=5000)
        drift.write_reference(folder / version, matrix, np.full(5000, NOON).astype("M8[s]"))
    return folder


def test_the_ledger_agrees_with_reading_everything(redis: Redis) -> None:
    book = ledger.Ledger(redis, PREFIX, 1000)
    rng = np.random.default_rng(5)
    told: list[str] = []
    for _ in range(6):  # predictions and truth in any order, some twice, read in between
        names = predict(redis, 20, version=str(rng.choice(["v1", "v2"])))
        told += [*rng.choice(names, 12).tolist(), f"F{next(NUMBERS) + 1}"]
        landed.write(redis, PREFIX, [(name, float(rng.normal(15, 9))) for name in told[-13:]])
        predict(redis, 1, flight_id=told[-1])
        book.refresh()
        expected = outcomes.judged(redis, PREFIX)
        assert sorted(book.judged()) == sorted(expected) and len(expected) > 6
    assert book.landed == len(told)


def test_the_ledger_keeps_the_newest(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "KEEP", 25)
    book = ledger.Ledger(redis, PREFIX, 10)
    names = predict(redis, 30)
    book.refresh()
    landed.write(redis, PREFIX, [(name, 1.0) for name in names])
    book.refresh()
    assert [one.flight_id for one in book.judged()] == names[-10:]
    assert book.seen()[0].shape == (10, len(INPUTS))
    assert len(book._said) == len(book._truth) == len(book._versions) == 25


def test_accuracy_by_version_airline_and_route(redis: Redis, tmp_path: Path) -> None:
    watch = exporter.Watch(redis, PREFIX, champion(tmp_path), 1000)
    right, wrong = predict(redis, 30), predict(redis, 10, airline="DL", route="ATL-SEA")
    other = predict(redis, 20, airline="DL", version="v2", delay_minutes=5.0)
    truth = [(name, 25.0) for name in right] + [(name, 5.0) for name in wrong + other]
    landed.write(redis, PREFIX, truth)
    watch.look()
    found = page(watch)
    assert found["flight_accuracy", "all", "all", "v1"] == 0.75
    assert found["flight_accuracy", "airline", "AA", "v1"] == 1.0
    assert found["flight_accuracy", "airline", "DL", "v2"] == 1.0
    assert ("flight_accuracy", "airline", "DL", "v1") not in found  # 10 flights are too few
    assert ("flight_accuracy", "route", "ATL-SEA", "v1") not in found
    assert found["flight_mae_minutes", "all", "all", "v1"] == (30 * 5 + 10 * 15) / 40
    assert found["flight_judged_flights", "all", "all", "v1"] == 40
    assert found["flight_late_ratio", "v1", "actual"] == 0.75
    assert found["flight_late_ratio", "v2", "predicted"] == 0.0
    assert found["flight_landed_total",] == 60


def test_drift_needs_flights_and_a_reference(redis: Redis, tmp_path: Path) -> None:
    watch = exporter.Watch(redis, PREFIX, tmp_path / "none", 2000)
    predict(redis, drift.FEWEST - 1)
    watch.look()
    assert page(watch)["flight_drift_flights",] == drift.FEWEST - 1
    predict(redis, 1)
    watch.look()  # enough flights, but no model
    assert not [key for key in page(watch) if key[0] == "flight_drift_psi"]
    watch.models = champion(tmp_path / "bare", reference=False)
    watch.look()
    assert page(watch)["flight_reference_rows",] == 0
    watch.models = champion(tmp_path / "models")
    watch.look()
    found = page(watch)
    assert found["flight_reference_rows",] == 5000
    assert found["flight_drift_psi", "origin_temperature", "flight"] < drift.WARNING
    assert ("flight_drift_psi", "season", "calendar") in found
    predict(redis, 1000, warmer=1.0)
    watch.look()
    found = page(watch)
    assert found["flight_drift_psi", "origin_temperature", "flight"] > drift.CRITICAL
    assert found["flight_drift_ks", "origin_temperature", "flight"] > 0.2


def test_another_champion_is_compared_with_its_own_reference(redis: Redis, tmp_path: Path) -> None:
    watch = exporter.Watch(redis, PREFIX, champion(tmp_path), 2000)
    predict(redis, 600)
    watch.look()
    champion(tmp_path, "v2", reference=False)
    watch.look()
    assert watch.figures.reference_rows == 0


def test_the_age_of_each_view(redis: Redis, tmp_path: Path) -> None:
    row = dict.fromkeys(route_features.VIEW.columns, 1.0)
    when = datetime.now(UTC)
    write(redis, route_features.VIEW, [("JFK-LAX", when, row)], PREFIX, time.time() - 7300)
    watch = exporter.Watch(redis, PREFIX, tmp_path, 10)
    watch.look()
    assert 7300 <= page(watch)["flight_feature_staleness_seconds", "route"] < 7360


def test_without_redis_the_figures_stay_and_show_their_age(redis: Redis, tmp_path: Path) -> None:
    watch = exporter.Watch(redis, PREFIX, tmp_path, 10)
    predict(redis, 3)
    watch.look()
    before = page(watch)
    watch.ledger.client = watch.client = Redis.from_url("redis://127.0.0.1:9/0", retry=None)
    watch.look()
    changed = {key for key, value in page(watch).items() if before[key] != value}
    assert changed == {("flight_exporter_failures_total",)}


def test_it_serves_its_page_and_ends_when_told(redis: Redis, tmp_path: Path) -> None:
    predict(redis, 5)
    given = {"REDIS_URL": redis_url(), "FLIGHTS_KEY_PREFIX": PREFIX, "MODEL_PATH": str(tmp_path)}
    command = ("-m", "src.monitoring.exporter", "--port", "0", "--every", "0.1")
    with service(given, command, sys.executable) as started:

        def text() -> str:
            with urlopen(f"{started.url}/metrics", timeout=10) as answer:
                return str(answer.read().decode())

        assert "flight_drift_flights 5.0" in text()
        predict(redis, 2)
        wait_until(lambda: "flight_drift_flights 7.0" in text())
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(20) == 0
        assert "Traceback" not in started.log.read_text()


@pytest.mark.parametrize(
    ("content", "count"),
    [("flight_id,actual_delay_minutes\nF1,3.5\nF2,\n,4\nF3,-2\n", 2),
     ("airline,actual_delay_minutes,flight_id\nAA,7,F1\n", 1)],
)  # fmt: skip
def test_landings_are_told_from_a_file(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], content: str, count: int,
) -> None:  # fmt: skip
    monkeypatch.setenv("REDIS_URL", redis_url())
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", PREFIX)
    file = tmp_path / "landed.csv"
    file.write_text(content, encoding="utf-8")
    assert landed.main([str(file)]) == 0
    assert redis.xlen(outcomes.landed_key(PREFIX)) == count
    assert f"{count} flights have landed" in capsys.readouterr().out


def test_landings_are_told_from_parquet(redis: Redis, tmp_path: Path) -> None:
    import pandas as pd

    file = tmp_path / "landed.parquet"
    pd.DataFrame({"flight_id": ["F1", "F2"], "actual_delay_minutes": [1.0, np.nan]}).to_parquet(
        file
    )
    assert list(landed.rows(str(file))) == [("F1", 1.0)]


@pytest.mark.parametrize(
    ("content", "says"),
    [("flight_id\nF1\n", "no column actual_delay_minutes"),
     ("flight_id,actual_delay_minutes\nF1,3\nF2,late\n", "row 2: 'late' is no delay")],
)  # fmt: skip
def test_of_a_bad_file_nothing_is_told(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], content: str, says: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", PREFIX)
    file = tmp_path / "landed.csv"
    file.write_text(content, encoding="utf-8")
    assert landed.main([str(file)]) == 1
    assert says in capsys.readouterr().err
    assert redis.xlen(outcomes.landed_key(PREFIX)) == 0
    assert landed.main([str(tmp_path / "none.csv")]) == 1
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    file.write_text("flight_id,actual_delay_minutes\nF1,3\n", encoding="utf-8")
    assert landed.main([str(file)]) == 69
