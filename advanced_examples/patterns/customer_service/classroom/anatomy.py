"""A look at our own source: where each principle acts, who imports whom, what a call costs."""

import ast
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent
from types import FrameType

PACKAGE = Path(__file__).parents[1]
# A comment such as "# S (single responsibility): …" over a class.
PRINCIPLE = re.compile(r"^# ([SOLID]) \(([\w/ ]+)\).*\n(?:#.*\n)*class (\w+)", re.MULTILINE)
DOCSTRING = re.compile(r'\n *"""[^"]*"""')


def files() -> dict[str, Path]:
    """The files of the service by their place in the package, without the classroom."""
    found = {file.relative_to(PACKAGE).as_posix(): file for file in sorted(PACKAGE.rglob("*.py"))}
    return {place: file for place, file in found.items() if not place.startswith("classroom")}


def source(thing: Callable) -> str:
    """The source of a function or class, without its docstrings."""
    return dedent(DOCSTRING.sub("", inspect.getsource(thing))).rstrip()


def show(*things: Callable) -> None:
    """Print the source of something short, set apart from the story."""
    for thing in things:
        print(indent(source(thing), "    ") + "\n")


def principles() -> list[tuple[str, str, str, str]]:
    """Where SOLID acts: (letter, principle, file, class), in the order of the word."""
    found = [
        (letter, principle, place, name)
        for place, file in files().items()
        for letter, principle, name in PRINCIPLE.findall(file.read_text(encoding="utf-8"))
    ]
    return sorted(found, key=lambda row: "SOLID".index(row[0]))


def imports(place: str) -> set[str]:
    """What a file of the package imports: drivers by name, our own modules by their last name."""
    tree = ast.parse((PACKAGE / place).read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    ours = "customer_service."
    return {
        name.rsplit(".", 1)[-1] if name.startswith(ours) else name.split(".")[0]
        for name in names
        if name
    }


def knows(place: str) -> set[str]:
    """The modules of the service that a file imports."""
    return imports(place) & {Path(file).stem for file in files()}


def tell_cost(*places: str) -> None:
    """Say how much code stands in files of the package."""
    print(f"    costs {code_lines(*places)} lines of code in {', '.join(places)}\n")


def code_lines(*places: str) -> int:
    """Lines of code in files or folders: no blank lines, comments or docstrings."""
    count = 0
    wanted = [file for place, file in files().items() if place.startswith(places)]
    for file in wanted:
        text = DOCSTRING.sub("", "\n" + file.read_text(encoding="utf-8"))
        lines = [line.strip() for line in text.splitlines()]
        count += sum(1 for line in lines if line and not line.startswith("#"))
    return count


def calls(work: Callable[[], object]) -> int:
    """How many functions of the package are entered while `work` runs."""
    entered = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal entered
        entered += event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE))

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return entered
