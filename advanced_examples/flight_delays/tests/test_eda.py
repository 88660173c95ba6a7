"""The look at the data: the train split only, right figures, charts that show something."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from src import eda


@pytest.fixture
def flights(home: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.setenv("FLIGHTS_HOME", str(home))
    return eda.train_flights()


def test_only_the_train_split_is_looked_at(flights: pd.DataFrame, home: Path) -> None:
    kept = pd.read_parquet(home / "data/processed/flights.parquet")
    assert set(flights["flight_id"]) == set(kept.loc[kept["split"] == "train", "flight_id"])


def test_each_flight_has_the_weather_of_its_hour(flights: pd.DataFrame, home: Path) -> None:
    weather = pd.read_parquet(home / "data/raw/weather.parquet").set_index(["airport", "time"])
    for _, row in flights.sample(20, random_state=1).iterrows():
        seen = weather.loc[(row["origin"], row["departure_time"].floor("h")), "conditions"]
        assert row["conditions"] == seen


def test_the_tables_add_up(flights: pd.DataFrame) -> None:
    for column in ("airline", "hour", "conditions"):
        table = eda.table_by(flights, column)
        assert table["flights"].sum() == len(flights)
        mean = (table["mean_delay"] * table["flights"]).sum() / len(flights)
        assert mean == pytest.approx(flights["actual_delay_minutes"].mean())


def test_the_command_draws_and_tells(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(home))
    assert eda.main(["--show-stats"]) == 0
    said = capsys.readouterr().out
    assert "By airline:" in said and "8 charts in reports/plots" in said
    charts = list((home / "reports/plots").glob("*.png"))
    assert len(charts) == 8
    assert min(chart.stat().st_size for chart in charts) > 5_000


def test_without_weather_it_is_unknown(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    for name in ("data/raw/weather.parquet", "data/processed/flights.parquet"):
        table = pd.read_parquet(home / name)
        (tmp_path / name).parent.mkdir(parents=True)
        (table.iloc[:0] if "weather" in name else table).to_parquet(tmp_path / name)
    assert set(eda.train_flights()["conditions"]) == {eda.UNKNOWN}


def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert eda.main([]) == 1
    assert "python src/simulate.py" in capsys.readouterr().err
