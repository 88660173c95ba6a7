"""Measure a batch of data against a reference: freshness, volume, nulls, drift.

    report = compare(reference, batch, expected_rows=350, as_of=now, time_column="ordered_at")

A value is *null* when it is missing or not finite: an infinite amount says as little as none.
Drift is measured on the other values, by two measures that fail in different ways:

- PSI, the population stability index, compares shares in bins or categories. Its thresholds, 0.1
  and 0.25, are a custom of credit scoring: N. Siddiqi, Credit Risk Scorecards, Wiley 2006.
- KS, the two-sample Kolmogorov-Smirnov statistic: the largest gap between two cumulative
  distributions. It needs no bins, but numbers. scipy.stats.ks_2samp computes it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from scipy.stats import chi2, ks_2samp

PSI_WARNING, PSI_CRITICAL = 0.1, 0.25
KS_GAP, KS_CHANCE = 0.1, 0.01  # a gap that matters, and how rarely chance may make it
NULLS_MORE, DEVIATIONS = 0.01, 3  # above the reference's rate by more than either is a problem
FEW_ROWS = 0.5  # of the expected ones
STALE = 24 * 3600.0  # seconds
BINS = 10
SMALLEST_SHARE = 1e-4  # stands for an empty bin: the logarithm of zero has no value
OTHER = "(new)"
FEW_VALUES = 5  # fewer prove nothing: any gap may be chance


@dataclass(frozen=True)
class Column:
    """What one column of a batch looks like beside the reference's.

    `psi`, `noise` and `ks` are NaN where there is nothing to compare; `ks` for text as well.
    """

    name: str
    nulls: float
    nulls_limit: float
    psi: float
    noise: float
    ks: float
    ks_chance: float
    shares: list[tuple[str, float, float]]  # bin, share in the reference, share in the batch

    @property
    def drift(self) -> str:
        """The verdict by PSI: ok, warning, critical, or no data.

        A PSI that chance alone would reach counts as ok, whatever the custom says.
        """
        if math.isnan(self.psi):
            return "no data"
        if self.psi <= max(PSI_WARNING, self.noise):
            return "ok"
        return "critical" if self.psi > PSI_CRITICAL else "warning"

    @property
    def gap(self) -> str:
        """The verdict by KS: a gap that is large enough to matter and no accident."""
        if math.isnan(self.ks):
            return "no data"
        return "warning" if self.ks > KS_GAP and self.ks_chance < KS_CHANCE else "ok"

    @property
    def null_rate(self) -> str:
        """Whether more values are missing than the reference and chance explain."""
        if math.isnan(self.nulls):
            return "no data"
        return "critical" if self.nulls > self.nulls_limit else "ok"


@dataclass(frozen=True)
class Report:
    """A batch beside its reference; `age` is seconds since its newest row, NaN without one."""

    rows: int
    rows_expected: float
    age: float
    columns: list[Column]

    @property
    def freshness(self) -> str:
        """Whether the newest row is new enough."""
        return "no data" if math.isnan(self.age) else "critical" if self.age > STALE else "ok"

    @property
    def volume(self) -> str:
        """Whether there are about as many rows as expected."""
        return "critical" if self.rows < FEW_ROWS * self.rows_expected else "ok"

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError when it wasn't measured."""
        found = {column.name: column for column in self.columns}
        return found[name]

    def findings(self) -> dict[str, str]:
        """Every check that isn't ok, with its verdict."""
        checks = {"freshness": self.freshness, "volume": self.volume}
        for column in self.columns:
            checks[f"nulls of {column.name}"] = column.null_rate
            checks[f"PSI of {column.name}"] = column.drift
            if is_measured(column.ks) or column.drift == "no data":
                checks[f"KS of {column.name}"] = column.gap
        return {name: verdict for name, verdict in checks.items() if verdict != "ok"}


def is_measured(value: float) -> bool:
    """Whether a measure has a value."""
    return not math.isnan(value)


def psi_of_shares(expected: Sequence[float], actual: Sequence[float]) -> float:
    """The sum over bins of (a - e) · ln(a / e): at least 0, 0 for equal shares, symmetric.

    Empty bins count as a share of 0.0001. Siddiqi 2006; as a symmetrised Kullback-Leibler
    divergence: S. Kullback, Information Theory and Statistics, 1959.
    ValueError when the two don't have the same number of bins.
    """
    if len(expected) != len(actual):
        raise ValueError(f"{len(expected)} bins against {len(actual)}: use the same bins for both")
    e = np.maximum(np.asarray(expected, dtype=float), SMALLEST_SHARE)
    a = np.maximum(np.asarray(actual, dtype=float), SMALLEST_SHARE)
    return float(np.sum((a - e) * np.log(a / e)))


