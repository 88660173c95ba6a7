"""Whether the flights that come in are still like those that the model learnt from.

For each input, what the model saw lately is compared with a sample of its training flights, which
lies beside the model as reference.npz: by the population stability index (PSI) and by the
two-sample Kolmogorov-Smirnov statistic (KS). Summer is no drift: only training flights of the same
weeks of the year are compared with.

Needs numpy and scipy only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from features.temporal_features import MORE_NAMES, NAMES
from features.vector import HISTORY, INPUTS

WARNING, CRITICAL = 0.1, 0.25  # customary: Siddiqi, Credit Risk Scorecards, 2006
BINS = 10
LEAST_SHARE = 1e-4  # a bin that is empty on one side must not make the index infinite
FEWEST = 500  # flights: with fewer, chance alone comes near the warning
REFERENCE, REFERENCE_ROWS = "reference.npz", 20_000
DAYS_OF_YEAR = 366
WEEKS_AROUND = (30, 60, 183)  # days on either side; the first that finds enough flights

# What an input follows. Only `flight` is worth an alert: hours and seasons move by themselves, and
# a 30-day mean of 8 airlines has 8 values a day, so its PSI is 2 to 3 in any week without a shift.
FLIGHT, CALENDAR, PAST = "flight", "calendar", "history"
KINDS = (
    dict.fromkeys(INPUTS, FLIGHT)
    | dict.fromkeys((*NAMES, *MORE_NAMES), CALENDAR)
    | dict.fromkeys(HISTORY, PAST)
)


class Reference(NamedTuple):
    """A sample of the training flights: the model's inputs (n, inputs) and days of the year (n)."""

    matrix: NDArray[np.float32]
    day_of_year: NDArray[np.int16]


class Drift(NamedTuple):
    """How far one input has moved. `chance` is the p-value of KS.

    It takes flights for independent of each other. Those of one day share the weather, so it is far
    too small: judge by `psi` and `ks`.
    """

    name: str
    kind: str
    psi: float
    ks: float
    chance: float


def psi(expected: NDArray[Any], actual: NDArray[Any], bins: int = BINS) -> float:
    """The population stability index of two samples: sum((a - e) * ln(a / e)), at least 0.

    `e` and `a` are the shares of the samples in bins that hold an equal part of `expected` each,
    open at both ends. If `expected` has few values, each is a bin, and all others are one more.
    Siddiqi, Credit Risk Scorecards, 2006; the symmetrised divergence of Kullback, 1959.

    Raises:
        ValueError: a sample is empty.
    """
    if not len(expected) or not len(actual):
        raise ValueError("The PSI of an empty sample is not known.")
    known = np.unique(expected)
    if len(known) > bins:
        edges = np.unique(np.quantile(expected, np.linspace(0, 1, bins + 1)[1:-1]))
        places = [np.searchsorted(edges, sample) for sample in (expected, actual)]
    else:
        places = [np.where(np.isin(sample, known), np.searchsorted(known, sample), len(known))
                  for sample in (expected, actual)]  # fmt: skip
    width = max(int(place.max()) for place in places) + 1
    e, a = (
        np.maximum(np.bincount(place, minlength=width) / len(place), LEAST_SHARE)
        for place in places
    )
    return float(((a - e) * np.log(a / e)).sum())


def ks(expected: NDArray[Any], actual: NDArray[Any]) -> tuple[float, float]:
    """(the largest gap of the two cumulative distributions, how likely chance makes it)."""
    # The exact p-value of thousands of flights takes a minute, and a handful needs no p-value.
    found = ks_2samp(expected, actual, method="asymp")
    return float(found.statistic), float(found.pvalue)


def drift(
    reference: Reference, seen: NDArray[np.float32], departures: NDArray[np.datetime64]
) -> list[Drift]:
    """How far each input of `seen` (n, inputs), flights of `departures` (n), has moved.

    Empty with fewer than FEWEST flights: that says nothing.
    """
    if len(seen) < FEWEST:
        return []
    expected = same_weeks(reference, days_of_year(departures))
    return [
        Drift(name, KINDS[name], psi(before, now), *ks(before, now))
        for name, before, now in zip(INPUTS, expected.T, seen.T, strict=True)
    ]


def days_of_year(times: NDArray[np.datetime64]) -> NDArray[np.int16]:
    """0 for 1 January."""
    days = times.astype("M8[D]") - times.astype("M8[Y]").astype("M8[D]")
    return days.astype(np.int16)


def same_weeks(reference: Reference, days: NDArray[np.int16]) -> NDArray[np.float32]:
    """The reference's flights within 30 days of `days` in any year; wider if they are too few."""
    for around in WEEKS_AROUND:
        found = reference.matrix[weeks_around(days, around)[reference.day_of_year]]
        if len(found) >= FEWEST:
            break
    return found


def weeks_around(days: NDArray[np.int16], around: int) -> NDArray[np.bool_]:
    """Which days of a year (366) lie within `around` days of any of `days`, in any year."""
    near = np.zeros(DAYS_OF_YEAR, dtype=bool)
    for day in np.unique(days).tolist():
        near[np.arange(day - around, day + around + 1) % DAYS_OF_YEAR] = True
    return near


def write_reference(
    folder: Path, matrix: NDArray[np.float32], departures: NDArray[np.datetime64]
) -> None:
    """Keep a sample of the training flights (n, inputs) beside the model in `folder`.

    Every so many, in the order of time: no chance in it, and all weeks are there.
    """
    chosen = slice(None, None, -(-len(matrix) // REFERENCE_ROWS))
    days = days_of_year(np.asarray(departures)[chosen])
    np.savez_compressed(folder / REFERENCE, matrix=matrix[chosen], day_of_year=days)


def renew_reference(
    folder: Path, matrix: NDArray[np.float32], departures: NDArray[np.datetime64]
) -> None:
    """Put flights (n, inputs) into the reference, in place of those of the same weeks before.

    For a model that has proved itself on the newest weeks: these are what it is used to now.
    """
    old = read_reference(folder)
    if old is None:
        raise ValueError(f"{folder} has no reference of today's inputs.")
    days = days_of_year(np.asarray(departures))
    kept = ~weeks_around(days, WEEKS_AROUND[0])[old.day_of_year]
    np.savez_compressed(
        folder / REFERENCE,
        matrix=np.concatenate([old.matrix[kept], matrix]),
        day_of_year=np.concatenate([old.day_of_year[kept], days]),
    )


def read_reference(folder: Path) -> Reference | None:
    """The sample beside the model in `folder`; None if there is none, or of other inputs."""
    try:
        with np.load(folder / REFERENCE) as held:
            found = Reference(held["matrix"], held["day_of_year"])
    except FileNotFoundError:
        return None
    return found if found.matrix.shape[1] == len(INPUTS) else None
