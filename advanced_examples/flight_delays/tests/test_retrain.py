"""Retraining: the gate on the newest days, and a champion that survives whatever happens to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pandas as pd
import pytest

from src import bundle, paths, registry, retrain
from src.monitoring.drift import read_reference
from src.retrain import Errors
from tests.conftest import at_home

UNTIL = "2024-12-20"


@pytest.fixture(scope="module")
def small(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with raw data and a champion trained up to UNTIL, by retraining itself."""
    home = tmp_path_factory.mktemp("retrained")
    shutil.copytree(trained_home / "data" / "raw", home / "data" / "raw")
    chosen = json.loads((trained_home / "params.yaml").read_text("utf-8"))
    chosen["retraining"]["fewest_flights"] = 50
    chosen["network"] |= {"layers": [8], "epochs": 2}  # the gate is the subject, not the model
    (home / "params.yaml").write_text(json.dumps(chosen), encoding="utf-8")
    with at_home(home):
        assert retrain.main(["--until", UNTIL]) == 0
        yield home


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it to spoil. MLflow's notes name their folder, so that moves along."""
    home = tmp_path / "home"
    shutil.copytree(small, home)
    with at_home(home):
        yield home


def verdict(home: Path) -> dict:
    return json.loads((home / "reports" / "retraining.json").read_text("utf-8"))


def test_the_first_version_answers_and_has_not_seen_what_judged_it(small: Path) -> None:
    found = bundle.Bundle.load(bundle.champion(small / "models"))
    learnt = [found.about["trained_on"][part]["last"] for part in ("train", "validation")]
    judged = found.about["trained_on"]["judged"]
    assert max(learnt) < judged["first"] <= judged["last"] < UNTIL
    assert len(read_reference(found.folder).matrix) > 500


def test_nothing_after_the_day_is_looked_at(small: Path) -> None:
    raw = retrain.raw_until(date.fromisoformat(UNTIL))
    end = pd.Timestamp(UNTIL, tz="UTC")
    flights = raw["flights"]
    delay = pd.to_timedelta(flights["actual_delay_minutes"].fillna(0), unit="min")
    assert (flights["arrival_time"] + delay < end).all()
    assert raw["weather"]["time"].max() < end
    assert raw["airlines"]["day"].max() < end


def test_a_candidate_that_learnt_from_spoilt_data_is_not_promoted(copy: Path) -> None:
    file = copy / "data" / "raw" / "flights.parquet"
    flights = pd.read_parquet(file)
    spoilt = (flights["departure_time"] < pd.Timestamp("2024-12-24", tz="UTC")).to_numpy()
    flights.loc[spoilt, "actual_delay_minutes"] = 60 - flights["actual_delay_minutes"][spoilt]
    flights["actual_delay_minutes"] = flights["actual_delay_minutes"].clip(-120, 1440)
    flights.to_parquet(file, index=False)
    assert retrain.main([]) == 0
    made = verdict(copy)
    assert not made["decision"]["promoted"]
    assert made["champion"]["version"] == "v1"
    assert made["candidate"]["mae"] > made["champion"]["mae"] + 5
    assert bundle.champion(paths.models()).name == "v1"
    store = registry.client()
    assert registry.holder(store, registry.CHALLENGER) == made["candidate"]["version"]
    assert "v1 stays" in (copy / "reports" / "retraining.md").read_text("utf-8")


def test_a_better_candidate_is_promoted_and_the_old_one_kept(copy: Path) -> None:
    """The champion is spoilt here: it was trained as if all flights were an hour later."""
    spoil_champion(copy)
    assert retrain.main([]) == 0
    made = verdict(copy)
    assert made["decision"]["promoted"], made
    assert made["chance"] < 0.05 < made["gain"]
    name = made["candidate"]["version"]
    assert bundle.champion(paths.models()).name == name
    store = registry.client()
    assert registry.holder(store, registry.PREVIOUS) == "v1"
    assert registry.rollback(store) == "v1"


