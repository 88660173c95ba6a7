"""`dvc repro`: from nothing to a judged model, then only what has changed, and never bad data."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import yaml

from src.paths import PROJECT

if TYPE_CHECKING:
    from conftest import Pipeline, Ran

STAGES = ["simulate", "preprocess", "validate", "features", "training_stage", "evaluate", "compare"]
# These decide where files lie and not what is in them; parameters are watched one by one.
EVERYWHERE = {"src/params.py", "src/paths.py", "src/__init__.py", "features/__init__.py"}


def test_from_nothing_each_stage_runs_once_in_order(first_run: tuple[Pipeline, Ran]) -> None:
    pipeline, ran = first_run
    assert ran.stages == STAGES
    scores = json.loads((pipeline.home / "metrics/comparison.json").read_text())
    assert scores["xgboost_mae"] < scores["baseline_mae"]
    assert "# Data validation: all rules hold" in (
        pipeline.home / "reports/validation.md"
    ).read_text(encoding="utf-8")


def test_again_it_does_nothing(pipeline: Pipeline) -> None:
    ran = pipeline.run("dvc", "repro")
    assert (ran.code, ran.stages) == (0, [])
    assert "Data and pipelines are up to date." in ran.said


def test_what_the_readme_tells_of_dvc_is_so(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from dvc.cli import main

    monkeypatch.chdir(pipeline.home)
    for command, says in (
        ("status", "up to date"), ("metrics show", "ensemble_mae"), ("dag", "training_stage"),
    ):  # fmt: skip
        assert main(command.split()) == 0
        assert says in capfd.readouterr().out
    # They compare with a commit, and this copy of the project is in no repository of its own.
    for command in ("params diff", "metrics diff"):
        assert main(command.split()) != 0


def test_one_changed_parameter_reruns_what_depends_on_it(pipeline: Pipeline) -> None:
    """No delay is near the limit: what preprocess and validate write is the same as before, and
    what comes after them doesn't run."""
    pipeline.change("params.yaml", {"max_delay_minutes: 1440": "max_delay_minutes: 1439"})
    ran = pipeline.run("dvc", "repro")
    assert ran.code == 0, ran.said
    assert ran.stages == ["preprocess", "validate"]


def test_back_to_known_parameters_comes_from_the_cache(pipeline: Pipeline) -> None:
    """The first parameters are back, and their results are known."""
    pipeline.change("params.yaml", {"max_delay_minutes: 1440": "max_delay_minutes: 1438"})
    assert pipeline.run("dvc", "repro", "preprocess").stages == ["preprocess"]
    pipeline.change("params.yaml", {"max_delay_minutes: 1438": "max_delay_minutes: 1440"})
    ran = pipeline.run("dvc", "repro")
    assert (ran.code, ran.stages) == (0, []), ran.said
    assert "is cached - skipping run" in ran.said


def test_another_look_of_the_card_trains_nothing(pipeline: Pipeline, repository: Any) -> None:
    """Code is watched like parameters: this file is used by evaluate and compare."""
    file = pipeline.home / "src/model_card.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "# changed\n", encoding="utf-8")
    assert set(stale(repository, "src/model_card.py")) == {"evaluate", "compare"}
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("pattern", "new", "stages"),
    [
        ("seed: 2024", "seed: 7", {"simulate", "training_stage"}),
        ("train: 0.6", "train: 0.600001", {"simulate", "preprocess"}),
        ("max_delay_minutes: 1440", "max_delay_minutes: 1000", {"preprocess", "validate"}),
        ("route_days: 7", "route_days: 6", {"features"}),
        ("gaps: 0.15", "gaps: 0.2", {"training_stage"}),
        ("dropout: 0.1", "dropout: 0.2", {"training_stage"}),
        ("port: 9696", "port: 9697", set()),
    ],
)
def test_each_parameter_is_watched_where_it_is_used(
    pattern: str, new: str, stages: set[str], pipeline: Pipeline, repository: Any
) -> None:
    """The stages that read it themselves; those after them DVC judges by what comes out."""
    pipeline.change("params.yaml", {pattern: new})
    assert set(stale(repository, "params.yaml")) == stages


def stale(repository: Any, reason: str) -> Iterator[str]:
    """The stages that DVC would run because a file, `reason`, has changed."""
    for stage, changes in repository.status().items():
        if any(reason in what.get("changed deps", {}) for what in changes):
            yield stage.rpartition(":")[2]  # DVC names the file too, unless it is in this folder


@pytest.fixture(scope="module")
def repository(first_run: tuple[Pipeline, Ran]) -> Any:
    """DVC's own view of the copy: asking it in this process saves seconds a question."""
    from dvc.repo import Repo

    return Repo(str(first_run[0].home))


def test_bad_data_stop_the_pipeline(pipeline: Pipeline) -> None:
    """Somebody delivers seconds for minutes, in place of the simulator."""
    assert pipeline.run("dvc", "freeze", "simulate").code == 0
    file = pipeline.home / "data/raw/flights.parquet"
    flights = pd.read_parquet(file)
    flights["turnaround_minutes"] *= 60
    flights.to_parquet(file, index=False)
    before = (pipeline.home / "data/processed/features.parquet").read_bytes()
    ran = pipeline.run("dvc", "repro")
    assert ran.code != 0
    assert ran.stages == ["preprocess", "validate"]
    assert "flights.turnaround_minutes must hold: is between 0 and 720 minutes" in ran.said
    assert "failed to reproduce 'validate'" in ran.said
    assert (pipeline.home / "data/processed/features.parquet").read_bytes() == before
    assert pipeline.run("dvc", "unfreeze", "simulate").code == 0


def imported(file: Path) -> Iterator[Path]:
    """The project's own modules that a module imports, directly."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            found = PROJECT / f"{name.replace('.', '/')}.py"
            if found.exists():
                yield found


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_code_that_it_runs(stage: str) -> None:
    """Or a change of that code would leave old results in place."""
    steps = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    script = steps[stage]["cmd"].removeprefix("python ")
    todo, seen = [PROJECT / script], set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imported(file)
    needed = {str(file.relative_to(PROJECT)) for file in seen} - EVERYWHERE
    declared = [dep for dep in steps[stage]["deps"] if dep.startswith(("src", "features"))]
    assert [n for n in sorted(needed) if not covered(n, declared)] == []
    code = [dep for dep in declared if dep.endswith(".py")]
    lazily = {"src/mlflow_model.py"}  # MLflow gets its path, and runs it elsewhere
    assert set(code) - needed - lazily == set(), "the stage doesn't run these"


def covered(file: str, declared: list[str]) -> bool:
    """Whether a dep is the file, or a folder around it."""
    return any(file == dep or file.startswith(f"{dep}/") for dep in declared)
