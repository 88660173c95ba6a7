"""The service's routes: what they answer, what they refuse and in which words.

The app runs as it is, with a real Redis and a model of the real kind (tiny_model.py); the process
around it, its faults and its end stand in test_api_process.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tiny_model
from api_kit import FLIGHT, HEADERS, KEY, redis_url, stocked, wait_until
from fastapi.testclient import TestClient
from redis import Redis

from features.vector import AIRLINES, INPUTS, as_matrix
from features.views import key
from src import online
from src.bundle import Bundle
from src.service.access import RateLimit
from src.service.app import create_app
from src.service.contract import MOST_FLIGHTS
from src.service.guard import LARGEST_BODY
from src.service.reasons import SUBJECTS, subject
from src.service.settings import Settings

FIELDS = {
    "delay_minutes", "confidence", "model_version", "features_used", "inference_time_ms",
    "low_minutes", "high_minutes", "degraded",
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_model.model(folder)
    return folder


@pytest.fixture(scope="module")
def settings(models: Path) -> Iterator[Settings]:
    url = redis_url()
    with stocked(url) as prefix:
        yield Settings(
            redis=url, key_prefix=prefix, models=models, api_keys={KEY: "tests"},
            requests_per_minute=100_000, look_seconds=0.1, redis_seconds=2.0,
        )  # fmt: skip


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), headers=HEADERS) as client:
        yield client


def changed(settings: Settings, **more: Any) -> TestClient:
    """A client of an app with other settings."""
    return TestClient(create_app(Settings(**{**vars(settings), **more})), headers=HEADERS)


def refused(answer: httpx.Response, status: int, *says: str) -> None:
    """Check that `answer` is a refusal that says all of `says`."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "reason"}
    for words in says:
        assert words in body["reason"]


def test_predict_endpoint(api: TestClient) -> None:
    answer = api.post("/predict", json=FLIGHT)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == FIELDS
    assert body["model_version"] == "tiny-1"
    assert body["features_used"] == len(INPUTS) and body["degraded"] == []
    assert body["low_minutes"] <= body["delay_minutes"] <= body["high_minutes"]
    assert 0 < body["confidence"] < 1 and body["inference_time_ms"] > 0


def test_the_answer_is_what_the_model_says_of_the_stored_features(
    api: TestClient, settings: Settings, models: Path
) -> None:
    departure = datetime(2024, 12, 31, 23, 30, tzinfo=UTC)
    flight = online.Flight("JFK-LAX", "AA", departure, "A321", "N100AA")
    with Redis.from_url(settings.redis) as redis:
        found = online.read(redis, [flight], settings.key_prefix)
    assert found.lacking() == []
    said = Bundle.load(models / "tiny-1").predict(as_matrix(found.columns))
    body = api.post("/predict", json=FLIGHT).json()
    assert body["delay_minutes"] == pytest.approx(float(said.delay_minutes[0]), abs=0.006)
    assert body["confidence"] == pytest.approx(float(said.confidence[0]), abs=1e-4)


def test_a_batch_answers_as_single_requests_do(api: TestClient) -> None:
    flights = [FLIGHT | {"airline": airline} for airline in AIRLINES] * 10
    batch = api.post("/predict-batch", json={"flights": flights}).json()
    assert len(batch["predictions"]) == 80 and batch["model_version"] == "tiny-1"
    for flight, found in zip(flights[:8], batch["predictions"][:8], strict=True):
        single = api.post("/predict", json=flight).json()
        assert found["delay_minutes"] == pytest.approx(single["delay_minutes"], abs=0.01)


