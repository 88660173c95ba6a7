"""The journal of predictions: complete while Redis is there, and never in the way when it isn't."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from api_kit import FLIGHT, HEADERS, KEY, redis_url, stocked, wait_until
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from features.vector import INPUTS
from src.monitoring import outcomes
from src.service import journal
from src.service.app import create_app
from src.service.contract import Flight
from src.service.metrics import Metrics
from src.service.outcome import Outcome
from src.service.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("models")
    tiny_model.model(folder)
    url = redis_url()
    with stocked(url) as prefix:
        yield Settings(
            redis=url, key_prefix=prefix, models=folder, api_keys={KEY: "tests"}, redis_seconds=2.0,
            requests_per_minute=100_000, build="b7", cost_per_hour=0.25,
        )  # fmt: skip


def logged(settings: Settings) -> list[outcomes.Predicted]:
    """What the stream holds."""
    with Redis.from_url(settings.redis) as redis:
        key = outcomes.predictions_key(settings.key_prefix)
        return [outcomes.predicted(fields) for _, fields in outcomes.entries(redis, key)]


def metric(api: TestClient, name: str, **labels: str) -> float:
    """One series of the service's page; 0 when there is none."""
    page = text_string_to_metric_families(api.get("/metrics").text)
    samples = (sample for family in page for sample in family.samples)
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def test_every_prediction_is_noted_with_what_the_model_saw(settings: Settings) -> None:
    with TestClient(create_app(settings), headers=HEADERS) as api:
        one = api.post("/predict", json=FLIGHT | {"flight_id": "F00000001"}).json()
        many = api.post("/predict-batch", json={"flights": [FLIGHT] * 100}).json()["predictions"]
        wait_until(lambda: len(logged(settings)) == 101)
        assert metric(api, "flight_predictions_logged_total", result="written") == 101
    first, *others = logged(settings)
    assert (first.flight_id, first.version, first.route) == ("F00000001", "tiny-1", "JFK-LAX")
    assert first.delay_minutes == pytest.approx(one["delay_minutes"], abs=0.006)
    assert first.departure == datetime(2024, 12, 31, 23, 30, tzinfo=UTC).timestamp()
    assert abs(first.at - time.time()) < 60
    assert [row.flight_id for row in others] == [""] * 100
    assert others[-1].low == pytest.approx(many[-1]["low_minutes"], abs=0.006)
    seen = outcomes.matrix([first])[0]
    assert seen[INPUTS.index("airline_AA")] == 1 and seen[INPUTS.index("season")] == 0


def test_what_was_answered_last_is_noted_before_the_service_ends(settings: Settings) -> None:
    with TestClient(create_app(settings), headers=HEADERS) as api:
        assert api.post("/predict", json=FLIGHT | {"flight_id": "last"}).status_code == 200
    assert logged(settings)[-1].flight_id == "last"


@pytest.mark.parametrize("flight_id", ["", "x" * 41, "two words", "é", "\x00", 7])
def test_an_id_that_cannot_be_is_refused_with_what_to_send(
    settings: Settings, flight_id: object
) -> None:
    with TestClient(create_app(settings), headers=HEADERS) as api:
        answer = api.post("/predict", json=FLIGHT | {"flight_id": flight_id})
    assert answer.status_code == 422 and "1 to 40 letters" in answer.json()["reason"]


def test_who_runs_what_and_what_it_costs_is_on_the_page(settings: Settings) -> None:
    with TestClient(create_app(settings), headers=HEADERS) as api:
        assert metric(api, "flight_service_info", build="b7") == 1
        assert metric(api, "flight_model_info", version="tiny-1") == 1
        assert metric(api, "flight_cost_per_hour_dollars") == 0.25


def test_only_what_the_store_was_asked_for_counts_as_its_gap(settings: Settings) -> None:
    unnamed = {name: value for name, value in FLIGHT.items() if name != "tail_number"}
    gaps = "flight_features_missing_total"
    with TestClient(create_app(settings), headers=HEADERS) as api:
        api.post("/predict", json=FLIGHT | {"tail_number": "N99999"})
        api.post("/predict", json=unnamed)
        api.post("/predict", json=unnamed | {"inbound_delay_minutes": 5})
        assert metric(api, gaps, source="aircraft", reason="missing") == 1
        assert metric(api, gaps, source="aircraft", reason="not named") == 1
        assert metric(api, gaps, source="turnaround", reason="not named") == 1


def noted(book: journal.Journal, count: int) -> None:
    """Note so many predictions."""
    flight = Flight(**FLIGHT)
    outcome = Outcome(1.0, 0.0, 2.0, 0.5, "v1", 3, ())
    book.note([flight] * count, [outcome] * count, np.zeros((count, len(INPUTS)), np.float32))


def counts(metrics: Metrics) -> tuple[float, float]:
    """(written, dropped)."""
    value = metrics.registry.get_sample_value
    names = ("written", "dropped")
    return tuple(value("flight_predictions_logged_total", {"result": name}) for name in names)


def test_a_redis_that_is_away_costs_notes_and_no_memory() -> None:
    async def scene() -> None:
        metrics = Metrics("1", "b", 0.0)
        async with AsyncRedis.from_url("redis://127.0.0.1:9/0", retry=None) as nowhere:
            book = journal.Journal(nowhere, "flights_test_nowhere", metrics)
            noted(book, journal.ROOM + 5)
            assert counts(metrics) == (0, 5)
            await book.write()
            assert counts(metrics) == (0, 5 + journal.AT_ONCE)  # one attempt a round, not 625
            noted(book, 100)
            assert counts(metrics) == (0, 5 + 100)

    asyncio.run(scene())


def test_what_waited_out_an_outage_is_written_after_it(settings: Settings, tmp_path: Path) -> None:
    async def scene() -> None:
        metrics = Metrics("1", "b", 0.0)
        prefix = f"{settings.key_prefix}:outage"
        async with AsyncRedis.from_url(settings.redis) as redis:
            book = journal.Journal(AsyncRedis.from_url("redis://127.0.0.1:9/0"), prefix, metrics)
            noted(book, 50)
            await book.write()
            book.redis = redis
            await book.write()
            assert counts(metrics) == (50 - journal.AT_ONCE, journal.AT_ONCE)
            assert await redis.xlen(outcomes.predictions_key(prefix)) == 50 - journal.AT_ONCE

    asyncio.run(scene())
