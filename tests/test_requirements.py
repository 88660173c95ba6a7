"""The pins are one consistent set: they begin with the course, fit the ranges, and agree."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from course.settings import ROOT

FILES = ["requirements.txt", "requirements-dev.txt", "requirements-notebook.txt"]


def lines(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins(name: str) -> dict[str, set[str]]:
    """Each package's lines by its name (a package may have several, by environment marker)."""
    found: dict[str, set[str]] = {}
    for line in lines(name):
        if not line.startswith("-"):
            found.setdefault(Requirement(line).name, set()).add(line)
    return found


def test_the_first_line_makes_course_importable_anywhere() -> None:
    assert lines("requirements.txt")[0] == "-e ."
    assert all(lines(name)[0] == "-r requirements.txt" for name in FILES[1:])


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_an_exact_version(name: str) -> None:
    for line in lines(name)[1:]:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line), line


def test_no_two_files_disagree() -> None:
    """A package may stand in two files with different markers, but never in two versions."""
    versions: dict[str, set[str]] = {}
    for name in FILES:
        for package, found in pins(name).items():
            versions.setdefault(package, set()).update(line.split(" ;")[0] for line in found)
    by_python = {
        package for name in FILES for package, found in pins(name).items() if len(found) > 1
    }
    assert {package for package, found in versions.items() if len(found) > 1} <= by_python


@pytest.mark.parametrize(
    ("extra", "files"), [("lessons", FILES[:1]), ("dev", FILES[:2]), ("notebook", FILES)]
)
def test_pins_lie_in_the_ranges_of_pyproject(extra: str, files: list[str]) -> None:
    project = tomllib.loads(Path(ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = {package: found for name in files for package, found in pins(name).items()}
    for text in project["project"]["optional-dependencies"][extra]:
        wanted = Requirement(text)
        for line in pinned[wanted.name]:
            version = next(iter(Requirement(line).specifier)).version
            assert wanted.specifier.contains(version), (text, line)
