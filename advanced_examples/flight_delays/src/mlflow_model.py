"""How MLflow loads a bundle: it imports this module and calls `_load_pyfunc`; nothing is pickled.

mlflow.pyfunc.load_model("models:/flight-delay@champion").predict(matrix)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.bundle import Bundle


class FlightDelay:
    """A bundle behind MLflow's interface."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(
        self, matrix: NDArray[np.float32], params: dict[str, object] | None = None
    ) -> NDArray[np.float32]:
        """Delay, low, high and confidence (n, 4) for rows of `features.vector.as_matrix`."""
        return np.stack(self.bundle.predict(np.asarray(matrix)), axis=1)


def _load_pyfunc(path: str) -> FlightDelay:
    """The name that MLflow calls, with the folder that was logged."""
    return FlightDelay(Bundle.load(Path(path)))
