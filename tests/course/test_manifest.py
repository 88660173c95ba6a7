"""The list of lessons is true, and its checker finds what would make it untrue."""

from pathlib import Path

import pytest

from course import manifest
from course.errors import CourseError

GOOD = '''"""Good title.

Run      python module/01_good.py
Needs    Redis
Minutes  10
Next     README.md
"""
'''
ENTRY = """
[[lesson]]
id = "module/01"
path = "module/01_good.py"
module = "Module"
title = "Good title"
minutes = 10
services = ["redis"]
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A root with one good lesson and its manifest."""
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "01_good.py").write_text(GOOD)
    (tmp_path / "README.md").touch()
    (tmp_path / "lessons.toml").write_text(ENTRY)
    return tmp_path


def problems(house: Path) -> str:
    return "\n".join(manifest.problems(house, house / "lessons.toml"))


def test_the_manifest_of_the_course_is_true() -> None:
    assert manifest.problems() == []


def test_a_good_house_has_no_problems(house: Path) -> None:
    assert problems(house) == ""


def test_a_stray_lesson_is_found(house: Path) -> None:
    (house / "module" / "02_stray.py").touch()
    (house / "module" / "03_stray.sql").touch()
    assert "module/02_stray.py looks like a lesson" in problems(house)
    assert "module/03_stray.sql looks like a lesson" in problems(house)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Good title", "Other title", "the manifest 'Good title'"),
        ("Needs    Redis", "Needs    nothing", "it needs 'nothing', the manifest 'Redis'"),
        ("Minutes  10", "Minutes  11", "says 11 minutes, the manifest 10"),
        ("python module/01_good.py", "python other.py", "Run line names neither"),
        ("README.md", "missing.md", "names no file: 'missing.md'"),
        ("Next     README.md\n", "", "Next line names no file: ''"),
    ],
)
def test_a_docstring_that_disagrees_is_found(house: Path, old: str, new: str, says: str) -> None:
    (house / "module" / "01_good.py").write_text(GOOD.replace(old, new))
    assert says in problems(house)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["redis"]', '["reddis"]', "unknown service reddis"),
        ('"Good title"', '""', "title or module is missing"),
        ('"module/01"', '"Module 1"', "the id is not module/number"),
        ("01_good.py", "04_gone.py", "module/04_gone.py does not exist"),
        ("minutes = 10", 'minutes = 10\nafter = ["no/01"]', "its prerequisite no/01"),
    ],
)
def test_a_wrong_entry_is_found(house: Path, old: str, new: str, says: str) -> None:
    (house / "lessons.toml").write_text(ENTRY.replace(old, new))
    assert says in problems(house)


def test_two_lessons_with_one_id_are_found(house: Path) -> None:
    (house / "lessons.toml").write_text(ENTRY + ENTRY)
    assert "two lessons share an id" in problems(house)


@pytest.mark.parametrize("line", ["minutes = 10", 'title = "Good title"'])
def test_a_missing_field_is_named(house: Path, line: str) -> None:
    (house / "lessons.toml").write_text(ENTRY.replace(line, ""))
    with pytest.raises(CourseError, match=rf"lesson module/01: .*{line.split()[0]}"):
        manifest.load(house / "lessons.toml")


def test_lessons_are_found_by_id_path_and_part_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def ids(words: str) -> list[str]:
        return [entry.id for entry in manifest.matching(words)]

    assert ids("async/01") == ["async/01"]
    assert ids("async_basics") == ["async/01"]
    assert ids("Async Basics") == ["async/01"]
    assert ids("async_examples/01_async_basics.py") == ["async/01"]
    monkeypatch.chdir(manifest.ROOT / "async_examples")
    assert ids("01_async_basics.py") == ["async/01"]
    assert len(ids("async")) > 1
    assert ids("no such thing") == []


def test_the_opening_of_an_sql_file_is_its_first_comment(tmp_path: Path) -> None:
    file = tmp_path / "04_some.sql"
    file.write_text("-- A title.\n--\n-- Minutes  5\n\n-- not this\nSELECT 1;\n")
    text = manifest.opening(file)
    assert text == "A title.\n\nMinutes  5"
    assert manifest.header(text) == {"Minutes": "5"}