def test_departure_times_without_a_zone_are_utc_and_zones_are_respected(api: TestClient) -> None:
    times = ("2024-12-31T23:30:00", "2024-12-31T23:30:00Z", "2024-12-31T18:30:00-05:00")
    answers = [api.post("/predict", json=FLIGHT | {"departure_time": t}).json() for t in times]
    assert len({answer["delay_minutes"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"route": "JFKLAX"}, ("route='JFKLAX'", '"JFK-LAX"')),
        ({"route": None}, ("route=None",)),
        ({"airline": 7}, ("airline=7", '"AA"')),
        ({"departure_time": "tomorrow"}, ("departure_time='tomorrow'", "ISO 8601")),
        ({"departure_time": 1735688400}, ("departure_time", "ISO 8601")),
        ({"departure_time": "1024-12-31T23:30:00Z"}, ("departure_time", "2000 to 2099")),
        ({"weather_condition": "hail"}, ("weather_condition='hail'", "clear, rain, snow or fog")),
        ({"inbound_delay_minutes": 99999}, ("inbound_delay_minutes", "-120 to 1440")),
        ({"inbound_delay_minutes": "much"}, ("inbound_delay_minutes='much'", "leave it out")),
        ({"turnaround_minutes": -1}, ("turnaround_minutes", "0 to 720")),
        ({"tail_number": "n 1"}, ("tail_number='n 1'", '"N100AA"')),
        ({"gate": "B12"}, ("gate is no field",)),
    ],
)
def test_a_bad_field_is_named_with_its_remedy(
    api: TestClient, change: dict[str, Any], says: tuple[str, ...]
) -> None:
    refused(api.post("/predict", json=FLIGHT | change), 422, *says)
    batch = {"flights": [FLIGHT, FLIGHT | change]}
    refused(api.post("/predict-batch", json=batch), 422, "flights.1.", *says)


@pytest.mark.parametrize("name", ["route", "airline", "departure_time", "aircraft_type"])
def test_a_missing_field_is_named_with_its_remedy(api: TestClient, name: str) -> None:
    flight = {field: value for field, value in FLIGHT.items() if field != name}
    refused(api.post("/predict", json=flight), 422, f"{name} is missing: send")


@pytest.mark.parametrize("name", ["weather_condition", "tail_number"])
def test_what_may_be_left_out_may_be_left_out(api: TestClient, name: str) -> None:
    flight = {field: value for field, value in FLIGHT.items() if field != name}
    assert api.post("/predict", json=flight).status_code == 200


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"route": "JFK-XXX"}, "no airport XXX"),
        ({"route": "JFK-JFK"}, "goes nowhere"),
        ({"airline": "ZZ"}, "'ZZ' is unknown; use one of AA, UA"),
        ({"aircraft_type": "Zeppelin"}, "use one of A320"),
    ],
)
def test_a_flight_that_cannot_be_is_refused(
    api: TestClient, change: dict[str, Any], says: str
) -> None:
    refused(api.post("/predict", json=FLIGHT | change), 400, says)
    refused(api.post("/explain", json=FLIGHT | change), 400, says)
    batch = {"flights": [FLIGHT, FLIGHT | change]}
    refused(api.post("/predict-batch", json=batch), 400, "flights.1.", says)


@pytest.mark.parametrize("body", [b'{"route":', b"route=JFK-LAX", b"\xff\xfe"])
def test_what_is_not_json_is_refused(api: TestClient, body: bytes) -> None:
    answer = api.post("/predict", content=body, headers={"Content-Type": "application/json"})
    refused(answer, 400, "not JSON")


@pytest.mark.parametrize("body", [[], "flight", None, 7])
def test_json_that_is_no_object_is_refused(api: TestClient, body: Any) -> None:
    refused(api.post("/predict", json=body), 422, "JSON object")


def test_batches_have_bounds(api: TestClient) -> None:
    refused(api.post("/predict-batch", json={"flights": []}), 422, "1 to 1,000")
    many = {"flights": [FLIGHT] * (MOST_FLIGHTS + 1)}
    refused(api.post("/predict-batch", json=many), 422, "1 to 1,000")
    most = api.post("/predict-batch", json={"flights": [FLIGHT] * MOST_FLIGHTS})
    assert len(most.json()["predictions"]) == MOST_FLIGHTS
    refused(api.post("/predict", content=b" " * (LARGEST_BODY + 1)), 413, "1,000,000 bytes")
    refused(api.post("/predict", content=iter([b"{}"])), 411, "Content-Length")


def test_without_a_key_nothing_is_predicted(api: TestClient) -> None:
    for path in ("/predict", "/predict-batch", "/explain"):
        body = {"flights": [FLIGHT]} if path == "/predict-batch" else FLIGHT
        for wrong in ("", "wrong"):
            answer = api.post(path, json=body, headers={"X-API-Key": wrong})
            refused(answer, 401, "X-API-Key")
            assert answer.headers["WWW-Authenticate"] == "ApiKey"
    refused(api.get("/model-info", headers={"X-API-Key": "wrong"}), 401, "X-API-Key")


