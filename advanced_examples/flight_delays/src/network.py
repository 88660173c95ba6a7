"""The network: three quantiles of a delay from one pass, and its export to ONNX.

It learns the quantiles 10, 50 and 90 % together, by the pinball loss. The middle one is its
prediction; the outer two say how sure it is. Scaling is part of the network, so the file that the
service loads takes the same input as the trees, in minutes, degrees and so on.

Each number is cut into pieces before the first layer: 0 below a piece, 1 above it, straight between
(piecewise linear encoding: Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep
Learning, 2022). A network that gets the bare numbers is slow to find the rush hour, or the minute
from which a late aircraft makes the next flight late; trees get such thresholds for nothing.
"""

from __future__ import annotations

import copy
import itertools
import logging
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

LEVELS = (0.1, 0.5, 0.9)
# The figures that the project was named with: for comparison, since small batches take long.
NAMED: Mapping[str, Any] = {"epochs": 50, "batch_size": 32, "learning_rate": 0.001, "patience": 50}
# Sums depend on how they are shared out: the same number of threads everywhere, the same network.
# One, since a second one gains little at this size and loses much when it has to wait for a core.
THREADS = 1
ROWS_AT_ONCE = 65_536
PIECES = 12
SLOWER, STALLED_EPOCHS = 0.3, 0
LEAST_GAIN = 1e-4  # minutes, as a share of the target's spread


class Epoch(NamedTuple):
    """One pass over the training set: pinball losses in minutes, the step's size, seconds."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_mae: float
    learning_rate: float
    seconds: float


class Pieces(NamedTuple):
    """Piece i is (input[source[i]] - left[i]) / width[i], held between lowest[i] and highest[i]."""

    source: Tensor
    left: Tensor
    width: Tensor
    lowest: Tensor
    highest: Tensor


def cut(matrix: NDArray[np.float32], most: int = PIECES) -> Pieces:
    """Cut each input (column of `matrix`) at the quantiles of its distinct values.

    Of the distinct ones, so that the many hours without rain don't take all the cuts. The outer
    pieces are open: a delay longer than any seen still counts for more.
    """
    rows: list[tuple[float, ...]] = []
    for number, values in enumerate(matrix.T):
        cuts = np.unique(np.quantile(np.unique(values), np.linspace(0, 1, most + 1)))
        if len(cuts) == 1:  # never varies: nothing to learn from
            rows.append((number, cuts[0], 1.0, 0.0, 0.0))
        for place, (left, right) in enumerate(itertools.pairwise(cuts)):
            lowest = -np.inf if place == 0 else 0.0
            highest = np.inf if place == len(cuts) - 2 else 1.0
            rows.append((number, left, right - left, lowest, highest))
    source, *rest = (torch.tensor(column) for column in zip(*rows, strict=True))
    return Pieces(source, *(column.to(torch.float32) for column in rest))


class DelayNetwork(nn.Module):
    """Inputs (n, inputs), unscaled, to the delay's quantiles at LEVELS (n, 3), minutes."""

    def __init__(self, pieces: Pieces, layers: list[int], dropout: float) -> None:
        super().__init__()
        self.register_buffer("source", pieces.source)
        self.register_buffer("left", pieces.left)
        self.register_buffer("width", pieces.width)
        self.register_buffer("lowest", pieces.lowest)
        self.register_buffer("highest", pieces.highest)
        self.register_buffer("usual", torch.zeros(1))
        self.register_buffer("minutes", torch.ones(1))
        blocks: list[nn.Module] = []
        for before, size in zip([len(pieces.source), *layers], layers, strict=False):
            blocks += [nn.Linear(before, size), nn.BatchNorm1d(size), nn.ReLU()]
            blocks += [nn.Dropout(dropout)]
        self.body = nn.Sequential(*blocks, nn.Linear(layers[-1], len(LEVELS)))

    def forward(self, matrix: Tensor) -> Tensor:
        """Quantiles that can't cross: the outer two are the middle one and a positive step."""
        encoded = (matrix[:, self.source] - self.left) / self.width
        encoded = torch.minimum(torch.maximum(encoded, self.lowest), self.highest)
        middle, below, above = self.body(encoded).split(1, dim=1)
        scaled = torch.cat([middle - softplus(below), middle, middle + softplus(above)], dim=1)
        return scaled * self.minutes + self.usual


