"""docs/FEATURE_STORE.md adds a feature; this follows it, word by word, in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from src import paths

GUIDE = (paths.PROJECT / "docs" / "FEATURE_STORE.md").read_text(encoding="utf-8")
COLUMN = "airport_avg_delay_1d"

ASK_THE_COPY = """
import json
from datetime import UTC, datetime
from features.vector import DEFAULTS, INPUTS, as_matrix
from features.views import pack
from src import feature_eng, online

at = datetime(2024, 5, 1, 12, tzinfo=UTC)
flight = online.Flight("JFK-LAX", "AA", at, "A321")
values = [
    pack(source.view, {"airport_avg_delay_1d": 7.5}, at.timestamp(), at.timestamp())
    for source in online.SOURCES
]
place = INPUTS.index("airport_avg_delay_1d")
print(json.dumps({
    "file": feature_eng.__file__,
    "keys": online.keys([flight]),
    "online": float(as_matrix(online.decode([flight], values).columns)[0, place]),
    "away": float(as_matrix(online.without_store([flight]).columns)[0, place]),
}))
"""


def block(language: str, holds: str) -> str:
    """The guide's block of code in `language` that holds a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    found = [text for text in blocks if holds in text]
    assert len(found) == 1
    return found[0]


def apply(change: str, folder: Path) -> None:
    """Apply a unified diff as a reader would by hand: find the lines, put in the new ones."""
    for part in re.split(r"^--- a/.*\n", change, flags=re.MULTILINE)[1:]:
        name, _, hunks = part.partition("\n")
        file = folder / name.removeprefix("+++ b/")
        text = file.read_text(encoding="utf-8")
        for hunk in re.split(r"^@@.*\n", hunks, flags=re.MULTILINE)[1:]:
            lines = hunk.splitlines()
            old = "\n".join(line[1:] for line in lines if not line.startswith("+"))
            new = "\n".join(line[1:] for line in lines if not line.startswith("-"))
            assert text.count(old) == 1, f"{name} has not exactly one place like:\n{old}"
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")


def run(copy: Path, home: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy), "FLIGHTS_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, *arguments], check=False, cwd=copy, env=environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_guide_adds_a_feature_that_training_and_service_have(
    home: Path, tmp_path: Path
) -> None:
    made, home, copy = home, tmp_path / "home", tmp_path / "copy"
    for name in ("data/raw", "data/processed"):
        shutil.copytree(made / name, home / name, ignore=shutil.ignore_patterns("views"))

    for folder in ("features", "src"):
        shutil.copytree(
            paths.PROJECT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(paths.PROJECT / "params.yaml", copy)
    (copy / "features/airport_features.py").write_text(block("python", "VIEW = View("))
    apply(block("diff", "airport_features"), copy)
    run(copy, home, "src/feature_eng.py")

    frame = pd.read_parquet(home / "data/processed/features.parquet")
    raw = pd.read_parquet(home / "data/raw/flights.parquet")
    landed = raw["arrival_time"] + pd.to_timedelta(raw["actual_delay_minutes"].fillna(0), "min")
    seen = 0
    for flight in frame.sample(40, random_state=4).itertuples():
        midnight = flight.departure_time.floor("D")
        before = (landed >= midnight - pd.Timedelta(days=1)) & (landed < midnight)
        mean = raw.loc[before & (raw["origin"] == flight.origin), "actual_delay_minutes"].mean()
        np.testing.assert_allclose(getattr(flight, COLUMN), mean, atol=1e-9)
        seen += not np.isnan(mean)
    assert seen > 3

    answer = json.loads(run(copy, home, "-c", ASK_THE_COPY))
    assert answer["file"].startswith(str(copy))
    assert answer["keys"][-1] == "flight:departures:JFK"
    assert (answer["online"], answer["away"]) == (7.5, 10.0)
