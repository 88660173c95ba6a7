"""Every lesson as a process, twice: in teaching order, then shuffled and by its transcript.

Each time from an empty folder, in which nothing may appear, and nothing may be left in the services
under the lesson's name. The first time Python complains of what was never closed.

Renew a transcript after a wanted change with: python3 learn.py test tests/smoke --renew-transcripts
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from course import manifest
from course.manifest import Entry
from course.runner import LEFT_OUT, PASSED, Outcome, run_lesson
from tests.smoke.conftest import left_behind
from tests.smoke.transcripts import FOLDER, normalised

IN_ORDER = [entry for entry in manifest.load() if not entry.heavy]
SHUFFLED = random.Random(20251026).sample(IN_ORDER, len(IN_ORDER))
COMPLAINTS = ("Traceback (most recent call last)", "ResourceWarning", "Unclosed", "never retrieved")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to start lessons in, which must be empty in the end."""
    monkeypatch.chdir(tmp_path)
    yield
    assert [file.name for file in tmp_path.iterdir()] == []


def run_it(entry: Entry) -> Outcome:
    outcome = run_lesson(entry, ["--fast"])
    if outcome.result == LEFT_OUT:
        pytest.skip(outcome.reason)
    assert outcome.result == PASSED, f"{outcome.reason}\n{outcome.output}"
    assert [words for words in COMPLAINTS if words in outcome.output] == [], outcome.output
    assert outcome.claims > 0, "a lesson that checks nothing"
    assert left_behind(entry) == []
    return outcome


@pytest.mark.parametrize("entry", IN_ORDER, ids=lambda entry: entry.id)
def test_lesson_passes(
    entry: Entry, course_data_unchanged: None, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error::ResourceWarning")
    run_it(entry)


@pytest.mark.parametrize("entry", SHUFFLED, ids=lambda entry: entry.id)
def test_lesson_passes_again_and_tells_the_same_story(
    entry: Entry,
    course_data_unchanged: None,
    elsewhere: None,
    embedded_on_linux: bool,
    request: pytest.FixtureRequest,
) -> None:
    story = normalised(run_it(entry).output)
    transcript = FOLDER / f"{entry.id.replace('/', '_')}.txt"
    if request.config.getoption("renew_transcripts"):
        transcript.write_text(story, encoding="utf-8")
    assert transcript.exists(), f"no transcript: {transcript.name}; see this file's first lines"
    if embedded_on_linux:  # elsewhere versions and error texts differ
        assert story.splitlines() == transcript.read_text(encoding="utf-8").splitlines()


def test_no_transcript_without_a_lesson() -> None:
    names = {f"{entry.id.replace('/', '_')}.txt" for entry in manifest.load()}
    assert {file.name for file in FOLDER.glob("*.txt")} <= names
