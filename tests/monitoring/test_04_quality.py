"""The measures of data: their formulas, what they answer to bad input, and each planted problem."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observability import batches
from observability.batches import PLANTS, History, history
from observability.checking import check, check_until, open_engine, publish
from observability.metrics import QualityMetrics
from observability.quality import (
    SMALLEST_SHARE,
    Report,
    compare,
    compare_column,
    ks,
    null_limit,
    null_ratio,
    psi,
    psi_noise,
    psi_of_shares,
)
from prometheus_client import generate_latest
from scipy.stats import ks_2samp

NOW = datetime(2025, 10, 27, tzinfo=UTC)
shares = st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(any)
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
texts = st.lists(st.sampled_from(["web", "store", "mobile", ""]), min_size=1, max_size=40)
few = settings(max_examples=60, deadline=None)


def normed(counts: list[int]) -> list[float]:
    return [count / sum(counts) for count in counts]


def measured(values: list, now: list) -> pd.DataFrame:
    return compare_column(pd.Series(values, name="x"), pd.Series(now, name="x"))


@few
@given(counts=shares, data=st.data())
def test_psi_is_positive_symmetric_and_zero_for_equal_shares(
    counts: list[int], data: st.DataObject
) -> None:
    other = data.draw(st.lists(st.integers(0, 50), min_size=len(counts),
                               max_size=len(counts)).filter(any))  # fmt: skip
    e, a = normed(counts), normed(other)
    assert psi_of_shares(e, a) >= 0
    assert psi_of_shares(e, a) == pytest.approx(psi_of_shares(a, e))
    assert psi_of_shares(e, e) == 0


def test_psi_is_the_formula() -> None:
    expected = (0.6 - 0.5) * math.log(0.6 / 0.5) + (0.4 - 0.5) * math.log(0.4 / 0.5)
    assert psi_of_shares([0.5, 0.5], [0.6, 0.4]) == pytest.approx(expected)
    empty = (SMALLEST_SHARE - 1) * math.log(SMALLEST_SHARE)
    assert psi_of_shares([0.0, 1.0], [1.0, 0.0]) == pytest.approx(2 * empty)


def test_shares_of_different_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="2 bins against 3"):
        psi_of_shares([0.5, 0.5], [0.2, 0.3, 0.5])


@few
@given(values=numbers | texts)
def test_a_batch_does_not_drift_from_itself(values: list) -> None:
    column = measured(values, values)
    assert column.psi == 0
    assert column.drift == "ok"
    assert column.ks == 0 or math.isnan(column.ks)
    assert column.gap in ("ok", "no data")


@few
@given(before=numbers, now=numbers)
def test_any_numbers_get_an_answer(before: list[float], now: list[float]) -> None:
    column = measured(before, now)
    assert column.psi >= 0
    assert 0 <= column.ks <= 1
    for place in (1, 2):
        assert sum(share[place] for share in column.shares) == pytest.approx(1)


def test_ks_is_scipys() -> None:
    dice = np.random.default_rng(0)
    before, now = pd.Series(dice.normal(size=500)), pd.Series(dice.normal(0.5, size=300))
    exact = ks_2samp(before, now, method="asymp")
    assert ks(before, now) == (pytest.approx(exact.statistic), pytest.approx(exact.pvalue))


def test_one_of_twenty_clean_batches_passes_the_noise() -> None:
    dice = np.random.default_rng(1)
    usual = pd.Series(dice.normal(size=20_000))
    over = sum(
        psi(usual, pd.Series(dice.normal(size=300))) > psi_noise(10, 20_000, 300)
        for _ in range(200)
    )
    assert 2 <= over <= 20, "about 10 of 200 are meant to"


def test_thresholds_are_0_1_and_0_25() -> None:
    def column(value: float, noise: float = 0.0) -> str:
        base = measured(["a", "b"], ["a", "b"])
        return type(base)(**{**vars(base), "psi": value, "noise": noise}).drift

    verdicts = [column(value) for value in (0.0, 0.1, 0.11, 0.25, 0.26)]
    assert verdicts == ["ok", "ok", "warning", "warning", "critical"]
    assert column(0.2, noise=0.3) == "ok", "chance alone makes as much"


def test_an_empty_batch_has_no_data_and_says_so() -> None:
    reference = pd.DataFrame({"x": [1.0, 2.0], "t": pd.to_datetime([NOW, NOW])})
    report = compare(reference, reference.iloc[:0], 2, NOW, "t")
    assert report.rows == 0 and report.volume == "critical"
    assert report.freshness == report.column("x").drift == report.column("x").null_rate == "no data"
    assert report.findings()["PSI of x"] == "no data"
    assert math.isnan(report.age)


def test_an_empty_reference_has_no_data_either() -> None:
    batch = pd.DataFrame({"x": [1.0], "t": pd.to_datetime([NOW])})
    column = compare(batch.iloc[:0], batch, 0, NOW, "t").column("x")
    assert (column.drift, column.gap, column.shares) == ("no data", "no data", [])
    assert column.null_rate == "ok"


@pytest.mark.parametrize("nothing", [[None, None], [math.nan, math.inf], [-math.inf] * 3])
def test_all_null_is_no_data_and_a_null_rate_of_one(nothing: list) -> None:
    column = measured([1.0, 2.0, 3.0], nothing)
    assert column.nulls == 1 and column.null_rate == "critical"
    assert column.drift == "no data"


def test_a_constant_column_drifts_when_the_constant_changes() -> None:
    assert measured([5.0] * 100, [5.0] * 80).drift == "ok"
    for other in (4.0, 6.0):
        assert measured([5.0] * 100, [other] * 80).drift == "critical"


def test_a_new_category_has_a_bin_of_its_own() -> None:
    column = measured(["web", "store"] * 500, ["web", "store", "kiosk"] * 200)
    assert column.shares[-1] == ("(new)", 0.0, pytest.approx(1 / 3))
    assert column.drift == "critical"


def test_infinite_values_count_as_null_and_spoil_no_measure() -> None:
    values = list(np.random.default_rng(2).normal(size=400))
    column = measured(values, [*values[:396], math.inf, -math.inf, math.nan, None])
    assert column.nulls == pytest.approx(0.01)
    assert column.psi < 0.01 and column.ks < 0.02


def test_an_integer_or_boolean_column_is_measured_too() -> None:
    assert measured([True, False] * 200, [True] * 300).drift == "critical"
    assert measured(list(range(1000)), list(range(0, 1000, 2))).drift == "ok"


def test_the_limit_of_nulls_grows_for_small_batches() -> None:
    assert null_limit(0.0, 100) == 0.01
    assert null_limit(0.12, 1_000_000) == pytest.approx(0.13)
    assert null_limit(0.12, 100) == pytest.approx(0.12 + 3 * math.sqrt(0.12 * 0.88 / 100))
    assert math.isnan(null_ratio(pd.Series([], dtype=float)))


def test_a_batch_without_a_column_is_refused() -> None:
    reference = pd.DataFrame({"x": [1.0], "y": [1.0], "t": [NOW]})
    with pytest.raises(ValueError, match="no column x, y"):
        compare(reference, reference[["t"]], 1, NOW, "t")


@pytest.fixture(scope="module")
def past(service: Callable[[str], str]) -> History:
    engine = open_engine(service("postgres"))
    try:
        return history(engine)
    finally:
        engine.dispose()


def test_clean_batches_raise_no_alarm(past: History) -> None:
    assert [past.check(n).findings() for n in range(batches.BATCHES)] == [{}] * batches.BATCHES


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
@pytest.mark.parametrize("number", [0, -1])
def test_a_planted_problem_is_found_by_its_check(
    past: History, plant: batches.Plant, number: int
) -> None:
    spoilt = plant(past.batches[number][1])
    assert PLANTS[plant] in past.check(number, spoilt).findings()


def exposed(report: Report, metrics: QualityMetrics | None = None) -> str:
    metrics = metrics or QualityMetrics()
    publish(report, metrics)
    return generate_latest(metrics.registry).decode()


def test_what_was_measured_is_published_and_what_was_not_has_no_series(past: History) -> None:
    metrics, batch = QualityMetrics(), past.batches[-1][1]
    page = exposed(past.check(-1), metrics)
    assert 'shop_data_psi{column="total",dataset="orders"}' in page
    assert 'shop_data_newest_timestamp_seconds{dataset="orders"}' in page
    page = exposed(past.check(-1, batch.iloc[:0]), metrics)
    assert 'shop_data_rows{dataset="orders"} 0.0' in page
    assert "shop_data_psi{" not in page and "newest_timestamp_seconds{" not in page


def test_without_a_database_the_checker_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = QualityMetrics()
    engine = open_engine("postgresql://a:b@127.0.0.1:9/nowhere")
    check(engine, metrics)
    assert "data not checked" in "".join(capsys.readouterr())
    assert "shop_data_rows{" not in generate_latest(metrics.registry).decode()


def test_an_unknown_plant_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="there are frozen, half_lost"):
        check_until(None, QualityMetrics(), "postgresql://unused", "storm")