def pinball(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean pinball loss, minutes, of quantiles (n, 3) against delays (n).

    level * error above the prediction, (1 - level) * error below it: least where `level` of the
    values lie below (Koenker and Bassett, Regression Quantiles, Econometrica 46, 1978).
    """
    off = target[:, None] - predicted
    levels = torch.tensor(LEVELS, dtype=predicted.dtype)
    return torch.maximum(levels * off, (levels - 1) * off).mean()


def train_network(
    train: tuple[NDArray[np.float32], NDArray[np.float32]],
    validation: tuple[NDArray[np.float32], NDArray[np.float32]],
    chosen: Mapping[str, Any],
    seed: int,
) -> tuple[DelayNetwork, list[Epoch]]:
    """Train until validation gains no more for `patience` epochs; the best epoch is kept.

    `train` and `validation` are matrix (n, inputs) and delays (n); `chosen` is the section
    `network` of params.yaml. The same seed gives the same network, bit for bit, on one machine.
    """
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    (matrix, target), (held_matrix, held_target) = (
        tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in pair)
        for pair in (train, validation)
    )
    network = DelayNetwork(cut(train[0]), chosen["layers"], chosen["dropout"])
    network.usual, network.minutes = target.median().reshape(1), target.std().reshape(1)
    optimiser = torch.optim.Adam(network.parameters(), lr=chosen["learning_rate"])
    slower = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=SLOWER, patience=STALLED_EPOCHS
    )
    history: list[Epoch] = []
    best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), np.inf, 0
    for number in range(1, chosen["epochs"] + 1):
        start, rate = time.perf_counter(), optimiser.param_groups[0]["lr"]
        train_loss = one_epoch(network, optimiser, matrix, target, chosen["batch_size"])
        quantiles = torch.from_numpy(predict(network, held_matrix.numpy()))
        loss = float(pinball(quantiles, held_target))
        mae = float((quantiles[:, 1] - held_target).abs().mean())
        slower.step(loss)
        seconds = time.perf_counter() - start
        history.append(Epoch(number, train_loss, loss, mae, rate, seconds))
        if loss < best_loss - LEAST_GAIN * float(network.minutes):
            best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), loss, number
        elif number - best_epoch >= chosen["patience"]:
            break
    network.load_state_dict(best)
    return network.eval(), history


def one_epoch(
    network: DelayNetwork,
    optimiser: torch.optim.Optimizer,
    matrix: Tensor,
    target: Tensor,
    batch_size: int,
) -> float:
    """One pass over the training set in random order; returns its mean loss."""
    network.train()
    order, total = torch.randperm(len(target)), 0.0
    for batch in order.split(batch_size):
        if len(batch) == 1:
            continue  # one row has no spread for BatchNorm to divide by
        optimiser.zero_grad(set_to_none=True)
        loss = pinball(network(matrix[batch]), target[batch])
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(batch)
    return total / len(target)


@torch.no_grad()
def predict(network: DelayNetwork, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Quantiles (n, 3) of a network that isn't learning any more."""
    network.eval()
    parts = torch.from_numpy(np.ascontiguousarray(matrix)).split(ROWS_AT_ONCE)
    return np.concatenate([network(rows).numpy() for rows in parts])


def export(network: DelayNetwork, inputs: int, file: Path) -> None:
    """Write the network as ONNX, for any number of rows of `inputs` numbers."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own insides
        torch.onnx.export(
            network.eval(),
            (torch.zeros(2, inputs),),
            file,
            input_names=["inputs"],
            output_names=["quantiles"],
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
