"""The lesson plan is of the lessons: each has its section, and its minutes fall on its steps."""

import re
from itertools import pairwise

import pytest

from course import manifest
from course.manifest import Entry
from course.settings import ROOT
from tests.docs.pages import Page

PLAN = Page("LESSON_PLAN.md")
SECTION = re.compile(r"^### `(\S+)` (.+)\n\n((?:(?!^##).*\n)*)", re.MULTILINE)
ROW = re.compile(r"^\| (\d+)(?:–(\d+))? \| (\d+) \| .+ \|$", re.MULTILINE)
HEADING = re.compile(r"^(\d+)  \S.*\n(?:.+\n)?─+$", re.MULTILINE)
SECTIONS = {name: (title, text) for name, title, text in SECTION.findall(PLAN.text)}
LESSONS = {entry.id: entry for entry in manifest.load()}


def rows(lesson: str) -> list[tuple[int, int, int]]:
    """(first step, last step, minutes) of each line of a lesson's table."""
    found = ROW.findall(SECTIONS[lesson][1])
    return [(int(first), int(last or first), int(minutes)) for first, last, minutes in found]


def steps(entry: Entry) -> int:
    """How many steps a lesson has, by its transcript; heavy lessons have none: by their script."""
    transcript = ROOT / "tests" / "transcripts" / f"{entry.id.replace('/', '_')}.txt"
    if transcript.exists():
        return int(HEADING.findall(transcript.read_text(encoding="utf-8"))[-1])
    script = entry.file.read_text(encoding="utf-8")
    parts = re.search(r"for part in \((.*?)\):", script, re.DOTALL)
    assert parts
    in_loop = len([name for name in parts[1].split(",") if name.strip()])
    return script.count("lesson.step(") - 1 + in_loop


def test_every_lesson_has_its_section_in_teaching_order() -> None:
    assert list(SECTIONS) == list(LESSONS)
    assert {name: title for name, (title, _) in SECTIONS.items()} == {
        name: entry.title for name, entry in LESSONS.items()
    }


@pytest.mark.parametrize("lesson", LESSONS)
def test_minutes_and_steps_add_up(lesson: str) -> None:
    table = rows(lesson)
    assert sum(minutes for _, _, minutes in table) == LESSONS[lesson].minutes
    assert table[0][0] == 1
    assert all(after[0] == before[1] + 1 for before, after in pairwise(table))
    assert table[-1][1] == steps(LESSONS[lesson])


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_section_helps_in_front_of_a_class(lesson: str) -> None:
    notes = re.findall(r"^- \*\*(\S.*?)\.\*\*", SECTIONS[lesson][1], re.MULTILINE)
    assert notes == ["Skip", "Pitfall", "Ask", "When it breaks"]
    assert "**Answer.**" in SECTIONS[lesson][1]
