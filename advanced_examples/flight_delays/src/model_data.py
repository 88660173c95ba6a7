"""What models learn from and are judged by: the feature table as matrices, split by split."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import aircraft_features, weather_features
from features.vector import HISTORY, INPUTS, WEATHER, as_matrix
from src import feature_eng, paths
from src.preprocess import SPLITS

Columns = dict[str, NDArray[Any]]

# What the feature store may fail to deliver, and the columns that go missing with it. The aircraft
# is missing whenever a request names no tail number, which is usual long before departure.
SOURCES: dict[str, tuple[str, ...]] = {
    "history": HISTORY,
    "weather": tuple(
        f"{end}_{name}" for end in weather_features.ENDS for name in (*WEATHER, "conditions")
    ),
    "aircraft": aircraft_features.VIEW.columns,
}
MISSING_INPUTS = tuple(name for name in INPUTS if name.endswith("_missing"))


class ModelDataError(Exception):
    """There is nothing to learn from or to judge by; the text says what to do."""


class Part(NamedTuple):
    """One split: the models' input (n, inputs), the delay in minutes (n), and whose it is (n).

    `best` is the best reachable prediction (n), known for simulated flights only: no input, a
    yardstick. `columns` are the raw columns of which the input was made.
    """

    matrix: NDArray[np.float32]
    target: NDArray[np.float32]
    airline: NDArray[np.str_]
    route: NDArray[np.str_]
    best: NDArray[np.float64] | None
    columns: Columns
    days: tuple[str, str]


def load() -> dict[str, Part]:
    """train, validation and test from data/processed/features.parquet.

    Raises:
        ModelDataError: an earlier stage hasn't run, or a split is empty.
    """
    file = paths.processed() / "features.parquet"
    if not file.exists():
        raise ModelDataError(f"{file} is missing. Make it with `python src/feature_eng.py`.")
    frame = pd.read_parquet(file)
    oracle = paths.raw() / "oracle.parquet"
    if oracle.exists():
        known = pd.read_parquet(oracle).set_index("flight_id")["oracle_minutes"]
        frame["best"] = frame["flight_id"].map(known)
        if frame["best"].isna().any():
            raise ModelDataError(
                f"{oracle} belongs to other flights than {file}. Run the stages again from "
                "`python src/simulate.py` on; after `src/load.py` delete oracle.parquet."
            )
    return {name: part(frame[frame["split"] == name], name) for name in SPLITS}


def part(frame: pd.DataFrame, name: str) -> Part:
    """The rows of one split."""
    if frame.empty:
        raise ModelDataError(f"No flight is in the split {name}. Load or simulate more of them.")
    columns = feature_eng.columns(frame)
    return Part(
        matrix=as_matrix(columns),
        target=frame["target"].to_numpy(np.float32),
        airline=frame["airline"].to_numpy().astype(str),
        route=frame["route"].to_numpy().astype(str),
        best=frame["best"].to_numpy(np.float64) if "best" in frame else None,
        columns=columns,
        days=(str(frame["departure_time"].min())[:10], str(frame["departure_time"].max())[:10]),
    )


def without(columns: Columns, sources: tuple[str, ...]) -> Columns:
    """`columns` as they are when `sources` (names of SOURCES) can't be read."""
    gone = {name for source in sources for name in SOURCES[source]}
    return {
        name: np.full(len(values), "" if values.dtype.kind in "OUS" else np.nan, dtype=object)
        if name in gone and values.dtype.kind in "OUS"
        else np.full(len(values), np.nan)
        if name in gone
        else values
        for name, values in columns.items()
    }


def with_gaps(
    data: Part, share: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matrix and target of a sample, `share` of the flights, with one or more sources missing.

    History has hardly a gap, the service has: it must have learnt what to say without the weather,
    and how much less sure to be.
    """
    rng = np.random.default_rng(seed)
    combinations = [(name,) for name in SOURCES] + [("history", "weather"), tuple(SOURCES)]
    chosen = rng.permutation(len(data.target))[: round(share * len(data.target))]
    matrices, targets = [np.empty((0, len(INPUTS)), np.float32)], [np.empty(0, np.float32)]
    for rows, sources in zip(np.array_split(chosen, len(combinations)), combinations, strict=True):
        if len(rows):
            picked = {name: values[rows] for name, values in data.columns.items()}
            matrices.append(as_matrix(without(picked, sources)))
            targets.append(data.target[rows])
    return np.concatenate(matrices), np.concatenate(targets)
