"""One small run of the whole pipeline, from which all integration tests start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from src.paths import PROJECT

FLIGHTS = 5_000
CODE = (".dvc/config", ".dvcignore", "dvc.yaml", "params.yaml", "src", "features", "feature_repo")
# Less to learn, so that it takes seconds: how well is another test's subject.
SMALLER = {"flights: .*": f"flights: {FLIGHTS}", "n_estimators: .*": "n_estimators: 30",
           " epochs: .*": " epochs: 2"}  # fmt: skip


class Ran(NamedTuple):
    """What a command said, both streams together, and its exit code."""

    code: int
    said: str

    @property
    def stages(self) -> list[str]:
        """The stages that DVC ran."""
        return re.findall(r"^Running stage '(\w+)'", self.said, re.MULTILINE)


class Pipeline(NamedTuple):
    """A copy of the project in which the pipeline may run."""

    home: Path

    def run(self, *command: str) -> Ran:
        """Run a command there: `dvc ...` or a script of the project."""
        scripts = Path(sys.executable).parent
        program = scripts / "dvc" if command[0] == "dvc" else sys.executable
        rest = command[1:] if command[0] == "dvc" else command
        done = subprocess.run(
            [str(program), *rest], cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=280,
            env={
                **os.environ, "FLIGHTS_HOME": str(self.home), "PYTHONPATH": str(self.home),
                "FLIGHTS_PARAMS": str(self.home / "params.yaml"),
                "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            },
        )  # fmt: skip
        return Ran(done.returncode, done.stdout)

    def change(self, file: str, changes: dict[str, str]) -> None:
        """Change a file of the copy; each pattern must fit once and change something."""
        path = self.home / file
        text = path.read_text(encoding="utf-8")
        for pattern, new in changes.items():
            changed, count = re.subn(pattern, new, text)
            assert count == 1 and changed != text, f"{pattern} fits {count} times in {file}"
            text = changed
        path.write_text(text, encoding="utf-8")


def copy_of_the_project(home: Path) -> Pipeline:
    """A copy with all that the pipeline needs, and small parameters."""
    for name in CODE:
        source, target = PROJECT / name, home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    pipeline = Pipeline(home)
    pipeline.change("params.yaml", SMALLER)
    return pipeline


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Ran]:
    """The pipeline after `dvc repro` from nothing, and what that said."""
    pipeline = copy_of_the_project(tmp_path_factory.mktemp("pipeline"))
    ran = pipeline.run("dvc", "repro")
    assert ran.code == 0, ran.said
    return pipeline, ran


@pytest.fixture
def pipeline(first_run: tuple[Pipeline, Ran]) -> Iterator[Pipeline]:
    """The pipeline as it has run; parameters that a test changes are put back."""
    made, _ = first_run
    file = made.home / "params.yaml"
    text = file.read_text(encoding="utf-8")
    yield made
    file.write_text(text, encoding="utf-8")
