"""The student's desk: copies of the stubs to work on, and a note of what is done.

Both lie in `my_exercises`, which git ignores: a `git pull` never meets homework, and no homework
goes upstream.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from course.errors import CourseError
from course.exercises.catalogue import Exercise, load
from course.settings import ROOT, writing_to

REMEDY = "Set COURSE_EXERCISES_DIR to a folder that is yours."


def folder() -> Path:
    """Where the student's files are: `my_exercises`, or what COURSE_EXERCISES_DIR says."""
    return Path(os.environ.get("COURSE_EXERCISES_DIR") or ROOT / "my_exercises").resolve()


def copy_of(exercise: Exercise) -> Path:
    """Where the student's file of `exercise` is, or will be."""
    return folder() / exercise.module / exercise.file_name


def lay_out(exercise: Exercise) -> bool:
    """Make the student's copy from the stub unless it is there; True if it was made now."""
    file = copy_of(exercise)
    if file.exists():
        return False
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(exercise.stub, file)
    except OSError as error:
        raise CourseError(
            f"Your copy {shown(file)} can't be written: {error.strerror}. {REMEDY}"
        ) from None
    return True


def start_anew(exercise: Exercise) -> Path | None:
    """Put the stub back; returns where the student's version is kept, None if there was none."""
    file, kept = copy_of(exercise), None
    if file.exists() and not unchanged(exercise, file):
        numbers = (file.with_suffix(f".old{n}{file.suffix}") for n in range(1, 1000))
        kept = next(name for name in numbers if not name.exists())
        file.rename(kept)
    file.unlink(missing_ok=True)
    lay_out(exercise)
    with noted(exercise) as note:
        note.passed, note.hints = False, 0
    return kept


def unchanged(exercise: Exercise, file: Path) -> bool:
    """Whether `file` says the same as the stub (line ends and empty lines don't count)."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in (file, exercise.stub))
    one, other = ([line.rstrip() for line in t.splitlines() if line.strip()] for t in texts)
    return one == other


def shown(file: Path) -> str:
    """A path as people type it: from the course's folder where it lies in it."""
    return file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else str(file)


@dataclass
class Note:
    """What is known of one exercise: whether it ever passed, how many hints were given."""

    passed: bool = False
    hints: int = 0


def notes() -> dict[str, Note]:
    """The notes of all exercises by id; CourseError when the file can't be understood."""
    file = folder() / "progress.json"
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return {name: Note(**values) for name, values in raw.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise CourseError(
            f"{shown(file)} can't be read ({error}). Delete it to begin a new one; your solutions "
            "stay, and `learn.py check NAME` notes them again."
        ) from None


@contextmanager
def noted(exercise: Exercise) -> Iterator[Note]:
    """The note of `exercise`, to be changed in the block and kept after it."""
    from fasteners import InterProcessLock  # type: ignore[import-untyped]

    file = folder() / "progress.json"
    with writing_to(file.parent, REMEDY):
        file.parent.mkdir(parents=True, exist_ok=True)
        # `watch` in one window, `check` in another: neither may lose what the other notes.
        with InterProcessLock(file.with_suffix(".lock")):
            everything = notes()
            note = everything.setdefault(exercise.id, Note())
            yield note
            new = file.with_suffix(".new")
            text = json.dumps({name: asdict(each) for name, each in everything.items()}, indent=1)
            new.write_text(text + "\n", encoding="utf-8")
            new.replace(file)


def next_undone() -> Exercise | None:
    """The first exercise, in the order of the lessons, that hasn't passed yet."""
    known = notes()
    return next((e for e in load() if not known.get(e.id, Note()).passed), None)