def psi_noise(bins: int, reference_rows: int, rows: int) -> float:
    """The PSI that 1 in 20 batches reaches without any drift; NaN without rows.

    Under no drift PSI is about (1/n + 1/m) times a chi-squared variable with bins - 1 degrees of
    freedom: B. Yurdakul, Statistical Properties of Population Stability Index, 2018.
    """
    if not reference_rows or not rows:
        return math.nan
    freedom = max(bins - 1, 1)
    return float(chi2.ppf(0.95, freedom)) * (1 / reference_rows + 1 / rows)


def present(values: pd.Series) -> pd.Series:
    """The values that are neither missing nor infinite."""
    kept = values.dropna()
    if pd.api.types.is_numeric_dtype(kept) and not pd.api.types.is_bool_dtype(kept):
        kept = kept.astype(float)
        kept = kept[np.isfinite(kept)]
    return kept


def shares_of(reference: pd.Series, batch: pd.Series) -> list[tuple[str, float, float]]:
    """(bin, share in the reference, share in the batch); both must have values.

    Numbers go into bins that hold a tenth of the reference each, open at both ends. Text, and
    numbers of at most ten different values (a constant too), are categories; what the reference
    did not have is one more.
    """
    if pd.api.types.is_numeric_dtype(reference) and reference.nunique() > BINS:
        edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
        names = [f"to {edge:,.4g}" for edge in edges] + [f"over {edges[-1]:,.4g}"]
        places = (np.searchsorted(edges, values, side="left") for values in (reference, batch))
        counts = [np.bincount(place, minlength=len(names)) for place in places]
    else:
        known = sorted(reference.unique(), key=str)
        names = [str(value) for value in known] + [OTHER]
        counts = [
            np.array([*(values.eq(value).sum() for value in known), (~values.isin(known)).sum()])
            for values in (reference, batch)
        ]
    e, a = (count / count.sum() for count in counts)
    return list(zip(names, e.tolist(), a.tolist(), strict=True))


def psi(reference: pd.Series, batch: pd.Series) -> float:
    """The PSI of a batch against its reference; NaN when either has no values."""
    before, now = present(reference), present(batch)
    if before.empty or now.empty:
        return math.nan
    shares = shares_of(before, now)
    return psi_of_shares([e for _, e, _ in shares], [a for _, _, a in shares])


def ks(reference: pd.Series, batch: pd.Series) -> tuple[float, float]:
    """(largest gap of the cumulative distributions, how likely chance makes such a gap).

    Both NaN for text, and when either has no values. With fewer than five values the second is 1.
    """
    before, now = present(reference), present(batch)
    numbers = all(pd.api.types.is_numeric_dtype(values) for values in (before, now))
    if before.empty or now.empty or not numbers:
        return math.nan, math.nan
    if min(len(before), len(now)) < FEW_VALUES:
        return float(ks_2samp(before, now, method="exact").statistic), 1.0
    result = ks_2samp(before, now, method="asymp")
    return float(result.statistic), float(result.pvalue)


def null_ratio(values: pd.Series) -> float:
    """The share of values that are missing or infinite; NaN of an empty column."""
    return 1 - len(present(values)) / len(values) if len(values) else math.nan


def null_limit(expected: float, rows: int) -> float:
    """The null rate that a batch of so many rows may have.

    A point above the reference's rate, or three standard deviations of a share, sqrt(p(1-p)/n),
    whichever is more: a rate of a small batch varies without any cause. Without a reference (NaN)
    no nulls are expected.
    """
    usual = 0.0 if math.isnan(expected) else expected
    chance = math.sqrt(usual * (1 - usual) / rows) if rows else 0.0
    return usual + max(NULLS_MORE, DEVIATIONS * chance)


def compare_column(reference: pd.Series, batch: pd.Series) -> Column:
    """Everything about one column."""
    before, now = present(reference), present(batch)
    shares = shares_of(before, now) if len(before) and len(now) else []
    gap, chance = ks(reference, batch)
    filled = sum(1 for _, e, a in shares if e or a)
    limit = null_limit(null_ratio(reference), len(batch))
    return Column(
        str(reference.name), null_ratio(batch), limit, psi(reference, batch),
        psi_noise(filled, len(before), len(now)), gap, chance, shares,
    )  # fmt: skip


def compare(
    reference: pd.DataFrame, batch: pd.DataFrame, expected_rows: float, as_of: datetime,
    time_column: str,
) -> Report:  # fmt: skip
    """Measure `batch`; every column but the time is compared with the reference's.

    ValueError when the batch has not the reference's columns: that is no drift but a broken feed.
    """
    missing = [name for name in reference.columns if name not in batch.columns]
    if missing:
        raise ValueError(f"the batch has no column {', '.join(missing)}: was the feed changed?")
    newest = batch[time_column].max() if len(batch) else pd.NaT
    age = math.nan if pd.isna(newest) else (pd.Timestamp(as_of) - newest).total_seconds()
    columns = [name for name in reference.columns if name != time_column]
    return Report(
        len(batch), expected_rows, age, [compare_column(reference[c], batch[c]) for c in columns]
    )
