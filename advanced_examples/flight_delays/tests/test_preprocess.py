"""Cleaning counts what it takes out; the splits follow one another in time and share no day."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src import params, preprocess, simulate

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
CHOSEN = {
    "split": SHARES,
    "preprocess": {"max_delay_minutes": 1440, "min_delay_minutes": -120},
}


@pytest.fixture(scope="module")
def raw(home: Path) -> pd.DataFrame:
    return pd.read_parquet(home / "data/raw/flights.parquet")


def test_no_day_is_in_two_splits_and_time_goes_on(raw: pd.DataFrame) -> None:
    kept, _ = preprocess.preprocess(raw, CHOSEN)
    days = kept.groupby("split")["departure_time"].agg(["min", "max"])
    for earlier, later in (("train", "validation"), ("validation", "test")):
        assert days.loc[earlier, "max"].floor("D") < days.loc[later, "min"].floor("D")
    shares = kept["split"].value_counts(normalize=True)
    for name, share in SHARES.items():
        assert shares[name] == pytest.approx(share, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 20), min_size=3, max_size=40),
    st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.34, 0.33, 0.33)]),
)
def test_any_calendar_is_cut_between_days(per_day: list[int], shares: tuple[float, ...]) -> None:
    days = pd.date_range("2024-02-27", periods=len(per_day), tz="UTC").repeat(per_day)
    departures = pd.Series(days + pd.Timedelta(hours=5))
    wanted = dict(zip(preprocess.SPLITS, shares, strict=True))
    split = preprocess.split_by_day(departures, wanted)
    assert list(dict.fromkeys(split)) == list(preprocess.SPLITS)
    assert (split.groupby(departures.dt.floor("D")).nunique() == 1).all()


def test_two_days_are_too_few(raw: pd.DataFrame) -> None:
    two = raw[raw["departure_time"] < raw["departure_time"].min() + pd.Timedelta(days=1)]
    with pytest.raises(preprocess.PreprocessError, match="three splits need at least three"):
        preprocess.split_by_day(two["departure_time"].head(1), SHARES)


def test_each_rule_takes_out_and_counts(raw: pd.DataFrame) -> None:
    good = raw[~raw["cancelled"]].head(2_000).reset_index(drop=True)
    bad = good.copy()
    bad.loc[0, "airline"] = None
    bad.loc[1, "flight_id"] = bad.loc[2, "flight_id"]
    bad.loc[3, "arrival_time"] = bad.loc[3, "departure_time"]
    bad.loc[4, "route"] = "JFK-JFK"
    bad.loc[5, ["cancelled", "actual_delay_minutes"]] = [True, float("nan")]
    bad.loc[6, "actual_delay_minutes"] = float("nan")
    bad.loc[7, "actual_delay_minutes"] = 9999
    bad.loc[8, "actual_delay_minutes"] = -500
    again = bad.loc[[20]].assign(flight_id="F99999999")
    kept, report = preprocess.preprocess(pd.concat([bad, again]), CHOSEN)
    assert set(report["taken_out"].values()) == {1}
    assert len(report["taken_out"]) == 9
    assert report["read"] - report["kept"] == 9 == len(good) + 1 - len(kept)
    assert kept["actual_delay_minutes"].notna().all()
    assert kept["flight_id"].is_unique


def test_a_longest_delay_is_kept_and_a_longer_one_is_not(raw: pd.DataFrame) -> None:
    rows = raw[~raw["cancelled"]].head(500).reset_index(drop=True)
    rows.loc[0, "actual_delay_minutes"], rows.loc[1, "actual_delay_minutes"] = 1440, 1440.5
    rows.loc[2, "actual_delay_minutes"], rows.loc[3, "actual_delay_minutes"] = -120, -120.5
    kept, _ = preprocess.clean(rows, 1440, -120)
    assert sorted(set(rows["flight_id"]) - set(kept["flight_id"])) == sorted(
        [rows.loc[1, "flight_id"], rows.loc[3, "flight_id"]]
    )


def test_nothing_left_is_said(raw: pd.DataFrame) -> None:
    with pytest.raises(preprocess.PreprocessError, match="No flight is left of 10"):
        preprocess.preprocess(raw.head(10).assign(cancelled=True), CHOSEN)


def test_the_command_says_what_is_missing_then_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert preprocess.main([]) == 1
    assert "python src/simulate.py" in capsys.readouterr().err
    assert simulate.main(["--flights", "3000"]) == 0
    assert preprocess.main([]) == 0
    kept = pd.read_parquet(tmp_path / "data/processed/flights.parquet")
    report = json.loads((tmp_path / "data/processed/cleaning.json").read_text())
    assert report["kept"] == len(kept)
    assert kept["departure_time"].is_monotonic_increasing
    assert f"{len(kept):,} of 3,000 flights kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flights: [", "is not YAML"),
        ("just words", "must hold names and values"),
        ("flights: 5000\nseed: 1", "lacks split"),
        ("flights: 5\nseed: 1\nsplit: {train: 1, validation: 0, test: 0}", "whole number"),
        ("flights: 5000\nseed: 1\nsplit: {train: 0.9, validation: 0.2, test: 0.2}", "1 in sum"),
        ("flights: 5000\nseed: 1\nsplit: 0.6", "1 in sum"),
    ],
)
def test_bad_parameters_are_refused(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(params.ParamsError, match=says):
        params.load(file)


def test_parameters_come_from_the_file_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text("flights: 3000\nseed: 5\nsplit: {train: 0.6, validation: 0.2, test: 0.2}\n")
    monkeypatch.setenv("FLIGHTS_PARAMS", str(file))
    assert params.load()["flights"] == 3000
    assert params.load(flights=4000)["flights"] == 4000
    with pytest.raises(params.ParamsError, match="is missing"):
        params.load(tmp_path / "none.yaml")
