"""Predictions and truth in Redis: what was written is read again, joined and judged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from api_kit import redis_url
from redis import Redis

from features.vector import INPUTS
from src.monitoring import outcomes
from src.monitoring.outcomes import Judged, Predicted
from src.packed import remove

PREFIX = "flights_test_outcomes"


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(redis_url()) as client:
        remove(client, PREFIX)
        yield client
        remove(client, PREFIX)


def made(flight_id: str = "F1", **more: Any) -> Predicted:
    """A prediction of 20.5 minutes."""
    inputs = np.arange(len(INPUTS), dtype="<f4").tobytes()
    usual = Predicted(
        flight_id, time.time(), "v1", "AA", "JFK-LAX", 20.5, 10.25, 33.125, 0.75, 47, 1.5e9, inputs
    )
    return usual._replace(**more)


def test_what_is_logged_comes_back(redis: Redis) -> None:
    rows = [made("F1"), made("", version="v2", delay_minutes=-3.0)]
    for row in rows:
        outcomes.log_prediction(redis, PREFIX, row)
    found = [outcomes.predicted(f) for _, f in outcomes.entries(redis, f"{PREFIX}:predictions")]
    assert found == rows
    assert outcomes.matrix(found).tolist() == [list(range(len(INPUTS)))] * 2


def test_rows_of_another_width_are_left_out() -> None:
    assert outcomes.matrix([made(), made(inputs=b"1234")]).shape == (1, len(INPUTS))
    assert outcomes.matrix([]).shape == (0, len(INPUTS))


def test_more_than_a_page_is_read_whole_and_from_any_point(redis: Redis) -> None:
    flights = [(f"F{number}", float(number)) for number in range(2 * outcomes.PAGE + 5)]
    assert outcomes.log_landed(redis, PREFIX, flights, time.time()) == len(flights)
    found = list(outcomes.entries(redis, outcomes.landed_key(PREFIX)))
    assert [fields[b"flight_id"].decode() for _, fields in found] == [name for name, _ in flights]
    rest = outcomes.entries(redis, outcomes.landed_key(PREFIX), b"(" + found[-3][0])
    assert [place for place, _ in rest] == [place for place, _ in found[-2:]]


def test_a_prediction_meets_its_truth_once_for_each_version(redis: Redis) -> None:
    now = time.time()
    for row in (
        made("F1", at=now - 5, delay_minutes=1.0),
        made("F1", at=now - 4, delay_minutes=30.0),  # asked again: the last answer counts
        made("F1", at=now - 3, version="v2", delay_minutes=5.0),
        made("F2", at=now - 2),  # has not landed
        made("", at=now - 1),
    ):
        outcomes.log_prediction(redis, PREFIX, row)
    assert outcomes.judged(redis, PREFIX) == []
    outcomes.log_landed(redis, PREFIX, [("F1", 99.0), ("F9", 0.0), ("F1", 20.0)], now)
    v1 = Judged("F1", "v1", "AA", "JFK-LAX", 30.0, 20.0, now - 4)
    v2 = Judged("F1", "v2", "AA", "JFK-LAX", 5.0, 20.0, now - 3)
    assert outcomes.judged(redis, PREFIX) == [v1, v2]
    assert outcomes.judged(redis, PREFIX, version="v2") == [v2]
    assert outcomes.judged(redis, PREFIX, since=now - 3.5) == [v2]
    assert outcomes.judged(redis, PREFIX, since=now + 3600) == []
    assert outcomes.accuracy([v1, v2]) == 0.5
    assert outcomes.mean_error([v1, v2]) == 12.5


@pytest.mark.parametrize(
    ("predicted", "actual", "right"),
    [(15.0, 15.0, 1.0), (14.99, 15.0, 0.0), (15.0, 14.99, 0.0), (14.99, -20.0, 1.0)],
)
def test_late_begins_at_15_minutes(predicted: float, actual: float, right: float) -> None:
    assert outcomes.accuracy([Judged("F", "v", "AA", "R", predicted, actual, 0.0)]) == right


def test_without_flights_there_is_no_figure() -> None:
    assert outcomes.accuracy([]) is None and outcomes.mean_error([]) is None
