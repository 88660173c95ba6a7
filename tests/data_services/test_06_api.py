"""The recommendations API over HTTP: what it answers, refuses, counts and tells analytics."""

import asyncio
import subprocess
import sys
from decimal import Decimal

import aiohttp
import httpx
import psycopg2
import pytest
import redis
import schemathesis
from hypothesis import HealthCheck, given, settings
from recommendations_api.answers import EXAMPLE, Answer
from recommendations_api.app import VERSION
from recommendations_api.visitor import milliseconds, path
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation

from tests.data_services.private_service import KEY, PrivateService
from tests.stack.private import eventually

BOUGHT = """
    SELECT product_id FROM orders JOIN order_items USING (order_id) WHERE customer_id = %s
"""
WITHIN_AN_HOUR = (3_240, 3_600)  # seconds: the hour less a tenth of jitter


@pytest.fixture
def fresh(api: PrivateService) -> PrivateService:
    """The service with an empty cache."""
    with redis.Redis.from_url(api.settings.redis) as client:
        client.flushdb()  # a private server's
    return api


def test_the_promised_path_answers_with_the_promised_fields(fresh: PrivateService) -> None:
    first = fresh.http.get("/api/users/123/personalized-recommendations")
    second = fresh.http.get("/api/users/123/personalized-recommendations")
    answers = [first.json(), second.json()]
    assert [answer.pop("served_from") for answer in answers] == ["database", "redis"]
    assert answers[0] == answers[1]
    promised = {"segment", "churn_risk", "lifetime_value", "offer", "recommendations"}
    assert set(answers[0]) == promised | {"user_id", "degraded"}
    assert answers[0]["user_id"] == 123 and answers[0]["degraded"] == []
    assert list(milliseconds(first)) == ["postgres", "mongo", "engine", "redis"]
    assert list(milliseconds(second)) == ["redis"]


@pytest.mark.parametrize("user_id", [1, 123, 777, 1_234, 2_000])
def test_recommendations_are_on_sale_at_todays_price_and_not_owned(
    api: PrivateService, user_id: int
) -> None:
    products = api.ask(user_id).json()["recommendations"]
    with psycopg2.connect(api.settings.postgres) as shop, shop.cursor() as cursor:
        cursor.execute("SELECT product_id, price, discontinued_on FROM products")
        on_sale = {number: price for number, price, end in cursor if end is None}
        cursor.execute(BOUGHT, (user_id,))
        owned = {number for (number,) in cursor}
        cursor.execute("SELECT product_id FROM web_events WHERE customer_id = %s", (user_id,))
        looked_at = {number for (number,) in cursor}
    shop.close()
    numbers = [product["product_id"] for product in products]
    assert len(numbers) == 5 == len(set(numbers)) and not owned & set(numbers)
    for product in products:
        assert Decimal(product["price"]) == on_sale[product["product_id"]]
        assert not product["looked_at"] or product["product_id"] in looked_at
    seen = [product["looked_at"] for product in products]
    assert seen == sorted(seen, reverse=True)


def test_redis_keeps_it_for_an_hour_less_some_jitter(fresh: PrivateService) -> None:
    for user_id in range(1, 21):
        fresh.ask(user_id)
    with redis.Redis.from_url(fresh.settings.redis) as client:
        lives = [client.ttl(key) for key in client.scan_iter("api_tests:*")]
    assert len(lives) == 20
    assert all(WITHIN_AN_HOUR[0] - 10 <= life <= WITHIN_AN_HOUR[1] for life in lives)
    assert len(set(lives)) > 5


def test_what_redis_holds_and_makes_no_sense_is_loaded_anew(fresh: PrivateService) -> None:
    right = fresh.ask(5).json()
    with redis.Redis.from_url(fresh.settings.redis) as client:
        (key,) = client.scan_iter("api_tests:*")
        client.set(key, b"\xff{broken")
    again = fresh.ask(5).json()
    assert again == right


