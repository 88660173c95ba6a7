"""The service in this process while its feature store is away: each line of the fallback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import tiny_model
from api_kit import FLIGHT, HEADERS, KEY, redis_url, stocked, wait_until
from fastapi.testclient import TestClient

from src.service.app import create_app
from src.service.gate import Gate, gate
from src.service.predictor import STORE_AWAY
from src.service.settings import Settings
from src.service.store import PAUSE


@pytest.fixture(scope="module")
def door() -> Iterator[Gate]:
    """The way to Redis, which a test may shut."""
    at = urlsplit(redis_url())
    with gate(at.hostname or "127.0.0.1", at.port or 6379) as made:
        yield made


@pytest.fixture
def api(door: Gate, tmp_path: Path) -> Iterator[TestClient]:
    tiny_model.model(tmp_path)
    path = urlsplit(redis_url()).path
    with stocked(redis_url()) as prefix:
        settings = Settings(
            redis=f"redis://127.0.0.1:{door.port}{path}", key_prefix=prefix, models=tmp_path,
            api_keys={KEY: "tests"}, redis_seconds=0.5,
        )  # fmt: skip
        with TestClient(create_app(settings), headers=HEADERS) as client:
            yield client
    door.heal()


def degraded(api: TestClient) -> list[str]:
    answer = api.post("/predict", json=FLIGHT)
    assert answer.status_code == 200, answer.text
    return answer.json()["degraded"]


def test_it_goes_away_and_comes_back(
    api: TestClient, door: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "flights")
    assert degraded(api) == []
    door.shut()
    assert degraded(api) == [STORE_AWAY]
    assert degraded(api) == [STORE_AWAY]  # not asked again so soon
    assert api.get("/ready").json()["feature_store"] == "away"
    door.heal()
    wait_until(lambda: degraded(api) == [], seconds=PAUSE + 10)
    assert api.get("/ready").json()["feature_store"] == "up"
    told = [record.getMessage() for record in caplog.records if record.name == "flights"]
    # Each change once, and not each request.
    assert [sum(words in text for text in told) for words in ("is away", "answers again")] == [1, 1]
