"""Is what we serve fresh, and is it whole? Two questions to ask before a model is blamed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from feature_store.definitions import FeatureSet
from feature_store.errors import UnknownFeature


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is, what was allowed, and whether it is well."""

    what: str
    value: str
    limit: str
    ok: bool


def staleness(materialised: datetime | None, now: datetime, max_age: timedelta) -> Finding:
    """How long ago the last materialisation was that came to its end."""
    if materialised is None:
        return Finding("age of the online values", "never materialised", f"{max_age}", False)
    age = now - materialised
    return Finding("age of the online values", str(age), f"{max_age}", age <= max_age)


def null_rates(rows: pa.Table, features: FeatureSet) -> dict[str, float]:
    """The share of rows, from 0 to 1, in which each feature is NULL; empty without rows."""
    if not rows.num_rows:
        return {}
    return {f.name: rows[f.name].null_count / rows.num_rows for f in features.features}


def nulls(
    rates: Mapping[str, float],
    before: Mapping[str, float],
    max_rise: float,
    limits: Mapping[str, float],
) -> list[Finding]:
    """One finding for each feature.

    A feature with a limit may be NULL in that share of the rows. For the others the run before
    tells what is usual: who never ordered has no last order, and that is no defect.
    """
    unknown = sorted(set(limits) - set(rates))
    if rates and unknown:
        raise UnknownFeature(f"a limit for {', '.join(unknown)}, which the rows don't have.")
    findings = []
    for name, rate in rates.items():
        limit = limits.get(name, min(before.get(name, 0.0) + max_rise, 1.0))
        findings.append(
            Finding(f"{name} is NULL", f"{rate:.1%}", f"{limit:.1%}", rate <= limit + 1e-12)
        )
    return findings
