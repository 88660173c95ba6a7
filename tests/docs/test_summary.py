"""The course on one page has the figures of the manifest, the exercises and the transcripts.

After a change of lessons or exercises write the table anew with:
python3 learn.py test tests/docs/test_summary.py --renew-transcripts
"""

import re

import pytest

from course import manifest
from course.exercises import catalogue
from course.settings import ROOT
from tests.docs.pages import Page
from tests.smoke.transcripts import FOLDER
from tests.support import tracked_files

PAGE = Page("SUMMARY.md")
LESSONS = manifest.load()
MODULES = list(dict.fromkeys(entry.module for entry in LESSONS))
CLAIMS = re.compile(r"All claims hold: (\d+) checked")
TABLE = re.compile(r"(?<=^\|---\|---\|---\|---\|---\|---\|\n)(?:\|.*\n)+", re.MULTILINE)
TEST = re.compile(r"^ *(?:async )?def test_", re.MULTILINE)


def claims(lesson: str) -> int:
    """How many claims a lesson checks; a heavy one has no transcript."""
    file = FOLDER / f"{lesson.replace('/', '_')}.txt"
    found = CLAIMS.search(file.read_text(encoding="utf-8")) if file.exists() else None
    return int(found[1]) if found else 0


def row(name: str, lessons: list[manifest.Entry]) -> str:
    """What the table says of some lessons."""
    exercises = [e for e in catalogue.load() if e.lesson in {entry.id for entry in lessons}]
    checked = sum(claims(entry.id) for entry in lessons)
    cells = (
        name,
        len(lessons),
        sum(entry.minutes for entry in lessons),
        checked or "",
        len(exercises),
        sum(exercise.minutes for exercise in exercises),
    )
    return "| " + " | ".join(map(str, cells)) + " |\n"


def of_module(module: str) -> list[manifest.Entry]:
    return [entry for entry in LESSONS if entry.module == module]


def test_the_table_counts_lessons_claims_exercises_and_minutes(
    request: pytest.FixtureRequest,
) -> None:
    wanted = "".join(row(module, of_module(module)) for module in MODULES)
    wanted += row("**all**", list(LESSONS))
    if request.config.getoption("renew_transcripts"):
        text = TABLE.sub(lambda match: wanted, PAGE.text)
        (ROOT / "docs" / PAGE.name).write_text(text, encoding="utf-8", newline="\n")
    else:
        assert TABLE.findall(PAGE.text) == [wanted]


def test_the_levels_have_every_module_and_its_minutes() -> None:
    rows = PAGE.tables(PAGE.section("Levels"))[0]
    listed = [module for level in rows for module in level["modules"].split(", ")]
    assert listed == MODULES
    for level in rows:
        modules = level["modules"].split(", ")
        assert int(level["minutes"]) == sum(e.minutes for m in modules for e in of_module(m))
    assert [level["hours"] for level in rows] == ["3 to 4", "2 to 3", "self-study"]


def test_each_module_says_what_one_can_do_afterwards() -> None:
    assert re.findall(r"^- \*\*(.+)\*\*: \w", PAGE.text, re.MULTILINE) == MODULES


def test_there_are_as_many_tests_as_it_says() -> None:
    files = [file for file in tracked_files() if file.match("test_*.py")]
    count = sum(len(TEST.findall((ROOT / file).read_text(encoding="utf-8"))) for file in files)
    (said,) = re.findall(r"More than ([\d,]+) test functions", PAGE.text)
    assert 0 < count - int(said.replace(",", "")) < 400, count


def test_it_is_one_page() -> None:
    assert PAGE.text.count("\n") < 75
