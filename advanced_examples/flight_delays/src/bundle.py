"""A trained model as the service loads it: a folder of files, without torch, MLflow or Feast.

    models/<version>/bundle.json     what it is: version, date, inputs, weights, scores, checksums
                     xgboost.ubj     the trees as XGBoost has them, which explain
                     trees.onnx      the same trees in the form that answers soonest
                     network.onnx    the network, with its scaling, and its three quantiles
                     reference.npz   a sample of the training flights, to see drift by; the service
                                     does without it (src/monitoring/drift.py)
    models/champion                  the name of the version that answers
    models/newest                    the name of the version trained last

Needs numpy, xgboost and onnxruntime.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import xgboost as xgb
from numpy.typing import NDArray

from features.vector import INPUTS

FORMAT = 2
ABOUT = "bundle.json"
TREES, FAST_TREES, NETWORK = "xgboost.ubj", "trees.onnx", "network.onnx"
CHAMPION, NEWEST = "champion", "newest"
MISSING = tuple(place for place, name in enumerate(INPUTS) if name.endswith("_missing"))
LOW, MIDDLE, HIGH = 0, 1, 2
WITHIN_MINUTES = 15.0  # as far off as a flight still counts as on time


class BundleError(Exception):
    """A model can't be loaded; the text says what to do."""


class Prediction(NamedTuple):
    """One entry per flight: minutes, the interval's two ends in minutes, a share from 0 to 1.

    `confidence` is how many of such flights end up at most 15 minutes from `delay_minutes`.
    """

    delay_minutes: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    confidence: NDArray[np.float32]


class Interval(NamedTuple):
    """The share of delays inside, and minutes to add to both ends, inputs complete or not."""

    level: float
    complete: float
    incomplete: float


class Confidence(NamedTuple):
    """Share of delays at most `within_minutes` off, by the interval's width: points of a curve."""

    within_minutes: float
    widths: list[float]
    shares: list[float]


