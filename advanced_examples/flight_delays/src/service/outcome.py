"""What the models say of one flight, on its way to the answer and to the journal."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """A prediction for one flight, in minutes."""

    delay: float
    low: float
    high: float
    confidence: float
    version: str
    features_used: int
    degraded: tuple[str, ...]
