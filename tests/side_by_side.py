"""Which tests one worker takes, in turn, and in which order the workers take them.

A lesson has one schema and one place among the keys and queues: all that runs it stays together,
or one run would wait for another and say so. Otherwise a file stays together, with its fixtures.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

from course import manifest
from course.manifest import Entry
from course.settings import ROOT

TESTS = ROOT / "tests"
LESSONS_AS_PROCESSES = "tests/smoke/test_lessons.py"
# Fixtures of a session that start a stack: the files that use one share it.
SHARED_FIXTURES = ("shared_stack",)
# What takes longest begins first, or the last worker would go on alone. After these come the
# lessons, then all other files.
FIRST = (
    "test_project_integration",
    "test_project_unit",
    "test_project_operation",
    "test_dbt",
    "test_classic_path",
    "test_learn",
    "test_cli",
    "shared_stack",
    "notebooks/07",
    "test_stored",
)


class ByGroup(LoadScopeScheduling):
    """Hands whole groups to the workers.

    xdist's own `loadgroup` writes the group into a test's name, which pytest 9.2 takes no notice of
    (https://github.com/pytest-dev/pytest-xdist/issues/1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(test: str) -> str:
    """The group of a test, by its name as pytest writes it: its lesson, or its file."""
    file, _, name = test.partition("::")
    group, lesson = groups(), name.partition("[")[2].removesuffix("]")
    if file == LESSONS_AS_PROCESSES:
        return {entry.id: group[entry.file] for entry in manifest.load()}.get(lesson, file)
    return group.get(ROOT / file, Path(file).stem)


def place(test: str) -> int:
    """Where the test's group stands in the order."""
    group = group_of(test)
    if group in FIRST:
        return FIRST.index(group)
    return len(FIRST) + (group not in {entry.id for entry in manifest.load()})


@cache
def groups() -> dict[Path, str]:
    """The groups of the lessons, and of the test files that belong to one or share a fixture.

    Lessons that share a test file share a group, which has the name of the first of them.
    """
    group = {entry.file: entry.id for entry in manifest.load()}
    for file in files_with_tests():
        text = file.read_text(encoding="utf-8")
        together = {group[entry.file] for entry in lessons_of(file, text)}
        together |= {name for name in SHARED_FIXTURES if f"{name}: " in text}
        if together:
            first = group[file] = min(together)
            group.update({key: first for key, name in group.items() if name in together})
    return group


def files_with_tests() -> list[Path]:
    """The files of tests: in the folder of the tests and in its rooms, no deeper."""
    return sorted([*TESTS.glob("test_*.py"), *TESTS.glob("*/test_*.py")])


def lessons_of(file: Path, text: str) -> Iterator[Entry]:
    """The lessons of a test file: those of its room whose number it bears or whose file it names.

    The tests of `a/b/01_first.py` stand in the room `tests/b`.
    """
    for entry in manifest.load():
        lesson = entry.file
        numbered = file.name.startswith(f"test_{lesson.name[:3]}")
        if lesson.parent.name == file.parent.name and (numbered or lesson.name in text):
            yield entry
