"""What the model's inputs look like: how full, how wide, how they lean on the delay, how they move.

    python src/feature_stats.py            a table, and reports/feature_stats.json
    python src/feature_stats.py --top 10   only those that lean most on the delay

Reads data/processed/features.parquet. Means and shares are those of the training split; `moved`
compares the test split with it (population stability index: 0.1 is a warning, 0.25 is drift).
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.vector import INPUTS, RAW, as_matrix
from src import paths
from src.feature_eng import FeatureError, columns, read
from src.monitoring.drift import CRITICAL, WARNING, psi


class Stat(NamedTuple):
    """One input: figures of the training split, and how far the test split has moved.

    `missing` is the share of values whose default stands in; `with_delay` the correlation
    (Pearson's r) with the delay.
    """

    name: str
    missing: float
    mean: float
    std: float
    low: float
    median: float
    high: float
    with_delay: float
    moved: float


def correlation(values: NDArray[np.float32], target: NDArray[np.float64]) -> float:
    """Pearson's r; 0 for a constant."""
    if np.ptp(values) == 0:
        return 0.0
    return float(np.corrcoef(values, target)[0, 1])


def statistics(frame: pd.DataFrame) -> list[Stat]:
    """Figures of every input, in the model's order."""
    matrix = as_matrix(columns(frame)).astype(np.float64)
    split, target = frame["split"].to_numpy(), frame["target"].to_numpy()
    train, test = split == "train", split == "test"
    stats = []
    for place, name in enumerate(INPUTS):
        values = matrix[train, place]
        empty = float(frame.loc[train, name].isna().mean()) if name in RAW else 0.0
        low, median, high = np.quantile(values, [0.01, 0.5, 0.99]).tolist()
        stats.append(
            Stat(
                name, empty, float(values.mean()), float(values.std()), low, median, high,
                correlation(values, target[train]), psi(values, matrix[test, place]),
            )
        )  # fmt: skip
    return stats


def table(stats: list[Stat]) -> str:
    """The figures as text, 80 columns wide."""
    lines = [
        f"{'input':26}{'missing':>8}{'mean':>8}{'std':>8}{'1 %':>8}{'99 %':>8}{'r':>7}{'moved':>7}"
    ]
    for stat in stats:
        mark = " " if stat.moved < WARNING else "?" if stat.moved < CRITICAL else "!"
        lines.append(
            f"{stat.name:26}{stat.missing:>8.1%}{stat.mean:>8.2f}{stat.std:>8.2f}"
            f"{stat.low:>8.1f}{stat.high:>8.1f}{stat.with_delay:>7.2f}{stat.moved:>6.2f}{mark}"
        )
    return "\n".join(line.rstrip() for line in lines)


def main(argv: list[str] | None = None) -> int:
    """Print the table and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--top", type=int, help="only so many, by correlation with the delay")
    wanted = parser.parse_args(argv)
    file = paths.processed() / "features.parquet"
    try:
        if not file.exists():
            raise FeatureError(f"{file} is missing. Make it with `python src/feature_eng.py`.")
        stats = statistics(read(file))
    except FeatureError as error:
        print(error, file=sys.stderr)
        return 1
    report = paths.reports() / "feature_stats.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps([stat._asdict() for stat in stats], indent=2) + "\n", "utf-8")
    shown = stats
    if wanted.top is not None:
        shown = sorted(stats, key=lambda stat: -abs(stat.with_delay))[: wanted.top]
    print(table(shown))
    moved = ", ".join(stat.name for stat in stats if stat.moved >= WARNING)
    print(f"\nMoved from train to test (? over {WARNING}, ! over {CRITICAL}): {moved or 'none'}")
    print(f"All figures: {paths.shown(report)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
