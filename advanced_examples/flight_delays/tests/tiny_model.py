"""A model and features made in a second, for tests of the service: the real formats, small content.

    python tests/tiny_model.py FOLDER [--version v1] [--trees 200] [--usual 10] [--features 3600]

The model is of the real kind (trees and a network) but learnt nothing worth knowing. The features
go to REDIS_URL under FLIGHTS_KEY_PREFIX, and expire after the given number of seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from onnx import TensorProto, helper, numpy_helper, save
from redis import Redis

from features import aircraft_features, airline_features, route_features, weather_features
from features.airports import AIRPORTS
from features.vector import AIRLINES, DEFAULTS, INPUTS
from features.views import View, key, pack
from src.bundle import CHAMPION, NETWORK, TREES, put, seal, write_whole
from src.simulation.network import ROUTES
from src.simulation.schedule import tail_number

SEED = 3
LAYERS = (256, 128, 64)
QUANTILES = 3
TAILS = tuple(tail_number(airline, number) for airline in AIRLINES for number in range(8))
AS_OF = datetime(2024, 12, 31, 23, tzinfo=UTC)  # the last hour of the simulated flights


def model(models: Path, version: str = "tiny-1", trees: int = 20, usual: float = 10.0) -> None:
    """Put a model of `version` into the folder of models and make it champion.

    It expects about `usual` minutes, more where the inbound aircraft is later or the view is bad.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        booster(trees, usual).save_model(made / TREES)
        save(network(usual), made / NETWORK)
        seal(made, about(version))
        put(made, models / version)
    write_whole(models / CHAMPION, f"{version}\n")


def about(version: str) -> dict[str, Any]:
    """What stands in bundle.json."""
    return {
        "version": version,
        "training_date": "2025-01-02T03:04:05Z",
        "inputs": list(INPUTS),
        "weights": {"xgboost": 0.6, "network": 0.4},
        "metrics": {"mae": 7.5, "rmse": 10.0, "r2": 0.8},
        "interval": {"level": 0.8, "complete": 0.0, "incomplete": 5.0},
        "confidence": {"within_minutes": 15, "widths": [0, 100.0], "shares": [0.95, 0.4]},
    }


def booster(trees: int, usual: float) -> xgb.Booster:
    """Trees of depth 6 that learnt some noise, and the inbound delay."""
    chance = np.random.default_rng(SEED)
    rows = chance.normal(size=(3000, len(INPUTS))).astype(np.float32)
    noise = rows @ chance.normal(size=len(INPUTS))
    late = rows[:, INPUTS.index("inbound_delay_minutes")] = chance.uniform(-20, 90, len(rows))
    far = rows[:, INPUTS.index("origin_visibility")] = chance.uniform(0, 16, len(rows))
    delays = usual + np.maximum(0, late - 20) + (16 - far) + noise
    data = xgb.DMatrix(rows, delays, feature_names=list(INPUTS))
    return xgb.train(
        {"max_depth": 6, "learning_rate": 0.05, "seed": SEED, "nthread": 1}, data, trees
    )


def network(usual: float) -> Any:
    """A network of the real shape, 256-128-64, that says `usual` and a range around it."""
    chance = np.random.default_rng(SEED)
    sizes = (len(INPUTS), *LAYERS, QUANTILES)
    nodes, weights, before = [], [], "inputs"
    for place, shape in enumerate(pairwise(sizes)):
        last = place == len(LAYERS)
        bias = np.array([usual - 15, usual, usual + 20]) if last else np.zeros(shape[1])
        table = chance.normal(size=shape) * (1e-4 if last else shape[0] ** -0.5)
        for name, value in ((f"w{place}", table), (f"b{place}", bias)):
            weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        after = "quantiles" if last else f"sum{place}"
        nodes.append(helper.make_node("Gemm", [before, f"w{place}", f"b{place}"], [after]))
        if not last:
            nodes.append(helper.make_node("Relu", [after], [f"out{place}"]))
        before = f"out{place}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("inputs", len(INPUTS)), ("quantiles", QUANTILES))
    ]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def rows() -> Iterator[tuple[View, str, Mapping[str, Any]]]:
    """A row for each route, airline, airport and some aircraft."""
    for view, entities in (
        (route_features.VIEW, ROUTES),
        (airline_features.VIEW, AIRLINES),
        (weather_features.VIEW, tuple(AIRPORTS)),
        (aircraft_features.VIEW, TAILS),
    ):
        for entity in entities:
            yield view, entity, values(view)


def values(view: View) -> dict[str, Any]:
    """Usual values of a view's columns, the first word of each category."""
    return {
        name: view.categories[name][0] if name in view.categories else DEFAULTS[name] + 1.0
        for name in view.columns
    }


def features(redis: Redis, prefix: str, seconds: int) -> int:
    """Write packed features of AS_OF under `prefix`, to expire after `seconds`; how many rows."""
    written = time.time()
    packed = {
        key(prefix, view, entity): pack(view, row, AS_OF.timestamp(), written)
        for view, entity, row in rows()
    }
    pipeline = redis.pipeline()
    for name, value in packed.items():
        pipeline.set(name, value, ex=seconds)
    pipeline.execute()
    return len(packed)


def main(argv: Sequence[str] | None = None) -> int:
    """Make what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", default="tiny-1")
    parser.add_argument("--trees", type=int, default=20)
    parser.add_argument("--usual", type=float, default=10.0, help="the delay that it expects")
    parser.add_argument("--features", type=int, metavar="SECONDS")
    options = parser.parse_args(argv)
    model(options.folder, options.version, options.trees, options.usual)
    if options.features:
        with Redis.from_url(os.environ["REDIS_URL"]) as redis:
            features(redis, os.environ["FLIGHTS_KEY_PREFIX"], options.features)
    return 0


if __name__ == "__main__":
    sys.exit(main())
