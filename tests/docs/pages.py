"""A document taken apart: its blocks, its commands, its tables, and the figures in its prose."""

import ast
import contextlib
import io
import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from course import manifest
from course.manifest import Entry
from course.settings import ROOT
from tests.support import load_lesson

FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
INDENTED = re.compile(r"^    (\S.*)$", re.MULTILINE)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
STEPS = re.compile(r"`data/(\d\d)` steps? (\d+(?:(?:–|, | and )\d+)*)")
NUMBER = re.compile(r"\d[\d,_]*(?:\.\d+)?")
STARTS = ("python", "python3", "curl", "docker", "source")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: `kind` stands behind the fence, `section` is the heading above it."""

    kind: str
    text: str
    line: int
    section: str

    @property
    def prints(self) -> str:
        """What it says that it prints: the comment at its end."""
        lines = self.text.splitlines(keepends=True)
        comment = itertools.takewhile(lambda line: line.startswith("# "), reversed(lines))
        return "".join(line[2:] for line in reversed(list(comment)))


class Page:
    """One document of docs/."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (ROOT / "docs" / name).read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without fenced blocks."""
        return FENCE.sub("", self.text)

    def headings(self, level: int) -> list[str]:
        """The headings of a level, in their order."""
        return [title for signs, title in HEADING.findall(self.prose) if len(signs) == level]

    def section(self, heading: str) -> str:
        """What stands under a heading, without fenced blocks, until the next one of any level."""
        return re.split(r"^#+ ", self.prose, flags=re.MULTILINE)[
            1 + [title for _, title in HEADING.findall(self.prose)].index(heading)
        ]

    def blocks(self) -> list[Block]:
        """The fenced blocks in their order; the section is the nearest heading of level 2."""
        found = []
        for match in FENCE.finditer(self.text):
            line = self.text.count("\n", 0, match.start()) + 2
            above = HEADING.findall(FENCE.sub("", self.text[: match.start()]))
            section = next((title for level, title in reversed(above) if level == "##"), "")
            found.append(Block(match[1], match[2], line, section))
        return found

    def commands(self) -> list[list[str]]:
        """Every command as words: a line that is indented, or code within a sentence."""
        lines = [*INDENTED.findall(self.prose), *INLINE.findall(self.prose)]
        split = [shlex.split(line) for line in lines if line.split()[0] in STARTS]
        return [words for words in split if len(words) > 1]

    def tables(self, text: str | None = None) -> list[list[dict[str, str]]]:
        """The tables of `text`, or of the document: for each the rows, by column."""
        found = []
        for lines in re.findall(r"(?:^\|.*\n?)+", self.prose if text is None else text, re.M):
            head, _, *rows = (
                [cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()
            )
            found.append([dict(zip(head, row, strict=True)) for row in rows])
        return found


STUDY, COMPANION, PLAN = PAGES = tuple(
    Page(f"{name}.md") for name in ("STUDY_GUIDE", "COMPANION_GUIDE", "DETAILED_LESSON_PLAN")
)


def run_blocks(page: Page, section: str) -> tuple[dict[str, Any], list[tuple[Block, str]]]:
    """Run the Python blocks of a section one after another, as one program.

    Its names afterwards, and for each block what it printed.
    """
    names: dict[str, Any] = {"__name__": f"{page.name}, {section}"}
    said = []
    for block in page.blocks():
        if (block.kind, block.section) == ("python", section):
            code = compile("\n" * (block.line - 1) + block.text, f"docs/{page.name}", "exec")
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(code, names)
            said.append((block, printed.getvalue()))
    return names, said


def lessons() -> dict[str, Entry]:
    """The lessons of Module 8 by their two digits."""
    return {
        entry.id.removeprefix("data/"): entry
        for entry in manifest.load()
        if entry.id.startswith("data/")
    }


@cache
def module_of(number: str) -> ModuleType:
    """A lesson of Module 8, loaded."""
    return load_lesson(lessons()[number].path)


@cache
def titles(number: str) -> tuple[str, ...]:
    """The headings of a lesson's steps, in the order in which its `main` takes them.

    `main` says `lesson.step(part, …)` with the part's name, or with a variable that runs over a
    tuple of parts.
    """
    module = module_of(number)
    source = (ROOT / lessons()[number].path).read_text(encoding="utf-8")
    (main,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    parts = [part for call in step_calls(main) for part in parts_of(call, main, module)]
    return tuple((part.__doc__ or "").strip().partition("\n")[0].rstrip(".") for part in parts)


def step_calls(main: ast.FunctionDef) -> list[ast.Call]:
    """The calls of `lesson.step`, from top to bottom."""
    calls = [
        node
        for node in ast.walk(main)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "step"
    ]
    return sorted(calls, key=lambda call: call.lineno)


def parts_of(call: ast.Call, main: ast.FunctionDef, module: ModuleType) -> Iterator[Any]:
    """The functions that one `lesson.step(name, …)` runs."""
    name = ast.unparse(call.args[0])
    for loop in ast.walk(main):
        if (
            isinstance(loop, ast.For)
            and ast.unparse(loop.target) == name
            and call in ast.walk(loop)
        ):
            yield from eval(ast.unparse(loop.iter), vars(module))
            return
    yield eval(name, vars(module))


def spread(steps: str) -> list[int]:
    """`2–4, 7 and 9` as numbers."""
    found = []
    for part in re.split(r", | and ", steps):
        first, _, last = part.partition("–")
        found += range(int(first), int(last or first) + 1)
    return found


def numbers(text: str) -> set[float]:
    """The numbers in a text; 1,029, 1_029 and 1029 are one."""
    return {float(re.sub("[,_]", "", number)) for number in NUMBER.findall(text)}