@pytest.mark.parametrize(
    ("user_id", "status", "says"),
    [("2001", 404, "no user 2001"), ("0", 422, "greater than or equal to 1"),
     ("-7", 422, "greater"), ("anna", 422, "valid integer"), ("1.5", 422, "valid integer"),
     ("2147483648", 422, "less than or equal to 2147483647"), ("9" * 5_000, 422, "integer"),
     ("%00", 422, "integer"), ("1;DROP TABLE users", 422, "integer")],
)  # fmt: skip
def test_a_refusal_has_a_status_and_a_reason(
    api: PrivateService, user_id: str, status: int, says: str
) -> None:
    for route in (path(user_id), f"/api/users/{user_id}"):
        response = api.http.get(route)
        assert response.status_code == status
        assert set(response.json()) == {"error", "reason"} and says in response.json()["reason"]
        assert len(response.content) < 1_000


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": ""}, {"X-API-Key": KEY + "x"}])
def test_without_a_known_key_nothing_is_told(api: PrivateService, headers: dict[str, str]) -> None:
    for route in (path(1), path(99_999), "/api/users/1"):
        response = httpx.get(f"{api.http.base_url}{route}", headers=headers)
        assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "ApiKey"
        assert "X-API-Key" in response.json()["reason"]


def test_unknown_paths_and_methods_get_a_reason_too(api: PrivateService) -> None:
    assert "nothing at /nowhere" in api.http.get("/nowhere").json()["reason"]
    refused = api.http.post(path(1))
    assert refused.status_code == 405 and refused.headers["Allow"] == "GET"


def test_the_user_is_the_shops_customer(api: PrivateService) -> None:
    assert api.http.get("/api/users/123").json() == {
        "user_id": 123, "name": "Pawel Sikora", "city": "Warsaw", "country": "Poland",
        "registered_on": "2022-11-07",
    }  # fmt: skip


def test_health_and_readiness(api: PrivateService) -> None:
    assert api.http.get("/health").json() == {"status": "ok", "version": VERSION}
    assert api.http.get("/ready").json()["ready"] is True


def test_500_misses_at_once_make_exactly_one_load(fresh: PrivateService) -> None:
    before = fresh.metric("recommendations_loads_total")

    url = f"{fresh.http.base_url}{path(42)}"

    async def one(client: aiohttp.ClientSession) -> str:
        async with client.get(url, headers={"X-API-Key": KEY}) as response:
            assert response.status == 200
            return str((await response.json())["recommendations"])

    async def rush() -> list[str]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            return await asyncio.gather(*(one(client) for _ in range(500)))

    assert len(set(asyncio.run(rush()))) == 1
    assert fresh.metric("recommendations_loads_total") - before == 1


def test_an_unknown_user_is_not_cached(fresh: PrivateService) -> None:
    assert [fresh.ask(3_000).status_code for _ in range(2)] == [404, 404]
    with redis.Redis.from_url(fresh.settings.redis) as client:
        assert not [key for key in client.scan_iter("api_tests:*") if not key.endswith(b":lease")]


def test_every_answer_is_stored_exactly_once(api: PrivateService) -> None:
    for user_id in range(300, 340):
        assert api.ask(user_id).status_code == 200
    eventually(lambda: api.stored() == api.given())
    of_340 = api.rows("SELECT DISTINCT tier FROM served WHERE user_id BETWEEN 300 AND 339")
    assert ("database",) in of_340


def test_metrics_are_by_route_and_count_what_was_asked(api: PrivateService) -> None:
    route = '{route="/api/users/{user_id}",status="200"}'
    before = api.metric(f"recommendations_requests_total{route}")
    for user_id in (1, 2, 3):
        api.http.get(f"/api/users/{user_id}")
    assert api.metric(f"recommendations_requests_total{route}") == before + 3
    text = api.http.get("/metrics").text
    assert (
        "/api/users/1" not in text and 'recommendations_store_seconds_count{store="mongo"}' in text
    )


def test_the_example_in_the_description_is_an_answer(api: PrivateService) -> None:
    Answer.model_validate(EXAMPLE)
    Answer.model_validate(api.ask(123).json())


def test_without_its_model_it_says_what_is_missing(api: PrivateService) -> None:
    environment = api.settings.environment() | {"RECOMMENDATIONS_MODEL": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-m", "recommendations_api", "--port", "0"],
        env=environment | {"PATH": ""}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and "engine.json" in done.stderr


def test_schemathesis_finds_no_5xx_and_no_violation(api: PrivateService) -> None:
    """Requests that fit the description, and requests that do not, to every route."""
    description = schemathesis.openapi.from_url(f"{api.http.base_url}/openapi.json")
    routes = [found.ok() for found in description.get_all_operations()]
    assert len(routes) == 5
    for route in routes:
        check_route(route, GenerationMode.POSITIVE)
        if "{" in route.path:
            check_route(route, GenerationMode.NEGATIVE)


def check_route(route: APIOperation, kind: GenerationMode) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=route.as_strategy(generation_mode=kind))
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(headers={"X-API-Key": KEY})

    check()
