"""Who shares a worker: the runs of one lesson, the users of a shared stack, a file's tests."""

import re

import pytest

from course import manifest
from course.settings import ROOT
from tests.side_by_side import (
    FIRST,
    LESSONS_AS_PROCESSES,
    TESTS,
    files_with_tests,
    group_of,
    groups,
    lessons_of,
)
from tests.support import run_python

FILES = files_with_tests()


def test_all_that_runs_a_lesson_is_in_one_group() -> None:
    for file in FILES:
        lessons = lessons_of(file, file.read_text(encoding="utf-8"))
        assert {groups()[entry.file] for entry in lessons} <= {groups().get(file)}, file
    for entry in manifest.load():
        for name in ("passes", "passes_again_and_tells_the_same_story"):
            test = f"{LESSONS_AS_PROCESSES}::test_lesson_{name}[{entry.id}]"
            assert group_of(test) == groups()[entry.file]


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("python_db/test_06_as_a_script.py::test_it", "db/06"),  # by its number
        ("python_db/test_db_connection.py::test_it[a::b]", "db/05"),  # by the lesson that it names
        ("async_examples/test_as_scripts.py::test_it", "async/01"),  # names two lessons
        ("async_examples/test_async_http_client.py::test_it", "async/01"),  # and joins their files
        ("async_examples/test_03_async_database.py::test_it", "async/03"),
        ("stack/test_embedded.py::test_it", "shared_stack"),
        ("stack/test_faults.py::test_it[0]", "shared_stack"),
        ("test_classic_path.py::test_it", "test_classic_path"),  # names lessons of other rooms
        ("course/test_manifest.py::test_it", "test_manifest"),
        ("smoke/test_lessons.py::test_no_transcript", LESSONS_AS_PROCESSES),
    ],
)
def test_a_test_file_belongs_to_the_lessons_of_its_room(test: str, group: str) -> None:
    assert group_of(f"tests/{test}") == group


def test_what_begins_first_is_there() -> None:
    assert set(FIRST) <= {group_of(f"{file.relative_to(ROOT).as_posix()}::test") for file in FILES}


def test_the_workers_take_whole_groups() -> None:
    files = ("test_requirements.py", "course/test_console.py", "course/test_sqlfile.py")
    options = ["-n", "3", "--dist", "loadgroup", "-v"]
    ended = run_python("-m", "pytest", *options, *(TESTS / file for file in files))
    taken = set(re.findall(r"^\[(gw\d)\].*(?:PASSED|FAILED) tests/(.*?)::", ended.stdout, re.M))
    assert sorted(file for _, file in taken) == sorted(files), ended.stdout