def test_a_key_may_ask_so_often_in_a_minute_and_no_oftener(settings: Settings) -> None:
    keys = {KEY: "one", "another": "two"}
    with changed(settings, requests_per_minute=5, api_keys=keys) as api:
        statuses = [api.post("/predict", json=FLIGHT).status_code for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        answer = api.post("/predict", json=FLIGHT)
        refused(answer, 429, "come back in")
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        other = api.post("/predict", json=FLIGHT, headers={"X-API-Key": "another"})
        assert other.status_code == 200
        assert api.get("/health").status_code == 200


def test_no_sixty_seconds_see_more_than_the_limit() -> None:
    now = 0.0
    limit = RateLimit(3, clock=lambda: now)
    allowed = []
    for step in range(400):
        now = step * 1.7
        if limit.wait("one") == 0.0:
            allowed.append(now)
    for start in allowed:
        assert sum(start <= time < start + 60 for time in allowed) <= 3
    assert len(allowed) >= 3 * 10  # and the limit is used up


def test_health_and_readiness(api: TestClient) -> None:
    assert api.get("/health").json() == {"status": "healthy", "version": "1.0.0"}
    ready = api.get("/ready")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "model_loaded": True, "feature_store": "up"}


def test_model_info(api: TestClient) -> None:
    info = api.get("/model-info").json()
    assert info["version"] == "tiny-1" and info["training_date"] == "2025-01-02T03:04:05Z"
    assert info["inputs"] == list(INPUTS) and info["metrics"]["mae"] == 7.5
    assert info["weights"] == {"xgboost": 0.6, "network": 0.4}


def test_without_a_model_it_is_alive_not_ready_and_says_503(
    settings: Settings, tmp_path: Path
) -> None:
    with changed(settings, models=tmp_path) as api:
        assert api.get("/health").status_code == 200
        ready = api.get("/ready")
        assert ready.status_code == 503
        assert ready.json() == {"ready": False, "model_loaded": False, "feature_store": "up"}
        for answer in (
            api.post("/predict", json=FLIGHT), api.post("/explain", json=FLIGHT),
            api.post("/predict-batch", json={"flights": [FLIGHT]}), api.get("/model-info"),
        ):  # fmt: skip
            refused(answer, 503, "no model")
            assert answer.headers["Retry-After"] == "5"
        tiny_model.model(tmp_path)
        wait_until(lambda: api.get("/ready").status_code == 200)
        assert api.post("/predict", json=FLIGHT).json()["model_version"] == "tiny-1"


def test_another_champion_takes_over_and_a_broken_one_does_not(
    settings: Settings, tmp_path: Path
) -> None:
    tiny_model.model(tmp_path, "v1")
    with changed(settings, models=tmp_path) as api:
        first = api.post("/predict", json=FLIGHT).json()
        tiny_model.model(tmp_path, "v2", usual=40.0)
        wait_until(lambda: api.get("/model-info").json()["version"] == "v2")
        second = api.post("/predict", json=FLIGHT).json()
        assert second["model_version"] == "v2"
        assert second["delay_minutes"] > first["delay_minutes"] + 10
        (tmp_path / "v3").mkdir()
        (tmp_path / "champion").write_text("v3\n")
        wait_until(
            lambda: 'flight_model_loads_total{result="failed"} 1.0' in api.get("/metrics").text
        )
        assert api.post("/predict", json=FLIGHT).json()["model_version"] == "v2"


def test_missing_features_are_said_and_lower_what_was_used(api: TestClient) -> None:
    unknown = api.post("/predict", json=FLIGHT | {"tail_number": "N99999"}).json()
    assert unknown["features_used"] == len(INPUTS) - 3
    assert unknown["degraded"] == [
        "the inbound delay of this aircraft is not in the feature store: a usual value stands in"
    ]
    told = {"inbound_delay_minutes": 80, "turnaround_minutes": 30}
    late = api.post("/predict", json=FLIGHT | told | {"tail_number": "N99999"}).json()
    assert late["degraded"] == [] and late["features_used"] == len(INPUTS)
    assert late["delay_minutes"] > unknown["delay_minutes"]
    half = FLIGHT | {"inbound_delay_minutes": 80, "tail_number": "N99999"}
    assert "time on the ground" in api.post("/predict", json=half).json()["degraded"][0]


def test_the_weather_told_stands_in_where_none_was_observed(api: TestClient) -> None:
    later = FLIGHT | {"departure_time": "2025-01-01T04:30:00Z"}  # beyond the weather's time to live
    told = api.post("/predict", json=later).json()
    assert any("weather_condition stands in" in sentence for sentence in told["degraded"])
    untold = api.post("/predict", json=later | {"weather_condition": None}).json()
    assert not any("weather_condition" in sentence for sentence in untold["degraded"])
    assert told["features_used"] == untold["features_used"] < len(INPUTS)
    assert told["delay_minutes"] != untold["delay_minutes"]


