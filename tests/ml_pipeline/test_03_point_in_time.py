"""The point-in-time join against a brute-force oracle, in both engines, and online against offline.

The oracle reads the rules as a person would: of all rows of the entity that hold and were known at
the moment and are not too old, the newest; of equal times, the newest created.
"""

import itertools
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from feature_store import FeatureStore
from feature_store.formulations import BIG, FORMULATIONS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course import connect

few_settings = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
TYPES = {"whole": "Int64", "number": "Float64", "flag": "boolean", "words": "string",
         "moment": "datetime64[us, UTC]"}  # fmt: skip
names = (f"oracle{number}" for number in itertools.count())
# Few entities and few moments, so that ties, ends of the TTL and late rows are common.
moments = st.builds(lambda h, t: BEGIN + h * HOUR + t * TICK, st.integers(0, 8),
                    st.sampled_from([-1, 0, 0, 0, 1]))  # fmt: skip
values = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.booleans(),
    st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
)
rows = st.lists(st.tuples(st.integers(1, 3), moments, moments, values), max_size=20,
                unique_by=lambda row: row[:3])  # fmt: skip
asked = st.lists(st.tuples(st.integers(1, 4), moments), min_size=1, max_size=15)
ttls = st.none() | st.integers(0, 4).map(lambda hours: hours * HOUR)


def oracle(
    history: list[tuple], entity: int, at: datetime, ttl: timedelta | None, late: bool
) -> tuple:
    """What was known, by trying every row."""
    known = [
        (event, created, found)
        for whose, event, created, found in history
        if whose == entity
        and event <= at
        and (ttl is None or event >= at - ttl)
        and (late or created <= at)
    ]
    return max(known, key=lambda row: row[:2])[2] if known else (None,) * len(TYPES)


def frame_of(history: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame({
        "thing_id": pd.Series([row[0] for row in history], dtype="int64"),
        "event_time": pd.Series([row[1] for row in history], dtype="datetime64[us, UTC]"),
        "created": pd.Series([row[2] for row in history], dtype="datetime64[us, UTC]"),
    })  # fmt: skip
    for n, (name, type_) in enumerate(TYPES.items()):
        frame[name] = pd.Series([row[3][n] for row in history], dtype=type_)
    return frame


def bits(value: Any) -> Any:
    """A value so that two are equal only if every bit is: 0.0 is not -0.0, and 1 is not 1.0."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return struct.pack("d", value)
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime()
    return type(value).__name__, value


def cells(frame: pd.DataFrame) -> list[tuple]:
    columns = [frame[name].astype(object).tolist() for name in TYPES]
    return [tuple(map(bits, row)) for row in zip(*columns, strict=True)]


@few_settings
@given(history=rows, questions=asked, ttl=ttls, late=st.booleans())
def test_both_engines_answer_like_the_oracle(
    store: FeatureStore, history: list, questions: list, ttl: timedelta | None, late: bool
) -> None:
    name = next(names)
    store.define(name, "thing_id", ttl)
    store.save_features(name, frame_of(history))
    entities = pd.DataFrame(questions, columns=["thing_id", "at"])
    entities["at"] = entities["at"].astype("datetime64[us, UTC]")
    expected = [
        tuple(map(bits, oracle(history, entity, at, ttl, late))) for entity, at in questions
    ]
    for engine in ("postgres", "duckdb"):
        found = store.get_training_dataset(name, None, entities, late_rows=late, engine=engine)
        assert found[["thing_id", "at"]].equals(entities)
        assert cells(found) == expected, engine


@few_settings
@given(history=rows, at=moments, ttl=ttls)
def test_online_equals_offline_bit_for_bit(
    store: FeatureStore, history: list, at: datetime, ttl: timedelta | None
) -> None:
    name, ids = next(names), [1, 2, 3, 4]
    store.clock.now = at
    store.define(name, "thing_id", ttl)
    store.save_features(name, frame_of(history))
    store.materialise(name)
    online = store.get_features(name, ids)
    expected = [tuple(map(bits, oracle(history, id_, at, ttl, False))) for id_ in ids]
    assert [tuple(map(bits, online[id_].values())) for id_ in ids] == expected
    store.materialise(name)
    assert store.get_features(name, ids) == online
    entities = pd.DataFrame({"thing_id": ids, "at": [at] * 4})
    assert cells(store.get_training_dataset(name, None, entities)) == expected


def test_a_ttl_counts_online_too(store: FeatureStore) -> None:
    store.define("thing", "thing_id", 2 * HOUR)
    store.save_features("thing", frame_of([(1, BEGIN, BEGIN, (7, None, None, None, None))]))
    store.clock.now = BEGIN
    store.materialise("thing")
    for later, expected in ((2 * HOUR, 7), (2 * HOUR + TICK, None)):
        store.clock.now = BEGIN + later
        assert store.get_features("thing", [1], ["whole"]) == {1: {"whole": expected}}
    assert store.materialise("thing") == 0
    store.clock.now = BEGIN
    assert store.get_features("thing", [1], ["whole"]) == {1: {"whole": None}}


@pytest.mark.parametrize("way", FORMULATIONS)
def test_the_formulations_of_the_lesson_answer_like_the_store(
    store: FeatureStore, way: str
) -> None:
    store.offline.connection()
    connection = connect.postgres(options=f"-c search_path={store.name}")
    with connection, connection.cursor() as cursor:
        cursor.execute(BIG.format(entities=20, asked=300))
        cursor.execute(FORMULATIONS[way])
        found = dict(cursor.fetchall())
        cursor.execute("SELECT entity_id, at FROM asked ORDER BY n")
        questions = pd.DataFrame(cursor.fetchall(), columns=["thing_id", "at"])
        cursor.execute("SELECT entity_id, event_time, created, value FROM history")
        history = pd.DataFrame(
            cursor.fetchall(), columns=["thing_id", "event_time", "created", "value"]
        )
    connection.close()
    store.define("thing", "thing_id", timedelta(days=30))
    store.save_features("thing", history)
    answers = store.get_training_dataset("thing", ["value"], questions)["value"]
    assert [found[n + 1] for n in range(300)] == [None if pd.isna(a) else a for a in answers]


@pytest.mark.parametrize("known", [7, -(2**31), 2**31, 2**63 - 1])
def test_ids_of_any_length_meet_their_own_and_nobody_else(store: FeatureStore, known: int) -> None:
    """The export keeps short ids in 32 bits; 2**32 + 7 must not be taken for 7."""
    store.define("thing", "thing_id")
    store.save_features("thing", frame_of([(known, BEGIN, BEGIN, (1, None, None, None, None))]))
    asked = [known, 2**32 + 7, -(2**63)]
    entities = pd.DataFrame({"thing_id": asked, "at": [BEGIN] * 3})
    for engine in ("postgres", "duckdb"):
        found = store.get_training_dataset("thing", ["whole"], entities, engine=engine)["whole"]
        assert found.astype(object).tolist() == [1, pd.NA, pd.NA]


def test_an_export_is_made_anew_when_rows_have_come(store: FeatureStore) -> None:
    store.define("thing", "thing_id")
    entities = pd.DataFrame({"thing_id": [1], "at": [BEGIN + 9 * HOUR]})
    for hour in range(4):
        at = BEGIN + hour * HOUR
        store.save_features("thing", frame_of([(1, at, at, (hour, None, None, None, None))]))
        for _ in range(2):
            found = store.get_training_dataset("thing", ["whole"], entities, engine="duckdb")
            assert found["whole"].tolist() == [hour]
    assert [file.name for file in store.parquet_folder.iterdir()] == ["thing_v1.parquet"]
