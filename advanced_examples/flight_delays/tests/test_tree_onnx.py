"""The trees' fast form says what XGBoost says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_model

from features.vector import INPUTS
from src.bundle import Bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("models")
    tiny_model.model(folder, trees=60)
    return Bundle.load(folder / "tiny-1")


def test_both_forms_of_the_trees_agree(bundle: Bundle) -> None:
    rows = np.random.default_rng(5).normal(size=(20_000, len(INPUTS))) * 20
    matrix = rows.astype(np.float32)
    asked = bundle.trees.inplace_predict(matrix, validate_features=False)
    np.testing.assert_allclose(bundle.by_trees(matrix), asked, rtol=0, atol=1e-3)


def test_a_value_on_the_very_border_goes_the_same_way(bundle: Bundle) -> None:
    borders = bundle.trees.trees_to_dataframe().query("Feature != 'Leaf'")
    matrix = np.zeros((len(borders), len(INPUTS)), dtype=np.float32)
    places = [INPUTS.index(name) for name in borders["Feature"]]
    matrix[np.arange(len(borders)), places] = borders["Split"].to_numpy(np.float32)
    asked = bundle.trees.inplace_predict(matrix, validate_features=False)
    np.testing.assert_allclose(bundle.by_trees(matrix), asked, rtol=0, atol=1e-3)


def test_the_fast_form_is_sealed_like_the_rest(bundle: Bundle) -> None:
    assert set(bundle.about["files"]) == {"xgboost.ubj", "trees.onnx", "network.onnx"}
    assert Path(bundle.folder / "trees.onnx").exists()
