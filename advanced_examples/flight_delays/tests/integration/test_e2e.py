"""From raw data to an answer over HTTP: what the service says is what training would have said."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pandas as pd
import pytest
import redis

from features.vector import as_matrix
from features.views import View
from src import bundle, feature_eng, materialize, packed
from src.paths import PROJECT
from src.service.process import service
from src.store import redis_url

if TYPE_CHECKING:
    from conftest import Pipeline, Ran

SERVING = PROJECT / "environments" / "serving" / ".venv" / "bin" / "python"
HEADERS = {"X-API-Key": "demo-key"}
ROUNDING = 0.02  # minutes: the answer has two digits, the packed features are float32


class Served(NamedTuple):
    """A service on the pipeline's results, and the flight as of whose departure it is fed."""

    http: httpx.Client
    home: Path
    flight: pd.DataFrame

    def request(self) -> dict[str, str]:
        """The flight as a request: what it is, and nothing of its features."""
        row = self.flight.iloc[0]
        return {
            "departure_time": row["departure_time"].isoformat(),
            **{name: row[name] for name in ("route", "airline", "aircraft_type", "tail_number")},
        }


def view_of(home: Path, view: View) -> Path:
    """The history of a view that the pipeline built."""
    return home / "data/processed/views" / f"{view.name}.parquet"


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[redis.Redis, str]]:
    """The Redis at REDIS_URL and a prefix of our own in it; skips aloud without one."""
    prefix = f"e2e-{uuid.uuid4().hex[:12]}"
    with redis.Redis.from_url(redis_url()) as client:
        try:
            client.ping()
        except (redis.RedisError, OSError) as error:
            pytest.skip(f"this test needs Redis at REDIS_URL: {error}")
        yield client, prefix
        packed.remove(client, prefix)


@pytest.fixture(scope="module")
def served(first_run: tuple[Pipeline, Ran], store: tuple[redis.Redis, str]) -> Iterator[Served]:
    home, (client, prefix) = first_run[0].home, store
    table = pd.read_parquet(home / "data/processed/features.parquet")
    complete = table[(table["split"] == "test") & table["inbound_delay_minutes"].notna()]
    flight = complete[complete["avg_delay_7d"].notna()].tail(1)
    at = flight["departure_time"].iloc[0].to_pydatetime()
    for view in feature_eng.VIEWS:
        rows = materialize.latest(view, at, view_of(home, view))
        assert materialize.write_packed(client, view, rows, prefix) == len(rows)
    environment = {
        "MODEL_PATH": str(home / "models"), "REDIS_URL": redis_url(),
        "FLIGHTS_KEY_PREFIX": prefix, "FLIGHTS_HOST": "127.0.0.1", "FLIGHTS_API_KEYS": "",
    }  # fmt: skip
    python = str(SERVING) if SERVING.exists() else sys.executable
    with (
        service({**os.environ, **environment}, python=python) as started,
        httpx.Client(base_url=started.url, headers=HEADERS, timeout=30) as http,
    ):
        yield Served(http, home, flight)


def test_the_answer_is_what_training_would_have_said(served: Served) -> None:
    model = bundle.Bundle.load(bundle.champion(served.home / "models"))
    offline = model.predict(as_matrix(feature_eng.columns(served.flight)))
    answer = served.http.post("/predict", json=served.request())
    assert answer.status_code == 200, answer.text
    online = answer.json()
    assert online["degraded"] == []
    assert online["model_version"] == model.version
    expected = {
        "delay_minutes": offline.delay_minutes,
        "low_minutes": offline.low,
        "high_minutes": offline.high,
    }
    for name, minutes in expected.items():
        assert online[name] == pytest.approx(float(minutes[0]), abs=ROUNDING)
    assert online["confidence"] == pytest.approx(float(offline.confidence[0]), abs=1e-3)


def test_what_the_aircraft_brings_with_it_moves_the_answer(served: Served) -> None:
    """Not only a number: the inbound delay is read, understood and explained."""
    late = served.request() | {"inbound_delay_minutes": 180.0, "turnaround_minutes": 40.0}
    early = late | {"inbound_delay_minutes": -20.0}
    answers = [served.http.post("/predict", json=body).json() for body in (early, late)]
    assert answers[1]["delay_minutes"] > answers[0]["delay_minutes"] + 20
    why = served.http.post("/explain", json=late).json()
    assert why["usual_minutes"] + sum(part["minutes"] for part in why["parts"]) == pytest.approx(
        why["delay_minutes"], abs=0.1
    )


def test_a_flight_before_the_features_is_told_so(served: Served) -> None:
    """Features of a later moment would be a look into the future: they are not used."""
    early = served.flight["departure_time"].iloc[0] - pd.Timedelta(days=30)
    body = served.request() | {"departure_time": early.isoformat()}
    answer = served.http.post("/predict", json=body).json()
    assert answer["degraded"]


def test_it_is_ready_and_knows_its_model(served: Served) -> None:
    assert served.http.get("/ready").json() == {
        "ready": True, "model_loaded": True, "feature_store": "up"
    }  # fmt: skip
    info = served.http.get("/model-info").json()
    assert info["version"] == (served.home / "models/champion").read_text().strip()
