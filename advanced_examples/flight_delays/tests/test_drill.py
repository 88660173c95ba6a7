"""The drill's parts: what is asked, what is told, which alerts, what the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from src import drill, paths
from src.drilling import days, page, watching
from src.drilling.watching import Figures
from src.service.contract import Flights

SHIFT = date(2024, 6, 1)


def notes() -> list[dict[str, Any]]:
    """Thirty days: ten calm, twelve after the shift with v1, eight with v2."""
    made = []
    for number in range(30):
        shifted, version = number >= 10, "v2" if number >= 22 else "v1"
        bad = shifted and version == "v1"
        made.append(
            {
                "day": str(SHIFT + timedelta(days=number - 10)), "at": float(number),
                "version": version, "accuracy": 0.7 if bad else 0.87, "mae": 12.0 if bad else 8.0,
                "judged": 400, "psi": 2.0 if bad else 0.1, "landed": number,
                "alerts": ["FlightAccuracyLow"] if bad and number > 13 else [],
            }
        )  # fmt: skip
    return made


@pytest.fixture
def made() -> dict[str, Any]:
    verdict = {
        "candidate": {"version": "v2"}, "decision": {"promoted": True, "reason": "<it> is nearer"}
    }  # fmt: skip
    retrainings = [{"day": "2024-06-13", "promoted": True, "verdict": verdict}]
    found = page.report(notes(), retrainings, str(SHIFT))
    sides = {"old": {"accuracy": 0.69, "mae": 12.5}, "new": {"accuracy": 0.86, "mae": 8.1}}
    found["counterfactual"] = {"flights": 400, **sides}
    found["seconds"]["all"] = 100.0
    return found


def test_the_report_finds_the_stages(made: dict[str, Any]) -> None:
    assert [one["accuracy"] for one in made["stages"].values()] == [0.87, 0.7, 0.87]
    assert (made["alert"], made["promoted"], made["cleared"]) == (
        "2024-06-05", "2024-06-13", "2024-06-13",
    )  # fmt: skip
    assert made["seconds"]["from alert to clear"] == 8.0
    said = page.summary(made)
    assert "8 days there" in said
    assert "right\nfor 69.0% (MAE 12.5), the new one was for 86.0%" in said


def test_the_page_holds_everything_in_itself(made: dict[str, Any], tmp_path: Path) -> None:
    page.write(made, tmp_path, 0.75)
    text = (tmp_path / "drill.html").read_text("utf-8")
    assert 'src="data:image/png;base64,' in text
    assert "http" not in text.split("base64,")[0]
    assert "v2 is promoted: &lt;it&gt; is nearer" in text
    assert (tmp_path / "drill.png").stat().st_size > 20_000


def test_the_chart_shows_alerts_and_moments(made: dict[str, Any]) -> None:
    figure = page.chart(made, 0.75)
    assert isinstance(figure, Figure)
    axes = figure.axes
    words = {text.get_text() for text in axes[0].texts}
    assert words == {"dust storms begin", "promoted"}
    assert [label.get_text() for label in axes[3].get_yticklabels()] == ["AccuracyLow"]


@pytest.mark.parametrize(
    ("figures", "alerts"),
    [
        (Figures(0.74, 9.0, 100, 0.2, 1), {"FlightAccuracyLow"}),
        (Figures(0.74, 9.0, 99, 0.2, 1), set()),
        (Figures(0.75, 9.0, 500, 0.26, 1), {"FlightDriftCritical"}),
        (Figures(None, None, 0, None, 0), set()),
    ],
)
def test_without_prometheus_the_same_limits_hold(figures: Figures, alerts: set[str]) -> None:
    assert watching.by_figures(figures) == alerts


def test_the_flights_are_asked_as_the_service_wants_them(raw_flights: pd.DataFrame) -> None:
    body = {"flights": days.questions(raw_flights.head(200))}
    asked = Flights.model_validate(body).flights
    assert [one.flight_id for one in asked] == raw_flights["flight_id"].head(200).tolist()
    assert asked[0].departure_time == raw_flights["departure_time"].iloc[0].to_pydatetime()


@pytest.fixture
def raw_flights(home: Path) -> pd.DataFrame:
    return pd.read_parquet(home / "data" / "raw" / "flights.parquet")


def test_without_redis_it_says_so(tmp_path: Path) -> None:
    given = {**os.environ, "REDIS_URL": "redis://127.0.0.1:9/0", "FLIGHTS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "src/drill.py"], cwd=paths.PROJECT, env=given, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == drill.UNAVAILABLE
    assert done.stderr.startswith("Redis at REDIS_URL can't be used")
    assert "Traceback" not in done.stderr
