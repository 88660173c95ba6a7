"""Real flights have no best reachable error: everything works without, and says it is unknown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.airports import local_times
from src import compare_models, evaluate, feature_eng, load, preprocess, train, validate

ORACLE = "data/raw/oracle.parquet"


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    monkeypatch.setenv("FLIGHTS_PARAMS", str(tmp_path / "params.yaml"))
    return tmp_path


def check_reports(home: Path, said: str) -> None:
    """Check that figures and pages are there, and that none tells how far from the best it is."""
    figures = json.loads((home / "metrics/evaluation.json").read_text("utf-8"))
    scores = [*figures["models"].values(), *(one for group in ("airlines", "routes")
              for models in figures[group].values() for one in models.values())]  # fmt: skip
    assert "best reachable" not in figures["models"] and len(scores) > 4
    assert all(row["over_best"] is None and row["share"] is None for row in scores)
    summary = json.loads((home / "metrics/comparison.json").read_text("utf-8"))
    assert summary["ensemble_over_best"] is None
    assert summary["verdicts"]["ensemble is within 10% of the best reachable"] is None
    assert "real data don't tell" in (home / "reports/comparison.md").read_text("utf-8")
    assert (home / "reports/model_card.md").exists()
    assert "unknown  ensemble is within 10% of the best reachable" in said


def test_a_model_is_judged_without_the_best_prediction(
    trained_home: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("data", "models", "params.yaml"):
        source = trained_home / name
        if source.is_dir():
            shutil.copytree(source, own_home / name)
        else:
            shutil.copy(source, own_home / name)
    (own_home / ORACLE).unlink()
    assert evaluate.main(["--version", "v1"]) == 0
    assert compare_models.main([]) == 0
    check_reports(own_home, capsys.readouterr().out)


@pytest.mark.long
def test_files_of_the_public_format_go_all_the_way(
    home: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flights as the public tables hold them: local times, no aircraft type, no weather."""
    shutil.copy(home / "params.yaml", own_home)
    csv = own_home / "2022_to_2024.csv"
    as_public(pd.read_parquet(home / "data/raw/flights.parquet")).to_csv(csv, index=False)
    assert load.main(["--data", str(csv)]) == 0
    assert "0 rows in quarantine.csv; 0 with other airports" in capsys.readouterr().out
    for stage in (preprocess, validate, feature_eng, train, evaluate, compare_models):
        assert stage.main([]) == 0, stage
    assert not (own_home / ORACLE).exists()
    check_reports(own_home, capsys.readouterr().out)


def as_public(flights: pd.DataFrame) -> pd.DataFrame:
    """Our flights with the columns of the public on-time-performance tables."""

    def local(column: str, airport: str) -> pd.Series:
        utc = flights[column].dt.tz_localize(None).to_numpy().astype("M8[s]")
        return pd.Series(pd.DatetimeIndex(local_times(utc, flights[airport].to_numpy())))

    departs, arrives = local("departure_time", "origin"), local("arrival_time", "destination")
    return pd.DataFrame(
        {
            "FL_DATE": departs.dt.strftime("%Y-%m-%d"),
            "OP_UNIQUE_CARRIER": flights["airline"].replace({"SW": "WN"}).to_numpy(),
            "TAIL_NUM": flights["tail_number"].to_numpy(),
            "ORIGIN": flights["origin"].to_numpy(),
            "DEST": flights["destination"].to_numpy(),
            "CRS_DEP_TIME": departs.dt.strftime("%H%M"),
            "CRS_ARR_TIME": arrives.dt.strftime("%H%M"),
            "ARR_DELAY": np.round(flights["actual_delay_minutes"].to_numpy()),
            "CANCELLED": flights["cancelled"].astype(float).to_numpy(),
        }
    )
