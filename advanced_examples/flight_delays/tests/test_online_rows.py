"""What the service makes of packed rows: the rule of training at the departure, and what lacks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import route_features
from features.vector import INPUTS, RAW, as_matrix
from features.views import pack, unpack, word
from src import feature_eng, online

WHEN = datetime(2024, 5, 1, 12, tzinfo=UTC)
FLIGHT = online.Flight("JFK-LAX", "AA", WHEN, "A321", "N1")


def stored(as_of: datetime, written: float = 1e9) -> list[bytes]:
    return [pack(source.view, {}, as_of.timestamp(), written) for source in online.SOURCES]


def test_a_row_counts_online_as_it_does_in_training() -> None:
    for source in online.SOURCES:
        place = online.SOURCES.index(source)
        for age, says in (
            (timedelta(0), online.FOUND),
            (source.view.ttl, online.FOUND),
            (source.view.ttl + timedelta(seconds=1), online.TOO_OLD),
            (timedelta(seconds=-1), online.TOO_NEW),
        ):
            values: list[Any] = [None] * len(online.SOURCES)
            values[place] = stored(WHEN - age)[place]
            read = online.decode([FLIGHT], values)
            assert read.status[0][source.name] == says
            others = [name for name in read.lacking() if name != source.name]
            assert len(others) == len(online.SOURCES) - 1


def test_values_not_refreshed_for_two_hours_are_stale() -> None:
    assert not online.decode([FLIGHT], stored(WHEN, 1e9), now=1e9 + 7200).stale
    assert online.decode([FLIGHT], stored(WHEN, 1e9), now=1e9 + 7201).stale


def test_without_the_store_all_that_is_known_is_in_the_request() -> None:
    read = online.without_store([FLIGHT, FLIGHT._replace(tail_number=None)])
    row = dict(zip(INPUTS, as_matrix(read.columns)[0], strict=True))
    assert set(read.lacking()) == {source.name for source in online.SOURCES}
    assert row["airline_AA"] == row["aircraft_A321"] == row["history_missing"] == 1
    assert row["hour_of_day"] == 8
    assert np.isnan(read.age)
    assert not read.stale


def test_a_naive_departure_is_utc_and_keys_are_in_the_order_of_the_sources() -> None:
    naive = online.without_store([FLIGHT._replace(departure_time=WHEN.replace(tzinfo=None))])
    aware = online.without_store([FLIGHT])
    assert naive.columns["departure_time"][0] == aware.columns["departure_time"][0]
    assert online.keys([FLIGHT], "p") == [
        "p:route:JFK-LAX", "p:airline:AA", "p:weather:JFK", "p:weather:LAX", "p:aircraft:N1",
    ]  # fmt: skip
    assert {name for name, _ in online.COLUMNS} >= set(RAW) - {
        "airline", "route", "aircraft_type", "departure_time",
    }  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_packing_gives_back_what_was_packed(data: st.DataObject) -> None:
    view = data.draw(st.sampled_from(feature_eng.VIEWS))
    number = st.none() | st.floats(-1e6, 1e6, width=32)
    row = {
        column: data.draw(
            st.sampled_from(view.categories[column]) if column in view.categories else number
        )
        for column in view.columns
    }
    packed = unpack(view, pack(view, row, 1.5e9, 1.6e9))
    assert (packed.as_of, packed.written) == (1.5e9, 1.6e9)
    for column, got in zip(view.columns, packed.values, strict=True):
        if column in view.categories:
            assert word(view, column, got) == row[column]
        else:
            assert np.isnan(got) if row[column] is None else got == row[column]


def test_a_row_of_another_schema_is_refused() -> None:
    value = pack(route_features.VIEW, {}, 0, 0)
    with pytest.raises(ValueError, match=r"columns have changed.*src/materialize\.py"):
        unpack(route_features.VIEW, value[:-4])
