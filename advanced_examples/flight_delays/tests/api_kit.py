"""What the tests of the service share: a flight, a key, a real Redis with a prefix of their own."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import RedisError
from tiny_model import features

from src.packed import remove

KEY = "key-of-the-tests"
HEADERS = {"X-API-Key": KEY}
FLIGHT = {
    "route": "JFK-LAX",
    "airline": "AA",
    "departure_time": "2024-12-31T23:30:00Z",
    "aircraft_type": "A321",
    "weather_condition": "snow",
    "tail_number": "N100AA",
}


def redis_url() -> str:
    """The Redis to test with; without one the test is skipped, and says why."""
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    try:
        with Redis.from_url(url, socket_connect_timeout=2) as redis:
            redis.ping()
    except (RedisError, OSError) as error:
        pytest.skip(f"these tests need a Redis at REDIS_URL ({url}): {error}")
    return url


@contextmanager
def stocked(url: str) -> Iterator[str]:
    """A key prefix of our own with features under it, removed at the end."""
    prefix = f"flights_test_{uuid.uuid4().hex[:10]}"
    with Redis.from_url(url) as redis:
        features(redis, prefix, 600)
        try:
            yield prefix
        finally:
            remove(redis, prefix)


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition; AssertionError when it doesn't come true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
