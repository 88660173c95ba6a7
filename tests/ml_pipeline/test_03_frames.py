"""What must not come in: each refused with a message that says what to do, and nothing kept."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from feature_store import BadFeatures, FeatureStore, FeatureStoreError, UnknownFeature

MOMENT = datetime(2025, 1, 1, tzinfo=UTC)
GOOD = pd.DataFrame({
    "customer_id": [1, 2], "event_time": pd.Series([MOMENT] * 2, dtype="datetime64[us, UTC]"),
    "score": [0.5, 1.5], "rank": [1, 2],
})  # fmt: skip
NAIVE = GOOD["event_time"].dt.tz_localize(None)
BAD: dict[str, tuple[pd.DataFrame, str]] = {
    "no entity": (GOOD.drop(columns="customer_id"), "no column 'customer_id'"),
    "no time": (GOOD.drop(columns="event_time"), "no column 'event_time'"),
    "no feature": (GOOD[["customer_id", "event_time"]], "no feature"),
    "NaN": (GOOD.assign(score=[np.nan, 1.0]), "NaN in 1 rows"),
    "infinity": (GOOD.assign(score=[np.inf, 1.0]), "infinite in 1 rows"),
    "masked infinity": (
        GOOD.assign(score=pd.array([-np.inf, None], "Float64")), "infinite in 1 rows"),
    "twice": (pd.concat([GOOD, GOOD.head(1)]), "more than once"),
    "id missing": (GOOD.assign(customer_id=pd.array([1, None], "Int64")), "missing in 1 rows"),
    "id text": (GOOD.assign(customer_id=["a", "b"]), "ids are whole numbers"),
    "id float": (GOOD.assign(customer_id=[1.0, 2.0]), "ids are whole numbers"),
    "time missing": (
        GOOD.assign(event_time=GOOD["event_time"].where([True, False])), "missing in 1 rows"),
    "time without zone": (GOOD.assign(event_time=NAIVE), "without a time zone"),
    "feature without zone": (GOOD.assign(seen=NAIVE), "without a time zone"),
    "nanoseconds": (GOOD.assign(event_time=pd.to_datetime([1, 2], utc=True)), "does not fit"),
    "decimals": (GOOD.assign(score=[Decimal(1), Decimal(2)]), "can't have"),
    "mixed": (GOOD.assign(score=["a", 1]), "can't have"),
    "categories": (GOOD.assign(score=pd.Categorical(["a", "b"])), "can't have"),
    "far too big": (GOOD.assign(rank=np.array([2**63, 1], "uint64")), "does not fit"),
    "zero byte": (GOOD.assign(word=["a\0", "b"]), "zero byte"),
    "a bad name": (GOOD.assign(**{"Score; DROP": 1}), "can't be the name"),
    "a taken name": (GOOD.assign(run_id=1), "can't be the name"),
    "column twice": (pd.concat([GOOD, GOOD[["score"]]], axis=1), "column twice"),
}  # fmt: skip


@pytest.mark.parametrize("why", BAD)
def test_a_bad_frame_is_refused(shared_store: FeatureStore, why: str) -> None:
    (frame, message), store = BAD[why], shared_store
    with pytest.raises(BadFeatures, match=message):
        store.save_features("customer", frame)
    assert len(store.runs("customer")) in (0, 1)
    assert all(run["row_count"] == len(GOOD) for run in store.runs("customer"))


def test_a_bad_frame_leaves_a_version_as_it_was(store: FeatureStore) -> None:
    assert store.save_features("customer", GOOD).new == 2
    for frame, message in (
        (GOOD.assign(rank=[1.0, 2.0]), "rank is double precision instead of bigint"),
        (GOOD.drop(columns="rank"), "rank is missing"),
        (GOOD.assign(more=1), "more is new"),
        (GOOD.assign(rank=[1, 3]), "History does not change"),
        (pd.concat([GOOD.assign(rank=[1, 3]), GOOD.assign(customer_id=[3, 4])]), "History"),
    ):
        with pytest.raises(BadFeatures, match=message):
            store.save_features("customer", frame)
    assert len(store.runs("customer")) == 1
    assert store.save_features("customer", GOOD[GOOD.columns[::-1]]).new == 0
    assert len(store.get_training_dataset("customer")) == 2


def test_versions_come_one_after_the_other(store: FeatureStore) -> None:
    for version in (0, 2):
        with pytest.raises(BadFeatures, match=r"version"):
            store.save_features("customer", GOOD, version)
    assert store.save_features("customer", GOOD).version == 1
    assert store.save_features("customer", GOOD.assign(more=1), 2).version == 2
    assert store.save_features("customer", GOOD, 1).new == 0
    assert "more" in store.get_training_dataset("customer")
    assert "more" not in store.get_training_dataset("customer", version=1)


QUESTIONS: dict[str, tuple[Callable[[FeatureStore], Any], type[Exception], str]] = {
    "who": (lambda s: s.get_training_dataset("supplier"), UnknownFeature, "customer, product"),
    "saving for whom": (lambda s: s.save_features("supplier", GOOD), UnknownFeature, "define"),
    "nothing saved": (lambda s: s.get_training_dataset("product"), UnknownFeature, "nothing is"),
    "which feature": (
        lambda s: s.get_training_dataset("customer", ["shoe"]), UnknownFeature, "It has: score"),
    "feature online": (
        lambda s: s.get_features("customer", [1], ["shoe"]), UnknownFeature, "It has: score"),
    "a word": (lambda s: s.get_training_dataset("customer", "score"), UnknownFeature, "a list"),
    "no features": (lambda s: s.get_training_dataset("customer", []), UnknownFeature, "a list"),
    "twice": (
        lambda s: s.get_training_dataset("customer", ["rank", "rank"]), UnknownFeature, "twice"),
    "which version": (
        lambda s: s.get_training_dataset("customer", version=7), UnknownFeature, "no version 7"),
    "version online": (
        lambda s: s.get_features("customer", [1], version=7), UnknownFeature, "not online"),
    "no moment": (
        lambda s: s.get_training_dataset("customer", None, GOOD), BadFeatures, "columns"),
    "no zone": (
        lambda s: s.get_training_dataset("customer", None, GOOD.assign(at=NAIVE)),
        BadFeatures, "without a time zone"),
    "name taken": (
        lambda s: s.get_training_dataset("customer", None, GOOD.assign(at=GOOD["event_time"])),
        BadFeatures, "named like features"),
    "engine": (
        lambda s: s.get_training_dataset("customer", engine="spark"), FeatureStoreError, "engine"),
    "ids": (lambda s: s.get_features("customer", ["1"]), BadFeatures, "whole numbers"),
    "ids of floats": (lambda s: s.get_features("customer", [1.5]), BadFeatures, "whole numbers"),
    "a moment for a day": (
        lambda s: s.compute_customer_features(MOMENT), BadFeatures, "a day"),
    "text for a day": (
        lambda s: s.compute_customer_features("2025-01-01"), BadFeatures, "a day"),
    "at without zone": (
        lambda s: s.materialise("customer", datetime(2025, 1, 1)), BadFeatures, "time zone"),
    "negative TTL": (
        lambda s: s.define("thing", "thing_id", timedelta(-1)), BadFeatures, "TTL"),
    "another key": (lambda s: s.define("customer", "id"), BadFeatures, "another key"),
    "a bad entity": (lambda s: s.define("Robert'); --", "id"), BadFeatures, "name"),
    "no such run": (lambda s: s.reproduce("customer", 99), UnknownFeature, "no run 99"),
}  # fmt: skip


@pytest.mark.parametrize("what", QUESTIONS)
def test_a_question_that_can_not_be_answered_says_why(
    shared_store: FeatureStore, what: str
) -> None:
    (question, error, message), store = QUESTIONS[what], shared_store
    store.clock.now = MOMENT
    store.save_features("customer", GOOD)
    store.materialise("customer")
    with pytest.raises(error, match=message):
        question(store)


def test_a_store_must_have_a_plain_name() -> None:
    with pytest.raises(BadFeatures, match="name"):
        FeatureStore(name='x"; DROP SCHEMA public; --')


def test_nobody_asked_nobody_answered(store: FeatureStore) -> None:
    store.clock.now = MOMENT
    store.save_features("customer", GOOD.head(0))
    store.materialise("customer")
    empty = GOOD[["customer_id"]].head(0).assign(at=GOOD["event_time"].head(0))
    for engine in ("postgres", "duckdb"):
        assert store.get_training_dataset("customer", None, empty, engine=engine).empty
    assert store.get_features("customer", []) == {}
    assert store.get_features("customer", [5], ["rank"]) == {5: {"rank": None}}
    assert store.compute_customer_features(date(2020, 1, 1)).empty