def offsets(quantiles: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """How far (n) the outer quantiles lie below and above the middle one, from (n, 3)."""
    middle = quantiles[:, MIDDLE]
    return middle - quantiles[:, LOW], quantiles[:, HIGH] - middle


class Bundle:
    """One version of the model. Safe to share between threads; each call uses one core."""

    def __init__(self, folder: Path, about: dict[str, Any], threads: int) -> None:
        self.folder = folder
        self.about = about
        self.version: str = about["version"]
        self.training_date: str = about["training_date"]
        self.inputs: tuple[str, ...] = tuple(about["inputs"])
        self.weights: dict[str, float] = about["weights"]
        self.metrics: dict[str, Any] = about["metrics"]
        self.interval = Interval(**about["interval"])
        self.certain = Confidence(**about["confidence"])
        self.trees = xgb.Booster({"nthread": threads})
        self.trees.load_model(folder / TREES)
        self.trees.set_param({"nthread": threads})
        self.fast_trees = session(folder / FAST_TREES, threads)
        self.network = session(folder / NETWORK, threads)

    @classmethod
    def load(cls, folder: Path | str, *, threads: int = 1) -> Bundle:
        """Load and check the model in `folder`.

        Raises:
            BundleError: it is missing, incomplete, changed, or made for other inputs.
        """
        folder = Path(folder)
        about = describe(folder)
        if tuple(about["inputs"]) != INPUTS:
            gone = sorted(set(about["inputs"]) - set(INPUTS))
            new = sorted(set(INPUTS) - set(about["inputs"]))
            raise BundleError(
                f"Model {about['version']} was trained for other inputs than features/vector.py "
                f"makes (no longer made: {gone}; new: {new}). Train again: `python src/train.py`."
            )
        for name, checksum in about["files"].items():
            if not (folder / name).exists() or sha256(folder / name) != checksum:
                raise BundleError(
                    f"{folder / name} is missing or isn't the file that was trained. Fetch the "
                    f"version again: `python src/registry.py fetch {about['version']}`."
                )
        return cls(folder, about, threads)

    def predict(self, matrix: NDArray[np.float32]) -> Prediction:
        """Predictions for rows of `features.vector.as_matrix`, (n, len(inputs)).

        Raises:
            ValueError: the shape is wrong, or a value is NaN or infinite.
        """
        matrix = self.checked(matrix)
        quantiles = self.quantiles(matrix)
        delays = (
            self.weights["xgboost"] * self.by_trees(matrix)
            + self.weights["network"] * quantiles[:, MIDDLE]
        )
        return self.judged(matrix, delays, quantiles)

    def judged(
        self, matrix: NDArray[np.float32], delays: NDArray[Any], quantiles: NDArray[Any]
    ) -> Prediction:
        """Delays (n) with their intervals and confidences."""
        below, above = offsets(quantiles)
        gaps = matrix[:, MISSING].any(axis=1)
        more = np.where(gaps, self.interval.incomplete, self.interval.complete)
        low = np.minimum(delays - below - more, delays)
        high = np.maximum(delays + above + more, delays)
        certain = np.interp(high - low, self.certain.widths, self.certain.shares)
        columns = (delays, low, high, certain)
        return Prediction(*(column.astype(np.float32) for column in columns))

    def by_trees(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the trees alone say (n), minutes."""
        return self.fast_trees.run(None, {"inputs": matrix})[0][:, 0]

    def quantiles(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the network says: the quantiles 10, 50 and 90 % (n, 3), minutes."""
        return self.network.run(None, {"inputs": matrix})[0]

    def explain(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Minutes that each input adds to what the trees say (n, len(inputs) + 1).

        The last column is what they say of a flight of which nothing is known; a row's sum is
        their prediction. SHAP values, exact for trees (Lundberg et al., Nature Machine
        Intelligence 2, 2020). They explain the trees only, not the network.
        """
        rows = xgb.DMatrix(self.checked(matrix), feature_names=list(self.inputs), nthread=1)
        return self.trees.predict(rows, pred_contribs=True)

    def checked(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """`matrix` as the models want it."""
        matrix = np.ascontiguousarray(matrix, dtype=np.float32)
        if matrix.ndim != 2 or matrix.shape[1] != len(self.inputs):
            raise ValueError(
                f"The model takes rows of {len(self.inputs)} inputs, not {matrix.shape}."
            )
        if not np.isfinite(matrix).all():
            rows, columns = np.nonzero(~np.isfinite(matrix))
            raise ValueError(f"Row {rows[0]}: {self.inputs[columns[0]]} is not a number.")
        return matrix


def session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX model ready to run on so many cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def describe(folder: Path) -> dict[str, Any]:
    """The content of a bundle.json.

    Raises:
        BundleError: there is none, or it is of another format.
    """
    file = folder / ABOUT
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{file} is missing. Train a model: `python src/train.py`.") from None
    except ValueError as error:
        raise BundleError(f"{file} can't be read: {error}") from error
    if about.get("format") != FORMAT:
        raise BundleError(
            f"{file} has format {about.get('format')}, this code reads {FORMAT}. Train again."
        )
    return about


def champion(models: Path) -> Path:
    """The folder of the version that answers.

    Raises:
        BundleError: none has been chosen.
    """
    file = models / CHAMPION
    if not file.exists():
        raise BundleError(f"{file} is missing. Train a model: `python src/train.py`.")
    return models / file.read_text(encoding="utf-8").strip()


def seal(folder: Path, about: dict[str, Any]) -> None:
    """Write the trees' fast form and bundle.json beside the model files, with checksums.

    Needs `onnx`, which only the training environment has.
    """
    from src.tree_onnx import write

    write(folder / TREES, folder / FAST_TREES, len(about["inputs"]))
    files = {name: sha256(folder / name) for name in (TREES, FAST_TREES, NETWORK)}
    text = json.dumps({"format": FORMAT, **about, "files": files}, indent=2) + "\n"
    (folder / ABOUT).write_text(text, encoding="utf-8")


def put(source: Path, target: Path) -> None:
    """Copy a bundle to `target`, whole or not at all; one of that name is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new, old = (target.with_name(f".{target.name}.{word}") for word in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(source, new)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def write_whole(file: Path, text: str) -> None:
    """Replace `file` in one step: a reader sees the old text or the new, never half of one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def sha256(file: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
