"""What drift figures say, and which training flights count as of the same season."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.vector import INPUTS
from src.monitoring import drift

NUMBERS = arrays.arrays(np.float32, st.integers(5, 60), elements=st.floats(-50, 50, width=16))


def test_the_index_of_a_shift_is_what_the_formula_says() -> None:
    before = np.arange(1000) / 1000
    assert drift.psi(before, before) == 0
    # Half of the tenths empty, the others doubled.
    least = drift.LEAST_SHARE
    expected = 5 * (0.1 * np.log(2) + (least - 0.1) * np.log(least / 0.1))
    assert drift.psi(before, np.arange(1000) / 2000) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_an_input_of_two_values_is_compared_by_their_shares(share: float) -> None:
    before = np.zeros(10_000)
    before[: round(10_000 * share)] = 1
    after = 1 - before
    e, a = share, 1 - share
    expected = 2 * (a - e) * np.log(a / e)
    assert drift.psi(before, after) == pytest.approx(expected, abs=1e-9)


def test_a_constant_that_stays_and_one_that_moves() -> None:
    assert drift.psi(np.ones(600), np.ones(600)) == 0
    assert drift.psi(np.zeros(600), np.ones(600)) > 1
    now = np.zeros(1000)
    now[:50] = 1  # a flag that was never set is set for 1 flight in 20
    least = drift.LEAST_SHARE
    expected = (0.95 - 1) * np.log(0.95) + (0.05 - least) * np.log(0.05 / least)
    assert drift.psi(np.zeros(600), now) == pytest.approx(expected) and expected > drift.CRITICAL


@given(NUMBERS, NUMBERS)
def test_no_index_is_below_zero_and_the_same_sample_has_none(
    one: np.ndarray, other: np.ndarray
) -> None:
    assert drift.psi(one, other) >= 0
    assert drift.psi(one, one) == 0
    gap, chance = drift.ks(one, other)
    assert 0 <= gap <= 1 and 0 <= chance <= 1


@pytest.mark.parametrize("samples", [([], [1.0]), ([1.0], [])])
def test_an_empty_sample_is_refused(samples: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="empty"):
        drift.psi(*map(np.array, samples))


def days(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="M8[s]")


def test_days_of_the_year_count_from_0_in_leap_years_too() -> None:
    found = drift.days_of_year(days("2023-01-01T00:00", "2024-12-31T23:59", "2023-12-31T12:00"))
    assert found.tolist() == [0, 365, 364]


def of_days(day_of_year: list[int]) -> drift.Reference:
    """A reference with a flight on each of these days, whose inputs are all the day."""
    day = np.array(day_of_year, dtype=np.int16)
    return drift.Reference(np.repeat(day[:, None], len(INPUTS), 1).astype(np.float32), day)


def test_only_the_same_weeks_of_any_year_are_compared_with() -> None:
    reference = of_days([day for day in range(365) for _ in range(20)])
    near = drift.same_weeks(reference, np.array([5], np.int16))[:, 0]
    assert set(near.tolist()) == {*range(36), *range(341, 365)}  # across new year
    both = drift.same_weeks(reference, np.array([100, 200], np.int16))[:, 0]
    assert set(both.tolist()) == {*range(70, 131), *range(170, 231)}


def test_too_few_flights_of_these_weeks_widen_them() -> None:
    reference = of_days([day for day in range(365) for _ in range(5)])
    assert len(drift.same_weeks(reference, np.array([180], np.int16))) == 5 * 121
    few = of_days([100, 101, 300])
    assert len(drift.same_weeks(few, np.array([180], np.int16))) == 3


def test_too_few_flights_say_nothing(tmp_path: Path) -> None:
    seen = np.zeros((drift.FEWEST - 1, len(INPUTS)), np.float32)
    times = np.full(len(seen), np.datetime64("2024-07-01T12:00"))
    assert drift.drift(of_days([180] * 600), seen, times) == []


def test_the_reference_is_kept_beside_the_model(tmp_path: Path) -> None:
    assert drift.read_reference(tmp_path) is None
    rows = 2 * drift.REFERENCE_ROWS
    matrix = np.repeat(np.arange(rows, dtype=np.float32)[:, None], len(INPUTS), 1)
    times = np.datetime64("2024-01-01T00:00") + np.arange(rows) * np.timedelta64(1, "m")
    drift.write_reference(tmp_path, matrix, times)
    found = drift.read_reference(tmp_path)
    assert found is not None
    assert found.matrix[:, 0].tolist() == list(range(0, rows, 2))
    assert found.day_of_year[-1] == (rows - 2) // 1440
    drift.write_reference(tmp_path, matrix[:, 1:], times)
    assert drift.read_reference(tmp_path) is None


def test_each_input_has_a_kind() -> None:
    kinds = {kind: [n for n in INPUTS if drift.KINDS[n] == kind] for kind in drift.KINDS.values()}
    assert {"origin_snow", "destination_temperature", "airline_AA", "inbound_missing"} <= set(
        kinds["flight"]
    )
    assert {"season", "clock", "is_holiday"} <= set(kinds["calendar"])
    assert {"avg_delay_7d", "airline_avg_delay_30d"} <= set(kinds["history"])
