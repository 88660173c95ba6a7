"""What the drift figures find, and what they must not find, on flights as the model sees them.

A shift of 0.3 standard deviations is PSI 0.086, under the customary 0.1: it goes unnoticed, and
that is as intended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from features.vector import INPUTS, PLACE, as_matrix
from src import feature_eng
from src.model_data import without
from src.monitoring import drift

Columns = dict[str, NDArray[Any]]
Flights = tuple[drift.Reference, Columns, NDArray[np.datetime64]]
WEATHER = [name for name in INPUTS if name.startswith(("origin_", "destination_"))]


def test_a_shift_of_a_third_of_a_deviation_stays_under_the_warning() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=1_000_000), rng.normal(0.3, size=1_000_000)
    assert drift.psi(before, after) == pytest.approx(0.086, abs=0.002)
    # Between normal distributions it is the square of the shift, but for what binning loses.
    assert drift.psi(before, after) < 0.3**2 < drift.WARNING
    assert drift.psi(before, rng.normal(0.35, size=1_000_000)) > drift.WARNING
    assert drift.psi(before, rng.normal(0.55, size=1_000_000)) > drift.CRITICAL


@pytest.mark.parametrize("seed", range(3))
def test_chance_alone_raises_nothing(seed: int) -> None:
    """The smallest sample that is judged, drawn again and again from where the reference was."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=5_000)
    found = [drift.psi(before, rng.normal(size=drift.FEWEST)) for _ in range(400)]
    assert max(found) < drift.WARNING


@pytest.fixture(scope="module")
def flights(home: Path) -> Flights:
    """The reference of the training flights, and the flights after them: columns, departures."""
    frame = pd.read_parquet(home / "data" / "processed" / "features.parquet")
    learnt, later = (frame[frame["split"] == name] for name in ("train", "validation"))
    columns = feature_eng.columns(learnt)
    days = drift.days_of_year(columns["departure_time"])
    seen = feature_eng.columns(later)
    return drift.Reference(as_matrix(columns), days), seen, seen["departure_time"]


def watched(found: list[drift.Drift]) -> dict[str, float]:
    """PSI by input, of those that are worth an alert."""
    return {one.name: one.psi for one in found if one.kind == drift.FLIGHT}


def test_the_seasons_raise_nothing(flights: Flights) -> None:
    """Months that the model has not seen, and no shift."""
    reference, columns, departures = flights
    found = watched(drift.drift(reference, as_matrix(columns), departures))
    assert len(found) > 30 and max(found.values()) < drift.WARNING
    # Against the whole year, temperature would be called drift.
    cold = PLACE["origin_temperature"]
    part = departures < departures.min() + np.timedelta64(45, "D")
    whole = drift.psi(reference.matrix[:, cold], as_matrix(columns)[part, cold])
    assert whole > drift.CRITICAL


def test_the_calendar_and_the_airlines_means_move_by_themselves(flights: Flights) -> None:
    reference, columns, departures = flights
    found = drift.drift(reference, as_matrix(columns), departures)
    moved = {one.name for one in found if one.psi > drift.CRITICAL}
    assert "airline_avg_delay_30d" in moved
    assert all(drift.KINDS[name] in (drift.CALENDAR, drift.PAST) for name in moved)


def test_a_shift_of_the_weather_is_found_and_only_there(flights: Flights) -> None:
    reference, columns, departures = flights
    shifted = dict(columns)
    for end in ("origin", "destination"):
        shifted[f"{end}_temperature"] = columns[f"{end}_temperature"] - 7
        shifted[f"{end}_wind_speed"] = columns[f"{end}_wind_speed"] * 1.7
        stormy = np.arange(len(departures)) % 2 == 0
        shifted[f"{end}_conditions"] = np.where(stormy, "snow", columns[f"{end}_conditions"])
    found = watched(drift.drift(reference, as_matrix(shifted), departures))
    over = {name for name, value in found.items() if value > drift.CRITICAL}
    assert over >= {f"{end}_{name}" for end in ("origin", "destination")
                    for name in ("temperature", "wind_speed", "snow")}  # fmt: skip
    assert over <= set(WEATHER)


def test_a_source_that_fails_is_found_too(flights: Flights) -> None:
    """Missing weather becomes usual values: the flag moves, and so do the values."""
    reference, columns, departures = flights
    gone = as_matrix(without(columns, ("weather",)))
    found = watched(drift.drift(reference, gone, departures))
    assert found["weather_missing"] > drift.CRITICAL
    assert found["origin_temperature"] > drift.CRITICAL


def test_the_gap_of_ks_grows_with_the_shift(flights: Flights) -> None:
    reference, columns, departures = flights
    gaps = []
    for colder in (0.0, 2.0, 4.0, 8.0):
        changed = columns | {"origin_temperature": columns["origin_temperature"] - colder}
        found = drift.drift(reference, as_matrix(changed), departures)
        gaps.append(next(one.ks for one in found if one.name == "origin_temperature"))
    assert gaps == sorted(gaps) and gaps[-1] > gaps[0] + 0.2
