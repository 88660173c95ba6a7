"""Module 6 needs Python and the course's kit, and nothing else that one would have to install."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from course import manifest
from course.settings import ROOT
from tests.support import run_python, tracked_files
from tests.test_classic_path import fresh_environment, run_lesson

FOLDER = Path("advanced_edition")
FILES = [file for file in tracked_files() if file.parts[0] == FOLDER.name and file.suffix == ".py"]
OWN = {part for file in FILES for part in (file.parent.name, file.stem)} | {"course"}
# Ways out of the standard library that a lesson offers, and is whole without.
OPTIONS = {
    "dask", "distributed", "duckdb", "fasteners", "matplotlib", "psutil", "redis", "waitress",
}  # fmt: skip
LESSONS = [entry for entry in manifest.load() if entry.path.startswith(f"{FOLDER.name}/")]


def imported(nodes: list[ast.stmt]) -> Iterator[str]:
    """The top-level names that these statements import, those in functions included."""
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_subject_is_made_of_the_standard_library(file: Path) -> None:
    statements = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    known = {*sys.stdlib_module_names, *OWN}
    at_once = [node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
    assert set(imported(at_once)) <= known
    assert set(imported(statements)) <= known | OPTIONS


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the course and no other package."""
    return fresh_environment(tmp_path_factory.mktemp("bare"), "--no-deps", "-e", str(ROOT))


@pytest.mark.parametrize("entry", LESSONS, ids=lambda entry: entry.id)
def test_a_lesson_runs_where_nothing_is_installed(entry: manifest.Entry, bare_python: Path) -> None:
    assert "All claims hold" in run_lesson(bare_python, entry.file)


@pytest.mark.parametrize("entry", LESSONS, ids=lambda entry: entry.id)
def test_a_wrong_tier_is_named(entry: manifest.Entry) -> None:
    ran = run_python(entry.path, "--fast", ADVANCED_TIER="huge")
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert ran.stderr == (
        "'huge' is no tier. Choose one of development, test, staging, production, benchmark.\n"
    )
