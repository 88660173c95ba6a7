"""Clean the raw flights and cut them into train, validation and test, in time order.

    python src/preprocess.py

Reads data/raw/flights.parquet; writes data/processed/flights.parquet, one row a flight with its
`split`, and data/processed/cleaning.json, which counts what each rule took out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from src import params, paths

SPLITS = ("train", "validation", "test")
KEYS = ["airline", "tail_number", "route", "departure_time"]
NEEDED = ["flight_id", "airline", "route", "origin", "destination", "departure_time"]
Rule = Callable[[pd.DataFrame], pd.Series]


class PreprocessError(Exception):
    """The raw flights can't be used; the text says what to do."""


def rules(longest: float, shortest: float) -> dict[str, Rule]:
    """Why a row is taken out, and the test for it, in this order."""
    return {
        "a key or time is missing": lambda f: f[[*NEEDED, "arrival_time"]].isna().any(axis=1),
        "flight_id seen before": lambda f: f["flight_id"].duplicated(),
        "the same aircraft, route and departure again": lambda f: (
            f.duplicated(KEYS) & f["tail_number"].notna()
        ),
        "lands before it departs": lambda f: f["arrival_time"] <= f["departure_time"],
        "route is not origin-destination": lambda f: (
            (f["origin"] + "-" + f["destination"] != f["route"]) | (f["origin"] == f["destination"])
        ),
        "cancelled: it has no delay": lambda f: f["cancelled"],
        "delay is missing": lambda f: f["actual_delay_minutes"].isna(),
        f"delay over {longest:g} minutes": lambda f: f["actual_delay_minutes"] > longest,
        f"delay under {shortest:g} minutes": lambda f: f["actual_delay_minutes"] < shortest,
    }


def clean(
    flights: pd.DataFrame, longest: float, shortest: float
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Take out what can't be learnt from; each row counts under the first rule it breaks."""
    counts: dict[str, int] = {}
    for reason, broken in rules(longest, shortest).items():
        out = broken(flights).astype(bool)
        counts[reason] = int(out.sum())
        flights = flights[~out]
    return flights, counts


def split_by_day(departures: pd.Series, shares: dict[str, float]) -> pd.Series:
    """`train`, `validation` or `test` for each departure, in time order, cut between UTC days.

    Each cut is the midnight that comes closest to the wanted share of the flights.

    Raises:
        PreprocessError: the flights cover too few days to cut.
    """
    days = departures.dt.floor("D")
    per_day = days.value_counts().sort_index()
    if len(per_day) < len(SPLITS):
        raise PreprocessError(
            f"The flights cover {len(per_day)} days; three splits need at least three. "
            "Load more of them."
        )
    share_before = (per_day.cumsum() - per_day) / per_day.sum()
    wanted = np.cumsum([shares[name] for name in SPLITS])[:-1]
    first = int(np.abs(share_before - wanted[0]).to_numpy()[1:-1].argmin()) + 1
    second = int(np.abs(share_before - wanted[1]).to_numpy()[first + 1 :].argmin()) + first + 1
    cuts = per_day.index[[first, second]]
    part = np.searchsorted(cuts, days, side="right")
    return pd.Series(np.array(SPLITS)[part], index=departures.index, name="split")


def preprocess(
    flights: pd.DataFrame, chosen: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Clean, sort by time and split; the second part of the answer tells what was done."""
    rule = chosen["preprocess"]
    kept, counts = clean(flights, rule["max_delay_minutes"], rule["min_delay_minutes"])
    if kept.empty:
        raise PreprocessError(f"No flight is left of {len(flights):,}. Taken out: {counts}")
    kept = kept.sort_values(["departure_time", "flight_id"], ignore_index=True)
    kept["split"] = split_by_day(kept["departure_time"], chosen["split"])
    by_split = kept.groupby("split")["departure_time"].agg(["size", "min", "max"])
    return kept, {
        "read": len(flights),
        "kept": len(kept),
        "taken_out": counts,
        "splits": {
            name: {
                "flights": int(by_split.loc[name, "size"]),
                "first": by_split.loc[name, "min"].isoformat(),
                "last": by_split.loc[name, "max"].isoformat(),
            }
            for name in SPLITS
        },
    }


def main(argv: list[str] | None = None) -> int:
    """Clean and split data/raw/flights.parquet."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    source = paths.raw() / "flights.parquet"
    if not source.exists():
        print(
            f"{source} is missing. Make it with `python src/simulate.py`, or load real files with "
            "`python src/load.py --data PATH`.",
            file=sys.stderr,
        )
        return 1
    try:
        kept, report = preprocess(pd.read_parquet(source), params.load())
    except (PreprocessError, params.ParamsError) as error:
        print(error, file=sys.stderr)
        return 1
    folder = paths.processed()
    folder.mkdir(parents=True, exist_ok=True)
    kept.to_parquet(folder / "flights.parquet", index=False)
    text = json.dumps(report, indent=2) + "\n"
    (folder / "cleaning.json").write_text(text, encoding="utf-8")
    print(f"{report['kept']:,} of {report['read']:,} flights kept. Taken out:")
    for reason, count in report["taken_out"].items():
        print(f"  {count:>9,}  {reason}")
    for name, part in report["splits"].items():
        print(f"{name:10} {part['flights']:>9,}  {part['first'][:10]} to {part['last'][:10]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