def spoil_champion(home: Path) -> None:
    """Let v1 be an hour off: its network's and trees' shares count double."""
    file = home / "models" / "v1" / bundle.ABOUT
    about = json.loads(file.read_text("utf-8"))
    about["weights"] = {"xgboost": 3.0, "network": 3.0}
    file.write_text(json.dumps(about), encoding="utf-8")


def test_killed_halfway_the_champion_answers_and_the_next_retraining_works(copy: Path) -> None:
    """kill -9 at three moments: at once, while it trains, and when the version is registered."""
    moments = (
        copy.exists,
        (copy / ".retraining.lock").exists,
        lambda: registered(copy),
    )
    for moment in moments:
        process = subprocess.Popen(
            [sys.executable, "src/retrain.py"], cwd=paths.PROJECT, env=dict(os.environ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = monotonic() + 60
        while not moment() and process.poll() is None and monotonic() < deadline:
            sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        name = bundle.champion(paths.models()).name
        assert bundle.Bundle.load(paths.models() / name).version == name
    assert retrain.main([]) == 0
    assert verdict(copy)["champion"]["version"] == name


def registered(home: Path) -> bool:
    """Whether a second version is in the registry's files."""
    return len(list((home / "mlruns").rglob(bundle.ABOUT))) > 1


def test_a_promotion_that_was_cut_off_is_finished(copy: Path) -> None:
    (copy / "models" / "champion").write_text("v9\n", encoding="utf-8")
    registry.settle(registry.client())
    assert bundle.champion(paths.models()).name == "v1"


@pytest.mark.parametrize(
    ("mine", "rival", "luck", "promoted", "says"),
    [
        ((8.0, 0.80), (9.0, 0.78), 0.01, True, "nearer to the truth"),
        ((8.0, 0.80), (9.0, 0.78), 0.20, False, "may be luck"),
        ((9.0, 0.80), (9.0, 0.78), 0.01, False, "no smaller"),
        ((8.0, 0.77), (9.0, 0.78), 0.01, False, "v1 calls more"),
    ],
)
def test_the_gate(
    mine: tuple[float, float], rival: tuple[float, float], luck: float, promoted: bool, says: str
) -> None:
    made = retrain.decide(Errors("v2", *mine), Errors("v1", *rival), luck, 0.05)
    assert made.promoted is promoted
    assert says in made.reason


def test_luck_counts_days_not_flights() -> None:
    """Two days with 500 flights each are two witnesses, not a thousand."""
    rng = np.random.default_rng(1)
    days = np.repeat(
        np.datetime64("2024-06-01", "s") + np.arange(2) * np.timedelta64(86400, "s"), 500
    )
    nearer = np.where(days < np.datetime64("2024-06-02"), 3.0, 0.2) + rng.normal(size=1000)
    assert retrain.luck_of(nearer, days) > 0.1
    week = np.repeat(
        np.datetime64("2024-06-01", "s") + np.arange(7) * np.timedelta64(86400, "s"), 50
    )
    assert retrain.luck_of(2.0 + rng.normal(size=350), week) < 0.01
    assert retrain.luck_of(np.zeros(350), week) == 1.0


def test_refusals_say_what_to_do(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert retrain.main(["--until", UNTIL[:-2] + "10"]) == retrain.FAILED
    assert "has learnt from the days up to" in capsys.readouterr().err
    with retrain.alone(paths.home()):
        done = subprocess.run(
            [sys.executable, "src/retrain.py"], cwd=paths.PROJECT, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == retrain.FAILED
    assert "Another retraining is at work" in done.stderr
    chosen = json.loads((copy / "params.yaml").read_text("utf-8"))
    chosen["retraining"]["fewest_flights"] = 5_000
    (copy / "params.yaml").write_text(json.dumps(chosen), encoding="utf-8")
    assert retrain.main([]) == retrain.FAILED
    assert "params.yaml wants 5000" in capsys.readouterr().err
