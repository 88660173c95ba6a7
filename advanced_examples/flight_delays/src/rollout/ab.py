"""Is one version better than another? `python -m src.rollout.ab v1 v2`, in two ways.

    python -m src.rollout.ab v1 v2             both are asked now about the same past flights
    python -m src.rollout.ab v1 v2 --landed    what they said in service, of flights that landed

The first takes the flights of data/processed that neither version was trained or tuned on; it needs
the training environment. The second takes what lies in Redis: flights that both versions predicted
(a router with --mirror shows every flight to both) are compared in pairs; when there are too few,
the flights of each side of a traffic split are.

It says how large the difference is, how sure, and how many flights it takes to see one that
matters. It promotes nothing. Exits 0 when it could compare, 1 when it could not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import redis

from src import paths
from src.bundle import Bundle, BundleError
from src.monitoring.outcomes import Judged, judged
from src.packed import PREFIX
from src.rollout.comparison import Comparison, Difference, Minutes, paired, split
from src.service.settings import seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_PAIRS = 100
WANTED_MINUTES, WANTED_POINTS = 0.2, 1.0
DAY = 86_400.0


class ComparisonError(Exception):
    """There is nothing to compare; the text says what to do."""


class Past(NamedTuple):
    """Past flights (n) that neither version has learnt from, with both predictions."""

    target: Minutes
    first: Minutes
    second: Minutes
    days: NDArray[Any]


def past(names: tuple[str, str]) -> Past:
    """Both versions asked about flights later than all that either was trained or tuned on.

    Raises:
        ComparisonError: a version, or data, or such flights are missing.
    """
    try:
        import pandas as pd

        from src.feature_eng import columns
    except ImportError as error:
        raise ComparisonError(
            f"past flights need the training environment ({error}); --landed doesn't"
        ) from error
    from features.vector import as_matrix

    models = [loaded(name) for name in names]
    file = paths.processed() / "features.parquet"
    if not file.exists():
        raise ComparisonError(f"{file} is missing: run `dvc repro`, or use --landed")
    frame = pd.read_parquet(file)
    since = max(learnt_until(model) for model in models)
    frame = frame[frame["departure_time"].astype(str).str[:10] > since]
    if frame.empty:
        raise ComparisonError(
            f"no flight is later than {since}, the last day that {' or '.join(names)} learnt from: "
            "get newer flights, or use --landed"
        )
    matrix = as_matrix(columns(frame))
    said = [model.predict(matrix).delay_minutes for model in models]
    days = frame["departure_time"].astype(str).str[:10].to_numpy()
    return Past(frame["target"].to_numpy(np.float64), said[0], said[1], days)


def loaded(name: str) -> Bundle:
    """A version's model.

    Raises:
        ComparisonError: there is none.
    """
    try:
        return Bundle.load(paths.models() / name)
    except BundleError as error:
        raise ComparisonError(str(error)) from error


def learnt_until(model: Bundle) -> str:
    """The last day of the flights that a version was trained or tuned on.

    Raises:
        ComparisonError: its bundle doesn't say, so nobody knows which flights are new to it.
    """
    parts = model.about.get("trained_on", {})
    days = [parts[name]["last"] for name in ("train", "validation") if name in parts]
    if not days:
        raise ComparisonError(
            f"the bundle of {model.version} doesn't say which flights it was trained on"
        )
    return max(days)


def landed(names: tuple[str, str], hours: float | None) -> list[Judged]:
    """What both versions said, in the last `hours` or ever, of flights that have landed.

    Raises:
        ComparisonError: Redis is away.
    """
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    prefix = os.environ.get("FLIGHTS_KEY_PREFIX", PREFIX)
    try:
        with redis.Redis.from_url(url) as client:
            found = judged(client, prefix)
    except (redis.RedisError, OSError) as error:
        raise ComparisonError(f"Redis at {url} can't be used: {error}") from error
    newest = max((one.at for one in found), default=0.0)
    since = 0.0 if hours is None else newest - hours * 3600
    return [one for one in found if one.version in names and one.at >= since]


def compared(
    names: tuple[str, str], found: Sequence[Judged], minutes: float, share: float
) -> Comparison:
    """Pairs where there are enough of them, else the two sides of a traffic split.

    Raises:
        ComparisonError: one of them has said too little.
    """
    first, second = ({one.flight_id: one for one in found if one.version == n} for n in names)
    both = sorted(first.keys() & second.keys())
    if len(both) >= LEAST_PAIRS:
        rows = [(first[name].actual, first[name].predicted, second[name].predicted,
                 first[name].at // DAY) for name in both]  # fmt: skip
        target, one, other, days = np.array(rows).T
        return paired(target, one, other, days, minutes, share)
    if min(len(first), len(second)) < 2:
        counts = f"{names[0]}: {len(first)}, {names[1]}: {len(second)}"
        raise ComparisonError(
            f"too few flights have landed of those that they predicted ({counts})"
        )
    sides = [list(said.values()) for said in (first, second)]
    target = tuple(np.array([one.actual for one in side]) for side in sides)
    said = tuple(np.array([one.predicted for one in side]) for side in sides)
    return split(target, said, minutes, share)


def told(names: tuple[str, str], found: Comparison) -> str:
    """A comparison for people, the verdict last."""
    first, second = names
    of = f"{found.flights[0]:,}" + ("" if found.design == "paired" else
                                     f" and {found.flights[1]:,}")  # fmt: skip
    error, points = found.error, scaled(found.accuracy, 100)
    lines = [
        f"{first} and {second}, {found.design}: {of} landed flights; {found.remark}.",
        f"  mean error   {error.first:8.2f} {error.second:8.2f} min   difference "
        f"{error.difference:+.2f} (95 % sure: {error.low:+.2f} to {error.high:+.2f})",
        f"  accuracy     {points.first:8.1f} {points.second:8.1f} %     difference "
        f"{points.difference:+.1f} (95 % sure: {points.low:+.1f} to {points.high:+.1f}), "
        f"by chance: p = {found.chance:.2g}",
        f"  To see {error.wanted:g} minutes takes {error.needed:,} flights, to see "
        f"{points.wanted:g} points of accuracy {points.needed:,}"
        + (" (in 4 of 5 such trials)." if found.design == "paired" else
           " of each (in 4 of 5 such trials)."),
        verdict(names, found),
    ]  # fmt: skip
    return "\n".join(lines)


def verdict(names: tuple[str, str], found: Comparison) -> str:
    """What follows, in one sentence."""
    error, accuracy = found.error, found.accuracy
    by_error, by_accuracy = names[error.difference > 0], names[accuracy.difference < 0]
    smaller = f"its mean error is {abs(error.difference):.2f} minutes smaller"
    higher = f"its accuracy is {100 * abs(accuracy.difference):.1f} points higher"
    match (error.sure, accuracy.sure):
        case (False, False):
            return (
                "No difference can be seen: they are equal, or so close that it takes more flights."
            )
        case (True, False):
            return f"{by_error} is better: {smaller}; by accuracy no difference can be seen."
        case (False, True):
            return f"{by_accuracy} is better: {higher}; by mean error no difference can be seen."
    if by_error == by_accuracy:
        return f"{by_error} is better: {smaller}, and {higher}."
    return f"Decide what matters: of {by_error}, {smaller}; of {by_accuracy}, {higher}."


def scaled(one: Difference, by: float) -> Difference:
    """The same in another unit; the count of flights stays."""
    return Difference(*(value * by for value in one[:-1]), one.needed)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ends the process (2) when it can't be used."""
    parser = argparse.ArgumentParser(
        prog="python -m src.rollout.ab", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    # fmt: off
    add("first", help="a version, such as v1")
    add("second", help="another one, such as v2")
    add("--landed", action="store_true", help="compare what they said in service")
    add("--hours", type=seconds, help="with --landed: the last so many hours only (default: all)")
    add("--minutes", type=seconds, default=WANTED_MINUTES,
        help="the smallest difference of mean errors that matters (default: 0.2)")
    add("--points", type=seconds, default=WANTED_POINTS,
        help="the smallest difference of accuracies that matters, in percent (default: 1)")
    add("--json", type=Path, metavar="FILE", help="write the figures there too")
    # fmt: on
    options = parser.parse_args(argv)
    if options.first == options.second:
        parser.error("name two different versions")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it could compare, 1 when not."""
    options = arguments(argv)
    names, share = (options.first, options.second), options.points / 100
    try:
        if options.landed:
            found = compared(names, landed(names, options.hours), options.minutes, share)
        else:
            found = paired(*past(names), options.minutes, share)
    except (ComparisonError, ValueError) as error:
        print(f"Nothing to compare: {str(error).rstrip('.')}.", file=sys.stderr)
        return 1
    print(told(names, found))
    if options.json:
        figures = found._asdict() | {
            "versions": names, "error": found.error._asdict(), "accuracy": found.accuracy._asdict(),
            "verdict": verdict(names, found),
        }  # fmt: skip
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
