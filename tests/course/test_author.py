"""`learn.py new lesson`: what it makes is a whole lesson, in a copy of the course."""

import subprocess
from pathlib import Path

import pytest

from tests.support import copy_of_the_course, run_python

NEW = ("-m", "course", "new", "lesson")
CHECKS = (
    "tests/course/test_manifest.py",
    "tests/docs/test_documents.py",
    "tests/docs/test_lesson_plan.py",
    "tests/async_examples/test_98_queues.py",
    "tests/smoke",
)
ABOUT_IT = "98 or the_course_is_true or every_lesson_has_its_section or lists_the_lessons"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = copy_of_the_course(tmp_path_factory.mktemp("course"))
    subprocess.run(["git", "init", "-q"], cwd=made, check=True)
    return made


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_python(*words, cwd=copy, PYTHONPATH=str(copy))


def test_a_new_lesson_is_whole_and_passes_its_tests(copy: Path) -> None:
    done = run(copy, *NEW, "async/98", "Queues: who works on what", "--minutes", "15")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made     async_examples/98_queues.py" in done.stdout
    ran = run(copy, "async_examples/98_queues.py")
    assert "All claims hold: 1 checked" in ran.stdout, ran.stderr
    tested = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHECKS, "-k", ABOUT_IT)
    assert tested.returncode == 0, tested.stdout
    assert "9 passed" in tested.stdout
    again = run(copy, *NEW, "async/98", "Queues again")
    assert again.returncode == 2
    assert "There is a lesson async/98 already." in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("async/1", "T"), "an id is module/number with two digits"),
        (("nothing/01", "T"), "The modules: async, sql"),
        (("async/01", "T"), "There is a lesson async/01 already."),
        (("async/97", "?!"), "A title needs letters"),
        (("async/97", "T", "--needs", "oracle"), "invalid choice"),
        (("async/97",), "required: title"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_made(
    copy: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(copy, *NEW, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not list(copy.glob("async_examples/97_*"))
