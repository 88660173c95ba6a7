"""Bad data are named: column, rule, how many rows, which. What real files lack is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from src import expectations, params, validate
from src.simulation.weather import CONDITIONS

Tables = dict[str, pd.DataFrame]
Spoil = Callable[[Tables], object]
CHOSEN = {
    "split": {"train": 0.6, "validation": 0.2, "test": 0.2},
    "preprocess": {"max_delay_minutes": 1440, "min_delay_minutes": -120},
}


@pytest.fixture(scope="module")
def good(home: Path) -> Tables:
    tables = {
        "flights": pd.read_parquet(home / "data/processed/flights.parquet"),
        "weather": pd.read_parquet(home / "data/raw/weather.parquet"),
        "airlines": pd.read_parquet(home / "data/raw/airlines.parquet"),
    }
    # Some months are enough: each test judges them all anew.
    late = tables["weather"]["time"] >= pd.Timestamp("2024-09-01", tz="UTC")
    return {**tables, "weather": tables["weather"][late].reset_index(drop=True)}


@pytest.fixture
def tables(good: Tables) -> Tables:
    return {name: table.copy() for name, table in good.items()}


def faults(tables: Tables) -> dict[tuple[str, str], validate.Broken]:
    """What is broken, by table and column."""
    results = validate.validate(tables, CHOSEN)
    return {(r.table, fault.column): fault for r in results for fault in r.broken}


def test_simulated_data_hold_all_rules(good: Tables) -> None:
    results = validate.validate(good, CHOSEN)
    assert [result.broken for result in results] == [[], [], []]
    assert sum(result.rules for result in results) > 60
    assert "all rules hold" in validate.as_markdown(results)


def put(table: str, column: str, value: object, rows: int = 3) -> Spoil:
    """Write `value` into the first rows of a column."""

    def spoil(tables: Tables) -> None:
        target = tables[table]
        target[column] = target[column].where(target.index >= rows, value)

    return spoil


HOUR = pd.Timedelta(hours=1)


@pytest.mark.parametrize(
    ("spoil", "table", "column", "rule", "rows"),
    [
        (put("flights", "airline", "Delta"), "flights", "airline", "looks like AA", 3),
        (put("flights", "flight_id", "17"), "flights", "flight_id", "", 0),
        (put("flights", "actual_delay_minutes", 1440.5), "flights", "actual_delay_minutes",
         "is between -120 and 1440 minutes", 3),
        (put("flights", "actual_delay_minutes", float("nan")), "flights", "actual_delay_minutes",
         "is there", 3),
        (put("flights", "aircraft_type", "Zeppelin"), "flights", "aircraft_type", "is one of", 3),
        (put("flights", "route", "JFK-JFK"), "flights", "route", "route is origin-destination", 3),
        (put("flights", "cancelled", True), "flights", "cancelled", "is not cancelled", 3),
        (put("flights", "split", "test"), "flights", "split", "split follows departure_time", 3),
        (lambda t: t.update(flights=t["flights"].head(900)), "flights", "",
         "there are at least 1,000 flights", 0),
        (lambda t: t.update(flights=t["flights"].assign(
            inbound_known_at=(t["flights"]["departure_time"] + HOUR).dt.as_unit("us"))), "flights",
         "inbound_known_at", "inbound_known_at is not after departure_time", None),
        (lambda t: t.update(flights=t["flights"].drop(columns="tail_number")), "flights",
         "tail_number", "the column is there", 0),
        (lambda t: t.update(flights=t["flights"].assign(
            turnaround_minutes=t["flights"]["turnaround_minutes"].astype("float32"))), "flights",
         "turnaround_minutes", "is of type float64, not float32", 0),
        (put("weather", "humidity", 101.0), "weather", "humidity", "is between 0 and 100 %", 3),
        (put("weather", "conditions", "hail", 1), "weather", "conditions", "is one of clear", 1),
        (lambda t: t.update(weather=pd.concat([t["weather"], t["weather"].head(2)],
                                              ignore_index=True)),
         "weather", "airport", "airport and time are there once", 2),
        (put("airlines", "reliability_score", -1.0), "airlines", "reliability_score",
         "is between 0 and 100 %", 3),
    ],
)  # fmt: skip
def test_each_fault_is_named(
    spoil: Spoil, table: str, column: str, rule: str, rows: int | None, tables: Tables
) -> None:
    spoil(tables)
    fault = faults(tables)[table, column]
    assert fault.rule.startswith(rule)
    if rows is not None and rule:
        assert fault.rows == rows
    if fault.rows:
        assert 1 <= len(fault.first) <= validate.FIRST
        assert column in fault.first[0]


def test_one_fault_is_told_once(tables: Tables) -> None:
    put("flights", "inbound_known_at", pd.Timestamp("2030-01-01", tz="UTC"), 5)(tables)
    assert [(key, fault.rows) for key, fault in faults(tables).items()] == [
        (("flights", "inbound_known_at"), 5)
    ]


def test_what_real_files_lack_is_allowed_and_said(tables: Tables) -> None:
    tables["flights"]["aircraft_type"] = expectations.NO_TYPE
    tables["flights"]["tail_number"] = None
    tables["weather"] = tables["weather"].iloc[:0]
    results = validate.validate(tables, CHOSEN)
    assert [result.broken for result in results] == [[], [], []]
    said = validate.as_text(results)
    assert "aircraft_type is unknown for 100.0% of the flights" in said
    assert "there is no weather" in said


def test_the_words_for_weather_are_the_simulators() -> None:
    assert set(expectations.CONDITIONS) == set(CONDITIONS)


def test_the_command_reports_and_stops(
    good: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert validate.main([]) == 1
    assert "python src/preprocess.py" in capsys.readouterr().err
    for folder in ("data/raw", "data/processed", "reports"):
        (tmp_path / folder).mkdir(parents=True)
    good["flights"].to_parquet(tmp_path / "data/processed/flights.parquet")
    good["airlines"].to_parquet(tmp_path / "data/raw/airlines.parquet")
    good["weather"].to_parquet(tmp_path / "data/raw/weather.parquet")
    assert validate.main([]) == 0
    report = tmp_path / "reports/validation.md"
    assert report.read_text(encoding="utf-8").startswith("# Data validation: all rules hold")
    good["flights"].assign(scheduled_minutes=5.0).to_parquet(
        tmp_path / "data/processed/flights.parquet"
    )
    assert validate.main([]) == 1
    text = report.read_text(encoding="utf-8")
    assert "## flights.scheduled_minutes" in text and "| F0" in text
    found = json.loads((tmp_path / "reports/validation.json").read_text())
    assert found["passed"] is False
    assert "The pipeline stops here: reports/validation.md" in capsys.readouterr().err


def test_bad_parameters_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTS_PARAMS", str(tmp_path / "none.yaml"))
    monkeypatch.setattr(validate, "read", dict)
    assert validate.main([]) == 1
    assert "is missing" in capsys.readouterr().err
    with pytest.raises(params.ParamsError):
        params.load()
