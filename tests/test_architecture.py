"""Floors and rooms: who may import whom, and that ARCHITECTURE.md tells what is there."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from course import manifest
from course.settings import ROOT
from tests.support import tracked_files

PYTHON_FILES = [file for file in tracked_files() if file.suffix == ".py"]
COURSE = [file for file in PYTHON_FILES if file.parts[0] == "course"]
LESSON_FOLDERS = {entry.path.split("/")[0] for entry in manifest.load()}
LESSON_FILES = [file for file in PYTHON_FILES if file.parts[0] in LESSON_FOLDERS]
# package beside a lesson → the module's folder in which it stands
PACKAGES = {
    file.parent.name: file.parent.parent
    for file in LESSON_FILES
    if file.name == "__init__.py" and not (ROOT / file.parent.parent / "__init__.py").exists()
}
KIT = ["lesson", "console", "manifest", "settings", "errors"]


def imports(file: Path, only_top: bool = False) -> Iterator[str]:
    """The modules that a file imports; `only_top` leaves out those inside functions."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    nodes = tree.body if only_top else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", COURSE, ids=str)
def test_course_imports_no_lesson_and_no_test(file: Path) -> None:
    tops = {name.split(".")[0] for name in imports(file)}
    assert not tops & {*LESSON_FOLDERS, *PACKAGES, "tests", "learn"}


def test_the_stack_knows_nothing_of_lessons() -> None:
    allowed = {"course.errors", "course.settings", "course.stack"}
    for file in COURSE:
        if file.parts[1] == "stack":
            for name in imports(file):
                if name.startswith("course."):
                    assert any(name == a or name.startswith(a + ".") for a in allowed), (file, name)


@pytest.mark.parametrize("name", KIT)
def test_the_kit_imports_the_standard_library_only(name: str) -> None:
    for module in imports(Path("course") / f"{name}.py", only_top=True):
        assert module.split(".")[0] in {*sys.stdlib_module_names, "course"}, module


def test_the_front_door_imports_nothing_of_the_project() -> None:
    for module in imports(Path("learn.py")):
        assert module.split(".")[0] in sys.stdlib_module_names, module


@pytest.mark.parametrize("file", LESSON_FILES, ids=str)
def test_a_lesson_imports_no_lesson(file: Path) -> None:
    assert not any(re.search(r"(^|\.)\d\d_", name) for name in imports(file))


@pytest.mark.parametrize("file", LESSON_FILES, ids=str)
def test_a_module_imports_no_package_of_another_module(file: Path) -> None:
    tops = {name.split(".")[0] for name in imports(file)}
    assert all(PACKAGES[name] in file.parents for name in tops & set(PACKAGES))


@pytest.mark.parametrize("file", PYTHON_FILES, ids=str)
def test_files_are_rooms_not_halls(file: Path) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "two rooms in one?"
    assert "sys.path.insert" not in text or file.parts[0] == "tests"
    assert ast.get_docstring(ast.parse(text)) or text.count("\n") <= 20, "no docstring"


def test_the_architecture_page_names_every_room() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for file in COURSE:
        room = Path(*file.parts[:2])
        if room.name not in ("__init__.py", "__main__.py", "errors.py"):
            assert f"`{room.as_posix()}`" in page, f"{room} is not on the page"
    for name in PACKAGES:
        assert f"`{name}`" in page, f"{name} is not on the page"
