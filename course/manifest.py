"""The one list of lessons, `lessons.toml`: reading it, finding a lesson in it, and checking it."""

import ast
import itertools
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from course.errors import CourseError
from course.settings import ROOT, SERVICES, TITLES

FILE = Path(__file__).with_name("lessons.toml")
NOT_LESSONS = {"course", "tests", "docs", "exercises", "output", "build"}
NUMBERED = re.compile(r"\d\d_.+\.(py|sql|ipynb)")
HEADER_LINE = re.compile(r"^(Run|Needs|Minutes|Next) {2,}(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One lesson: `path` from the root, `minutes` of teaching, `limit` in seconds for one run."""

    id: str
    path: str
    module: str
    title: str
    minutes: int
    services: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    heavy: bool = False
    limit: int = 180

    @property
    def file(self) -> Path:
        """Where the lesson stands on this machine."""
        return ROOT / self.path


@cache
def load(file: Path = FILE) -> tuple[Entry, ...]:
    """All lessons in teaching order; CourseError names the entry that can't be read."""
    entries = []
    for number, raw in enumerate(tomllib.loads(file.read_text(encoding="utf-8"))["lesson"], 1):
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()
        }
        try:
            entries.append(Entry(**values))
        except TypeError as error:
            name = raw.get("id", f"number {number}")
            raise CourseError(f"{file.name}, lesson {name}: {error}") from None
    return tuple(entries)


def by_path(path: Path) -> Entry | None:
    """The lesson that stands at `path`, or None."""
    path = path.resolve()
    return next((entry for entry in load() if entry.file == path), None)


def matching(words: str) -> list[Entry]:
    """The lessons that `words` can mean: an id, a path, or a part of an id, path or title."""
    exact = [entry for entry in load() if entry.id == words]
    here = by_path(Path(words))
    if exact or here:
        return exact or [here] if here else exact
    part = words.lower().replace("\\", "/")
    return [e for e in load() if any(part in text.lower() for text in (e.id, e.path, e.title))]


def header(text: str) -> dict[str, str]:
    """The `Run`, `Needs`, `Minutes` and `Next` lines of a lesson's opening text."""
    return {name: value.strip() for name, value in HEADER_LINE.findall(text)}


def opening(file: Path) -> str:
    """The opening text of a lesson.

    That is a script's docstring, the first comment of an SQL file, or the first cell of a notebook.
    """
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return ast.get_docstring(ast.parse(source)) or ""
    if file.suffix == ".ipynb":
        cells = json.loads(source)["cells"]
        tells = cells and cells[0]["cell_type"] == "markdown"
        first = "".join(cells[0]["source"]) if tells else ""
        lines = [line for line in first.splitlines() if not line.startswith("```")]
        return "\n".join(lines).removeprefix("#").strip()
    comment = itertools.takewhile(lambda line: line.startswith("--"), source.splitlines())
    return "\n".join(line.removeprefix("--").removeprefix(" ") for line in comment).strip()


def problems(root: Path = ROOT, file: Path = FILE) -> list[str]:
    """Everything that is wrong with the manifest, one sentence each; empty when all is well."""
    entries = load(file)
    known = {entry.id for entry in entries}
    found = list(_strays(root, {entry.path for entry in entries}))
    for number, entry in enumerate(entries):
        earlier = {e.id for e in entries[:number]}
        found += [f"{entry.id}: {text}" for text in _entry_problems(entry, root, earlier)]
    if len(known) != len(entries):
        found.append("two lessons share an id")
    return found


def _strays(root: Path, paths: set[str]) -> Iterator[str]:
    for file in sorted(root.rglob("[0-9][0-9]_*")):
        place = file.relative_to(root)
        hidden = any(part.startswith(".") for part in place.parts)
        if hidden or place.parts[0] in NOT_LESSONS or not NUMBERED.fullmatch(file.name):
            continue
        if place.as_posix() not in paths:
            yield f"{place.as_posix()} looks like a lesson and is not in {FILE.name}"


def _entry_problems(entry: Entry, root: Path, earlier: set[str]) -> Iterator[str]:
    if not re.fullmatch(r"[a-z]+/\d\d|[a-z]+", entry.id):
        yield "the id is not module/number"
    if not entry.title or not entry.module:
        yield "title or module is missing"
    for service in set(entry.services) - set(SERVICES):
        yield f"unknown service {service}"
    for name in entry.after:
        if name not in earlier:
            yield f"its prerequisite {name} does not stand before it"
    file = root / entry.path
    if not file.is_file():
        yield f"{entry.path} does not exist"
    else:
        yield from _header_problems(entry, file, root)


def _header_problems(entry: Entry, file: Path, root: Path) -> Iterator[str]:
    text = opening(file)
    said = header(text)
    title = text.partition("\n")[0].rstrip(".")
    needs = ", ".join(TITLES.get(service, service) for service in entry.services) or "nothing"
    if title != entry.title:
        yield f"its opening says {title!r}, the manifest {entry.title!r}"
    if said.get("Minutes") != str(entry.minutes):
        yield f"its opening says {said.get('Minutes')} minutes, the manifest {entry.minutes}"
    if said.get("Needs", "").partition(" (")[0] != needs:  # what is optional stands in brackets
        yield f"its opening says it needs {said.get('Needs')!r}, the manifest {needs!r}"
    if entry.path not in said.get("Run", "") and entry.id not in said.get("Run", ""):
        yield f"its Run line names neither {entry.path} nor {entry.id}"
    following = said.get("Next", "")
    if not any((folder / following).is_file() for folder in (root, file.parent)):
        yield f"its Next line names no file: {following!r}"
