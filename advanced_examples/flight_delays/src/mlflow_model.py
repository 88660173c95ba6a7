"""How MLflow loads a bundle: it runs this file, so nothing is pickled.

mlflow.pyfunc.load_model("models:/flight-delay@champion").predict(matrix)
"""

from __future__ import annotations

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

from src.bundle import Bundle


class FlightDelay(PythonModel):
    """A bundle behind MLflow's interface."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle that was logged."""
        self.bundle = Bundle.load(context.artifacts["bundle"])

    # No hint on model_input: MLflow would read it as the model's schema, which is given already.
    def predict(self, context, model_input, params=None) -> NDArray[np.float32]:
        """Delay, low, high and confidence (n, 4) for rows of `features.vector.as_matrix`."""
        return np.stack(self.bundle.predict(np.asarray(model_input)), axis=1)


set_model(FlightDelay())
