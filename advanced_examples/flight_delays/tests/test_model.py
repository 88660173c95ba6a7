"""Models learn, and twice the same; a bundle loads where it serves, or says why it can't."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.vector import INPUTS, PLACE, as_matrix
from src import (
    bundle,
    compare_models,
    evaluate,
    model_data,
    network,
    params,
    paths,
    registry,
    train,
)
from src.ensemble import Weights, mixed, tune_weights, widen
from src.scores import score

PROJECT = Path(__file__).resolve().parents[1]


class Pipeline(NamedTuple):
    """A small pipeline from raw data to a comparison, run once for all tests."""

    home: Path
    chosen: dict[str, Any]
    parts: dict[str, model_data.Part]
    model: bundle.Bundle
    figures: dict[str, Any]


@pytest.fixture(scope="module")
def made(trained_home: Path) -> Iterator[Pipeline]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTS_HOME", str(trained_home))
        patch.setenv("FLIGHTS_PARAMS", str(trained_home / "params.yaml"))
        figures = json.loads((trained_home / "metrics" / "evaluation.json").read_text("utf-8"))
        model = bundle.Bundle.load(bundle.champion(paths.models()))
        yield Pipeline(trained_home, params.load(), model_data.load(), model, figures)


def test_the_ensemble_beats_the_mean_and_both_its_parts_on_validation(made: Pipeline) -> None:
    maes = {name: row["mae"] for name, row in made.model.metrics["validation"].items()}
    assert maes["ensemble"] <= min(maes["xgboost"], maes["network"])
    assert maes["ensemble"] * 1.4 < maes["baseline"]


def test_nobody_beats_the_best_reachable(made: Pipeline) -> None:
    models = made.figures["models"]
    best = models.pop("best reachable")
    assert all(best["mae"] < row["mae"] for row in models.values())
    assert models["ensemble"]["over_best"] == pytest.approx(
        models["ensemble"]["mae"] / best["mae"] - 1, abs=1e-3
    )


class Again(NamedTuple):
    """A second training, and its files."""

    trained: train.Trained
    folder: Path


@pytest.fixture(scope="module")
def again(made: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Again:
    folder = tmp_path_factory.mktemp("again")
    trained = train.train(made.parts, made.chosen)
    trained.trees.save_model(folder / bundle.TREES)
    network.export(trained.network, len(INPUTS), folder / bundle.NETWORK)
    return Again(trained, folder)


@pytest.mark.parametrize("name", [bundle.TREES, bundle.NETWORK])
def test_two_trainings_agree_bit_for_bit(made: Pipeline, again: Again, name: str) -> None:
    assert bundle.sha256(again.folder / name) == made.model.about["files"][name]


def test_the_exported_network_says_what_the_trained_one_said(made: Pipeline, again: Again) -> None:
    matrix = made.parts["test"].matrix
    for some in (matrix, matrix[:1], matrix[:7]):
        expected = network.predict(again.trained.network, some)
        np.testing.assert_allclose(made.model.quantiles(some), expected, rtol=1e-4, atol=1e-3)


def test_intervals_and_confidence_keep_what_they_promise(made: Pipeline) -> None:
    sure = made.figures["interval"]
    assert sure["coverage"] == pytest.approx(sure["promised"], abs=0.07)
    assert sure["within_15_minutes"] == pytest.approx(sure["confidence"], abs=0.07)


def test_the_less_it_knows_the_less_sure_it_is(made: Pipeline) -> None:
    missing = made.figures["missing"]
    assert missing["everything"]["confidence"] < missing["nothing"]["confidence"] - 0.02
    assert missing["everything"]["interval_minutes"] > missing["nothing"]["interval_minutes"]
    assert missing["everything"]["coverage"] == pytest.approx(0.8, abs=0.1)


def test_one_row_alone_equals_the_same_row_among_many(made: Pipeline) -> None:
    matrix = made.parts["test"].matrix[:50]
    together = made.model.predict(matrix)
    for place in (0, 17, 49):
        alone = made.model.predict(matrix[place : place + 1])
        for one, many in zip(alone, together, strict=True):
            assert one[0] == pytest.approx(many[place], abs=1e-3)


def test_contributions_sum_to_what_the_trees_say(made: Pipeline) -> None:
    matrix = made.parts["test"].matrix[:200]
    contributions = made.model.explain(matrix)
    assert contributions.shape == (200, len(INPUTS) + 1)
    np.testing.assert_allclose(contributions.sum(axis=1), made.model.by_trees(matrix), atol=1e-2)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (3, len(INPUTS)), elements=st.floats(-1e5, 1e5, width=32)))
def test_any_input_gets_an_ordered_answer(made: Pipeline, matrix: np.ndarray) -> None:
    said = made.model.predict(matrix)
    assert all(np.isfinite(column).all() for column in said)
    assert (said.low <= said.delay_minutes).all()
    assert (said.delay_minutes <= said.high).all()
    assert ((said.confidence >= 0) & (said.confidence <= 1)).all()


def test_what_is_no_input_is_refused(made: Pipeline) -> None:
    with pytest.raises(ValueError, match=f"rows of {len(INPUTS)} inputs"):
        made.model.predict(np.zeros((2, 3), np.float32))
    holed = np.zeros((2, len(INPUTS)), np.float32)
    holed[1, PLACE["origin_hub"]] = np.nan
    with pytest.raises(ValueError, match="Row 1: origin_hub"):
        made.model.predict(holed)


def copied(model: bundle.Bundle, folder: Path) -> Path:
    bundle.put(model.folder, folder / "copy")
    return folder / "copy"


def test_a_changed_file_is_refused(made: Pipeline, tmp_path: Path) -> None:
    folder = copied(made.model, tmp_path)
    trees = folder / bundle.TREES
    trees.write_bytes(trees.read_bytes()[:-10])
    with pytest.raises(bundle.BundleError, match=r"registry\.py fetch v1"):
        bundle.Bundle.load(folder)


def test_a_torn_description_is_refused(made: Pipeline, tmp_path: Path) -> None:
    folder = copied(made.model, tmp_path)
    (folder / bundle.ABOUT).write_text('{"format":', encoding="utf-8")
    with pytest.raises(bundle.BundleError, match="can't be read"):
        bundle.Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "format 99"),
        ({"inputs": [*INPUTS[1:], "phase_of_the_moon"]}, "phase_of_the_moon"),
    ],
)
def test_a_bundle_of_another_time_is_refused(
    made: Pipeline, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    folder = copied(made.model, tmp_path)
    about = json.loads((folder / bundle.ABOUT).read_text("utf-8")) | change
    (folder / bundle.ABOUT).write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(bundle.BundleError, match=says):
        bundle.Bundle.load(folder)


def test_no_model_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(bundle.BundleError, match=r"python src/train\.py"):
        bundle.champion(tmp_path)
    with pytest.raises(bundle.BundleError, match=r"python src/train\.py"):
        bundle.Bundle.load(tmp_path)


def test_it_loads_where_it_serves_without_torch_and_mlflow(made: Pipeline, tmp_path: Path) -> None:
    serving = PROJECT / "environments" / "serving" / ".venv"
    pythons = [serving / "bin/python", serving / "Scripts/python.exe", Path(sys.executable)]
    python = next(file for file in pythons if file.exists())
    banned = "torch", "mlflow", "feast", "sklearn", "pandas"
    matrix = made.parts["test"].matrix[:20]
    np.save(tmp_path / "rows.npy", matrix)
    code = (
        "import sys, numpy as np; from src.bundle import Bundle\n"
        f"said = Bundle.load({str(made.model.folder)!r}).predict(np.load('rows.npy'))\n"
        f"assert not set({banned}) & set(sys.modules), sorted(sys.modules)\n"
        "np.save('said.npy', np.stack(said))"
    )
    subprocess.run([python, "-c", code], check=True, cwd=tmp_path, timeout=120)
    np.testing.assert_allclose(
        np.load(tmp_path / "said.npy"), np.stack(made.model.predict(matrix)), atol=1e-3
    )


def test_the_registry_serves_the_same_model_and_its_aliases_move(made: Pipeline) -> None:
    store = registry.client()
    import mlflow

    loaded = mlflow.pyfunc.load_model(f"models:/{registry.NAME}@{registry.CHAMPION}")
    matrix = made.parts["test"].matrix[:20]
    expected = np.stack(made.model.predict(matrix), axis=1)
    np.testing.assert_allclose(loaded.predict(matrix), expected, atol=1e-4)
    required = mlflow.pyfunc.get_model_dependencies(f"models:/{registry.NAME}@champion")
    assert "torch" not in Path(required).read_text("utf-8")

    def registered() -> str:
        name = registry.next_version(store)
        folder = copied(made.model, made.home / "spare")
        about = made.model.about | {"version": name}
        bundle.seal(folder, {k: v for k, v in about.items() if k not in ("format", "files")})
        registry.register(store, folder, {"seed": 1}, {"mae": 1.0}, {"curve": [2.0, 1.0]})
        return name

    worse = registered()
    registry.admit(store, worse, registry.by_validation(mae=9.0, rival=8.0))
    assert registry.holder(store, registry.CHALLENGER) == worse == "v2"
    assert bundle.champion(paths.models()).name == "v1"
    better = registered()
    registry.admit(store, better, registry.by_validation(mae=8.0, rival=8.0))
    assert bundle.champion(paths.models()).name == better == "v3"
    assert bundle.Bundle.load(paths.models() / better).version == better  # fetched for it
    assert registry.rollback(store) == "v1"
    assert bundle.champion(paths.models()).name == "v1"
    assert registry.main(["promote", "v3"]) == 0
    assert bundle.champion(paths.models()).name == "v3"
    assert registry.main(["rollback"]) == 0
    assert bundle.champion(paths.models()).name == "v1"
    assert registry.main(["fetch", "v2"]) == 0
    assert registry.main(["list"]) == 0
    assert registry.main(["promote", "v77"]) == 1
    assert registry.main(["promote", "best"]) == 1


def test_reports_and_charts_are_there(made: Pipeline) -> None:
    card = (made.home / "reports" / "model_card.md").read_text("utf-8")
    comparison = (made.home / "reports" / "comparison.md").read_text("utf-8")
    for words in ("best reachable", "simulated", "within 15 min", "## Limits"):
        assert words in card
    for words in ("11.5 / 26.8 / 0.81", "of other data", "| AA |"):
        assert words in comparison
    for name in ("models", "importance", "shap", "calibration"):
        assert (made.home / "plots" / f"{name}.png").stat().st_size > 5_000
    for name in ("network_epochs", "xgboost_rounds", "importance", "calibration"):
        assert (made.home / "plots" / f"{name}.csv").read_text("utf-8").count("\n") > 2


def test_the_best_prediction_is_never_an_input(made: Pipeline) -> None:
    frame_names = set(made.parts["train"].columns) | set(INPUTS)
    assert not [name for name in frame_names if "oracle" in name or "best" in name]
    assert "actual_delay_minutes" not in frame_names
    assert "target" not in frame_names


def test_real_data_have_no_best_prediction(made: Pipeline) -> None:
    test = made.parts["test"]._replace(best=None)
    figures = evaluate.evaluate(made.model, test)
    assert figures["models"]["ensemble"]["over_best"] is None
    says = compare_models.comparison(figures)
    assert "unknown" in says
    compare_models.show(figures)


def test_missing_sources_leave_the_rest_alone(made: Pipeline) -> None:
    columns = made.parts["test"].columns
    gone = as_matrix(model_data.without(columns, ("weather",)))
    whole = made.parts["test"].matrix
    assert gone[:, PLACE["weather_missing"]].all()
    for name in ("airline_AA", "own_delay_365d", "inbound_delay_minutes", "clock"):
        np.testing.assert_array_equal(gone[:, PLACE[name]], whole[:, PLACE[name]])


def test_the_named_preset_and_no_other(made: Pipeline) -> None:
    named = train.network_settings({"network": {"preset": "named", "layers": [256, 128, 64]}})
    assert (named["epochs"], named["batch_size"], named["learning_rate"]) == (50, 32, 0.001)
    assert named["patience"] >= named["epochs"]
    with pytest.raises(params.ParamsError, match="default or named"):
        train.network_settings({"network": {"preset": "huge"}})


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_tuned_weights_are_no_worse_than_the_start(seed: int, start: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=60)
    one, two = truth + rng.normal(size=60), truth + rng.normal(size=60)
    begin = round(start, 2), 1 - round(start, 2)
    tuned = tune_weights(one, two, truth, begin)
    assert tuned.trees + tuned.network == pytest.approx(1)

    def mae(weights: Weights) -> float:
        return float(np.abs(mixed(one, two, weights) - truth).mean())

    assert mae(tuned) <= mae(Weights(*begin)) + 1e-12
    with pytest.raises(ValueError, match="start_weights"):
        tune_weights(one, two, truth, (0.9, 0.9))


@given(st.integers(0, 2**32 - 1), st.integers(20, 400), st.floats(0.5, 0.95))
@settings(max_examples=50, deadline=None)
def test_widened_intervals_hold_at_least_the_level(seed: int, size: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    middle, truth = rng.normal(size=size), rng.normal(size=size)
    low, high = middle - rng.random(size), middle + rng.random(size)
    more = widen(low, high, truth, level)
    inside = (truth >= low - more - 1e-9) & (truth <= high + more + 1e-9)
    assert inside.mean() >= level


def test_scores_of_known_errors() -> None:
    got = score(np.array([0.0, 10.0]), np.array([3.0, 6.0]), np.array([0.0, 8.0]))
    assert got.mae == 3.5
    assert got.rmse == pytest.approx(np.sqrt(12.5), abs=1e-4)
    assert got.r2 == pytest.approx(1 - 25 / 50)
    assert got.over_best == pytest.approx(2.5)
    assert got.share == pytest.approx(1 / 3.5, abs=1e-4)
    with pytest.raises(ValueError, match="3 predictions for 2 flights"):
        score(np.zeros(2), np.zeros(3))


@pytest.mark.parametrize("stage", [train, evaluate, compare_models])
def test_a_stage_without_the_one_before_says_what_to_run(
    stage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert stage.main([]) == 1
    assert "python src/" in capsys.readouterr().err
