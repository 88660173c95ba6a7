"""Ask the model once: describe all, ask about those that can be described, put answers in place."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np


class Model(Protocol):
    """What every model of scikit-learn can do."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """One number for each row."""


def delays(
    model: Model, flights: list[Any], features: Callable[[Any], list[float] | None]
) -> list[float | None]:
    """The delay of each flight in minutes, None for those that can't be described."""
    rows = [features(flight) for flight in flights]
    known = [row for row in rows if row is not None]
    answers = iter(model.predict(np.array(known)) if known else ())
    return [None if row is None else float(next(answers)) for row in rows]
