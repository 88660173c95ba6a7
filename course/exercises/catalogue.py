"""The one list of exercises, `exercises/exercises.toml`: reading it and finding one in it."""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from course.errors import CourseError, UsageError
from course.settings import ROOT

HOME = ROOT / "exercises"
FILE = HOME / "exercises.toml"
KINDS = ("build", "repair", "speed")


@dataclass(frozen=True)
class Exercise:
    """One exercise; `minutes` to solve it, `limit` in seconds for one check.

    `can_write` names the task of the study guide's checklist that it practises, if any.
    """

    name: str
    module: str
    lesson: str
    title: str
    kind: str
    minutes: int
    services: tuple[str, ...] = ()
    language: str = "py"
    limit: int = 15
    can_write: str = ""

    @property
    def id(self) -> str:
        """How students name it: module/name."""
        return f"{self.module}/{self.name}"

    @property
    def file_name(self) -> str:
        """The name of stub, solution and student's copy."""
        return f"{self.name}.{self.language}"

    @property
    def stub(self) -> Path:
        """What the student begins with."""
        return HOME / "stubs" / self.module / self.file_name

    @property
    def solution(self) -> Path:
        """A solution that passes, written to be read."""
        return HOME / "solutions" / self.module / self.file_name

    @property
    def check(self) -> Path:
        """What decides whether it is solved."""
        return HOME / "checks" / self.module / f"{self.name}.py"

    @property
    def hint(self) -> Path:
        """Several steps of help."""
        return HOME / "hints" / self.module / f"{self.name}.md"

    def hints(self) -> list[str]:
        """The steps of help, the gentlest first; each begins with its heading."""
        text = "\n" + self.hint.read_text(encoding="utf-8")
        return [step.strip() for step in text.split("\n## ")[1:]]


@cache
def load(file: Path = FILE) -> tuple[Exercise, ...]:
    """All exercises in the order of the lessons; CourseError names the entry that can't be read."""
    found = []
    for number, raw in enumerate(tomllib.loads(file.read_text(encoding="utf-8"))["exercise"], 1):
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()
        }
        try:
            found.append(Exercise(**values))
        except TypeError as error:
            name = raw.get("name", f"number {number}")
            raise CourseError(f"{file.name}, exercise {name}: {error}") from None
    return tuple(found)


def find(words: str) -> Exercise:
    """The one exercise that `words` mean: an id, a name, a file, or a part of id or title.

    UsageError lists what fits when there are several, and what is near when there is none.
    """
    part = words.lower().replace("\\", "/")
    name = part.rpartition("/")[2]
    # A file's own ending may be given: shells complete it.
    part, name = (text.removesuffix(".py").removesuffix(".sql") for text in (part, name))
    found = [e for e in load() if part == e.id or part.endswith(f"/{e.id}")]
    found = found or [e for e in load() if e.name == part]
    found = found or [e for e in load() if part in e.id or part in e.title.lower()]
    if len(found) == 1:
        return found[0]
    if not found:
        ids = {**{e.name: e.id for e in load()}, **{e.id: e.id for e in load()}}
        near = dict.fromkeys(ids[key] for key in difflib.get_close_matches(name, ids, 3))
        guess = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(
            f"No exercise is called {words!r}.{guess} All of them: python3 learn.py progress --all"
        )
    lines = "\n".join(f"  {e.id:<28} {e.title}" for e in found[:12])
    raise UsageError(f"{words!r} fits {len(found)} exercises; name one of them:\n{lines}")
