"""Trees for the service: the same splits as XGBoost's, as a graph that onnxruntime runs.

XGBoost takes 0.1 ms to begin a prediction, however few rows there are, and its trees are spread
over the memory. For one flight at a time onnxruntime is about ten times as fast. Which of the two
answers makes no difference beyond the last digit of a float32: a test compares them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xgboost as xgb

# Fields of a node in the operator TreeEnsembleRegressor (ONNX ML, version 3).
LEAF, BELOW = "LEAF", "BRANCH_LT"
OPSET, ML_OPSET, IR_VERSION = 17, 3, 9


def convert(booster: xgb.Booster, inputs: int) -> Any:
    """The ONNX model of a booster for regression: `inputs` (n, inputs) → `minutes` (n, 1).

    Values must not be missing: `features.vector.as_matrix` fills them.
    """
    from onnx import TensorProto, helper

    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    node = helper.make_node(
        "TreeEnsembleRegressor", ["inputs"], ["minutes"], domain="ai.onnx.ml",
        n_targets=1, aggregate_function="SUM", post_transform="NONE", base_values=[base],
        **fields(learner["gradient_booster"]["model"]["trees"]),
    )  # fmt: skip
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("inputs", inputs), ("minutes", 1))
    ]
    graph = helper.make_graph([node], "trees", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def fields(trees: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The operator's fields for all nodes of all trees; a leaf's value stands apart."""
    found: dict[str, list[Any]] = {
        name: []
        for name in (
            "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values",
            "nodes_truenodeids", "nodes_falsenodeids", "nodes_missing_value_tracks_true",
            "target_treeids", "target_nodeids", "target_ids", "target_weights",
        )
    }  # fmt: skip
    for number, tree in enumerate(trees):
        for place, left in enumerate(tree["left_children"]):
            leaf = left == -1
            value = tree["split_conditions"][place]
            for name, one in (
                ("treeids", number),
                ("nodeids", place),
                ("featureids", 0 if leaf else tree["split_indices"][place]),
                ("modes", LEAF if leaf else BELOW),
                ("values", 0.0 if leaf else value),
                ("truenodeids", 0 if leaf else left),
                ("falsenodeids", 0 if leaf else tree["right_children"][place]),
                ("missing_value_tracks_true", int(bool(tree["default_left"][place]))),
            ):
                found[f"nodes_{name}"].append(one)
            if leaf:
                ends = (("treeids", number), ("nodeids", place), ("ids", 0), ("weights", value))
                for name, one in ends:
                    found[f"target_{name}"].append(one)
    return found


def write(trees: Path, file: Path, inputs: int) -> None:
    """Convert the booster in the file `trees` and write it to `file`."""
    from onnx import save

    save(convert(xgb.Booster(model_file=trees), inputs), file)