def test_features_of_another_version_do_not_break_answers(
    api: TestClient, settings: Settings
) -> None:
    name = key(settings.key_prefix, online.SOURCES[0].view, "ORD-DEN")
    with Redis.from_url(settings.redis) as redis:
        redis.set(name, b"of another version", ex=60)
    answer = api.post("/predict", json=FLIGHT | {"route": "ORD-DEN"})
    assert answer.status_code == 200
    assert answer.json()["features_used"] < len(INPUTS) and answer.json()["degraded"]


def test_an_explanation_adds_up(api: TestClient) -> None:
    late = FLIGHT | {"inbound_delay_minutes": 85, "turnaround_minutes": 40}
    why = api.post("/explain", json=late).json()
    total = why["usual_minutes"] + sum(part["minutes"] for part in why["parts"])
    assert total == pytest.approx(why["delay_minutes"], abs=0.2)
    assert why["delay_minutes"] == api.post("/predict", json=late).json()["delay_minutes"]
    assert why["parts"][0]["group"] == "the inbound aircraft"
    sizes = [abs(part["minutes"]) for part in why["parts"]]
    assert sizes == sorted(sizes, reverse=True)


def test_every_input_has_a_subject() -> None:
    unknown = [n for n in INPUTS if subject(n) == "what is unknown" and not n.endswith("_missing")]
    assert unknown == [] and len(SUBJECTS) >= 8


def test_metrics_count_what_happened(api: TestClient) -> None:
    def value(name: str) -> float:
        lines = api.get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith(f"{name} ")]
        return float(found[0].split()[-1]) if found else 0.0

    names = (
        'flight_requests_total{route="/predict",status="200"}',
        'flight_requests_total{route="(none)",status="404"}',
        'flight_predictions_total{features="all",model_version="tiny-1"}',
        "flight_prediction_delay_minutes_count",
    )
    before = [value(name) for name in names]
    api.post("/predict", json=FLIGHT)
    api.get("/nothing/here")
    assert [value(name) for name in names] == [number + 1 for number in before]
    assert value("flight_model_loaded") == 1 and value("flight_feature_store_up") == 1
    lines = api.get("/metrics").text.splitlines()
    assert all(line.startswith("flight_") for line in lines if not line.startswith("#"))


def test_an_error_of_ours_shows_no_insides(
    settings: Settings, models: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def broken(self: Bundle, matrix: np.ndarray) -> None:
        raise ArithmeticError("the secret of /etc/models")

    with changed(settings) as api:
        monkeypatch.setattr(Bundle, "predict", broken)
        answer = api.post("/predict", json=FLIGHT)
        refused(answer, 500, "an error on our side")
        assert "secret" not in answer.text and "Traceback" not in answer.text
        number = answer.json()["reason"].split()[-1]
        assert number in caplog.text and "the secret of /etc/models" in caplog.text
        monkeypatch.undo()
        assert api.post("/predict", json=FLIGHT).status_code == 200


def test_unknown_places_and_methods_are_refused_in_json(api: TestClient) -> None:
    refused(api.get("/nothing/here"), 404, "/openapi.json")
    refused(api.get("/predict"), 405)


def test_openapi_describes_every_route_and_error(api: TestClient) -> None:
    described = api.get("/openapi.json").json()["paths"]
    assert set(described) == {
        "/predict", "/predict-batch", "/explain", "/model-info", "/health", "/ready", "/metrics",
    }  # fmt: skip
    answers = set(described["/predict"]["post"]["responses"])
    assert answers == {"200", "400", "401", "422", "429", "500", "503", "504"}


def test_the_page_loads_only_from_the_service(api: TestClient) -> None:
    page = api.get("/")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert "http" not in page.text.replace("http-equiv", "")
    for path in ("/page/page.js", "/page/style.css"):
        assert api.get(path).status_code == 200
    for airline in AIRLINES:
        assert f"<option>{airline}</option>" in page.text


def test_the_example_of_the_documentation_works(api: TestClient) -> None:
    page = Path(__file__).parents[1] / "docs" / "API.md"
    text = page.read_text(encoding="utf-8")
    block = text.split("```json", 1)[1].split("```", 1)[0]
    assert api.post("/predict", json=json.loads(block)).status_code == 200
    refused(api.post("/predict", content=block), 422, "Content-Type: application/json")
