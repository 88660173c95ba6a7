"""Why a prediction is what it is: what each input added to it, summed by subject.

The additions are XGBoost's own (TreeSHAP, Lundberg et al. 2018): with the usual delay they sum to
what the trees say. The network has its say in the ensemble too; what the trees don't account for
stands apart, as its share.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features import airline_features, route_features
from features.temporal_features import MORE_NAMES, NAMES
from features.vector import INPUTS

NETWORK = "the network's view"
OTHER = "what is unknown"


def subject(name: str) -> str:
    """The subject to which an input belongs, in words for people."""
    exact: Mapping[str, str] = {
        **dict.fromkeys(route_features.VIEW.columns, "the route's last days"),
        **dict.fromkeys(airline_features.VIEW.columns, "the airline"),
        **dict.fromkeys((*NAMES, *MORE_NAMES), "day and hour"),
        **dict.fromkeys(("origin_hub", "destination_hub", "route_number"), "the airports"),
    }
    if name in exact:
        return exact[name]
    if name.endswith("_missing"):
        return OTHER
    starts = {
        "airline_": "the airline",
        "aircraft_": "the aircraft type",
        "origin_": "weather at the origin",
        "destination_": "weather at the destination",
        "inbound_": "the inbound aircraft",
        "turnaround_": "the inbound aircraft",
        "late_": "the inbound aircraft",
        "scheduled_": "the airports",
    }
    return next((says for start, says in starts.items() if name.startswith(start)), OTHER)


SUBJECTS: tuple[str, ...] = tuple(dict.fromkeys(subject(name) for name in INPUTS))
PLACES = np.array([SUBJECTS.index(subject(name)) for name in INPUTS])


def reasons(
    contributions: NDArray[np.float64], delay_minutes: float
) -> tuple[float, list[tuple[str, float]]]:
    """The usual delay, and (subject, minutes) by falling size, from contributions (inputs + 1).

    Usual delay and all minutes sum to `delay_minutes`.
    """
    sums = np.bincount(PLACES, weights=contributions[:-1], minlength=len(SUBJECTS))
    usual = float(contributions[-1])
    rest = delay_minutes - usual - float(sums.sum())
    parts = [*zip(SUBJECTS, map(float, sums), strict=True), (NETWORK, rest)]
    return usual, sorted(parts, key=lambda part: -abs(part[1]))
