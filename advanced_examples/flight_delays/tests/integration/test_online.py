"""The feature store with a real Redis: Feast, the packed values and training agree."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import redis
from store_kit import AT, plain, same

from features import route_features, weather_features
from features.vector import as_matrix
from features.views import key, unpack
from src import feature_eng, materialize, online, packed


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(home))


# Training


def test_the_training_join_equals_feasts_on_a_sample(feast: Any, home: Path) -> None:
    frame = pd.read_parquet(home / "data/processed/features.parquet")
    sample = frame.sample(400, random_state=2).sort_values("flight_id", ignore_index=True)
    asked = sample[["flight_id", "event_timestamp", *feature_eng.FLIGHT, "departure_time"]]
    for join in feature_eng.JOINS:
        view, columns = join.view, list(join.view.columns)
        entities = asked[["flight_id", "event_timestamp"]].assign(**{view.entity: asked[join.by]})
        theirs = feast.get_historical_features(
            entities, [f"{view.name}:{column}" for column in columns]
        ).to_df()
        theirs = theirs.sort_values("flight_id", ignore_index=True)
        assert len(theirs) == len(sample)
        for column in columns:
            ours = sample[join.prefix + column]
            pd.testing.assert_series_equal(theirs[column], ours, check_names=False)


def test_the_on_demand_view_is_the_function_that_the_vector_uses(feast: Any, home: Path) -> None:
    frame = pd.read_parquet(home / "data/processed/features.parquet").sample(50, random_state=3)
    names = ("hour_of_day", "day_of_week", "is_holiday", "is_peak_hour", "season", "clock")
    entities = frame[["flight_id", "event_timestamp", "route", "origin", "departure_time"]]
    got = feast.get_historical_features(
        entities, ["route:volume_7d", *(f"temporal:{name}" for name in names)]
    ).to_df()
    got = got.set_index("flight_id").loc[frame["flight_id"]]
    matrix = as_matrix(feature_eng.columns(frame))
    for name in names:
        np.testing.assert_allclose(got[name], matrix[:, feature_eng.INPUTS.index(name)], rtol=1e-6)


# Online


def test_packed_values_equal_feasts_online_features(
    feast: Any, client: redis.Redis, shared: str
) -> None:
    for view in feature_eng.VIEWS:
        table = materialize.latest(view, AT)
        assert len(table) > 2
        theirs = feast.get_online_features(
            features=[f"{view.name}:{column}" for column in view.columns],
            entity_rows=[{view.entity: entity} for entity in table[view.entity]],
        ).to_dict()
        for place, entity in enumerate(table[view.entity]):
            value = client.get(key(shared, view, entity))
            ours = plain(view, value)
            assert ours == {c: same(theirs[c][place]) for c in view.columns}, (view.name, entity)


def test_the_models_input_online_equals_that_of_training(
    client: redis.Redis, shared: str, home: Path
) -> None:
    raw = pd.read_parquet(home / "data/raw/flights.parquet")
    recent = raw[raw["departure_time"] <= AT].tail(300).reset_index(drop=True)
    labels = feature_eng.labels_from(recent.assign(split="test"))
    labels = labels.assign(event_timestamp=pd.Timestamp(AT), departure_time=pd.Timestamp(AT))
    labels["event_timestamp"] = labels["event_timestamp"].dt.as_unit("us")
    views = {view.name: pd.read_parquet(feature_eng.view_file(view)) for view in feature_eng.VIEWS}
    offline = as_matrix(feature_eng.columns(feature_eng.historical(labels, views)))
    flights = [
        online.Flight(row.route, row.airline, AT, row.aircraft_type, row.tail_number)
        for row in labels.itertuples()
    ]
    read = online.read(client, flights, shared)
    np.testing.assert_array_equal(as_matrix(read.columns), offline)
    assert any(not read.lacking(row) for row in range(len(flights)))
    assert not read.stale


def test_the_asynchronous_read_is_the_same(client: redis.Redis, shared: str, redis_at: str) -> None:
    flights = [
        online.Flight("JFK-LAX", "AA", AT, "A321"),
        online.Flight("SEA-SFO", "AS", AT, "E175"),
    ]

    async def read() -> online.Features:
        async with redis.asyncio.Redis.from_url(redis_at) as own:
            return await online.read_async(own, flights, shared)

    one, other = asyncio.run(read()), online.read(client, flights, shared)
    assert one.status == other.status
    for name, values in other.columns.items():
        np.testing.assert_array_equal(one.columns[name], values)


def test_newest_wins_a_correction_replaces_and_twice_does_no_harm(
    client: redis.Redis, own_prefix: str
) -> None:
    view = route_features.VIEW

    def write(hour: int, volume: float) -> int:
        rows = [("JFK-LAX", AT + timedelta(hours=hour), {"volume_7d": volume})]
        return packed.write(client, view, rows, own_prefix)

    def volume() -> float:
        value = client.get(key(own_prefix, view, "JFK-LAX"))
        return float(unpack(view, value).values[view.columns.index("volume_7d")])

    assert (write(0, 1), volume()) == (1, 1)
    assert (write(-1, 2), volume()) == (0, 1)
    assert (write(0, 3), volume()) == (1, 3)
    assert (write(2, 4), volume()) == (1, 4)
    assert (
        online.freshness(client, own_prefix)["route"].as_of == (AT + timedelta(hours=2)).timestamp()
    )


def test_materialising_again_changes_nothing(feast: Any, client: redis.Redis, shared: str) -> None:
    route = route_features.VIEW
    before = client.get(key(shared, route, "JFK-LAX"))
    done = materialize.materialize(feast, client, AT, shared)
    after = client.get(key(shared, route, "JFK-LAX"))
    assert [row.view for row in done] == [view.name for view in feature_eng.VIEWS]
    assert plain(route, before) == plain(route, after)
    earlier = materialize.materialize(feast, client, AT - timedelta(days=3), shared)
    assert next(row for row in earlier if row.view == "route").taken == 0


def test_freshness_tells_how_long_ago(client: redis.Redis, own_prefix: str) -> None:
    rows = [("JFK", AT, {"temperature": 3.0})]
    packed.write(client, weather_features.VIEW, rows, own_prefix, now=1e9)
    found = online.freshness(client, own_prefix, now=1e9 + 7201)
    assert found["weather"].stale
    assert found["weather"].age == 7201
    assert "never materialised" in materialize.report(client, own_prefix)
    assert "too old" in materialize.report(client, own_prefix)
