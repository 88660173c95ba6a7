"""Run a notebook as a lesson: each heading a step, each cell that asserts a claim.

    python -m course.notebook FILE [--save] [--step] [--from N] [--fast] [--no-color]

What the notebook may say, so that it reads well in Jupyter too:

- The first cell holds the title and the lines Run, Needs, Minutes and Next.
- A text cell that begins with a heading opens a step, which goes on to the next heading.
- A cell with an `assert` states a claim: its first comment is the claim.

The notebook runs in a kernel of its own. The file stays as it is, unless --save writes into it what
came out, which happens only when every claim holds.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from course import connect, manifest
from course.errors import USAGE, CourseError, ServiceUnavailable
from course.lesson import Lesson, run

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

SECONDS_PER_CELL = 120
ASSERT = re.compile(r"^\s*assert\b", re.MULTILINE)
COMMENT = re.compile(r"^# ?(.+)", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
NUMBERED = re.compile(r"^\d+\. ", re.MULTILINE)
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
Cells = list["NotebookNode"]


def read(path: Path) -> "NotebookNode":
    """The notebook at `path`; CourseError if it is none, or if packages are missing."""
    try:
        import nbformat
    except ImportError:
        raise ServiceUnavailable(
            "notebook",
            "Notebooks need nbclient, nbformat and ipykernel",
            "the packages of this Python",
            "pip install -r requirements.txt -r requirements-notebook.txt",
        ) from None
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
    # nbformat takes the shape for granted, so that JSON of another kind fails anywhere in it.
    except (ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError) as error:
        raise CourseError(f"{path.name} is no notebook: {str(error).splitlines()[0]}") from None
    return notebook


def steps_of(cells: Iterable["NotebookNode"]) -> list[Cells]:
    """The cells after the opening in groups: each begins with a heading."""
    steps: list[Cells] = []
    for cell in list(cells)[1:]:
        if not steps or (cell.cell_type == "markdown" and cell.source.startswith("#")):
            steps.append([])
        steps[-1].append(cell)
    return steps


def plain(markdown: str) -> str:
    """Markdown as a terminal shows it: links as their words, each item on a line of its own."""
    return NUMBERED.sub("- ", LINK.sub(r"\1", markdown))


def claim_of(source: str) -> str | None:
    """What a cell claims: its first comment, or its first assertion; None without an assertion."""
    if not ASSERT.search(source):
        return None
    comment = COMMENT.search(source)
    return comment[1].rstrip(".") if comment else source.strip().splitlines()[0]


class Player:
    """Executes the cells of one notebook in one kernel and says what came of them."""

    def __init__(self, notebook: "NotebookNode", client: "NotebookClient", lesson: Lesson) -> None:
        self.notebook, self.client, self.lesson = notebook, client, lesson

    def step(self, cells: Cells) -> Callable[[], None]:
        """The cells as a function for `lesson.step`, which shows a function's docstring."""
        first, *others = cells
        has_heading = first.cell_type == "markdown"

        def play() -> None:
            for cell in others if has_heading else cells:
                if cell.cell_type == "markdown":
                    self.lesson.console.paragraphs(plain(cell.source))
                elif cell.cell_type == "code":
                    self.execute(cell)

        text = first.source.lstrip("# ") if has_heading else "Before the first heading"
        play.__doc__ = plain(text)
        return play

    def execute(self, cell: "NotebookNode") -> None:
        """Run a code cell, show what it printed, and check its claim; CourseError if it fails."""
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

        claim, place = claim_of(cell.source), self.notebook.cells.index(cell)
        holds = True
        try:
            self.client.execute_cell(cell, place)
        except CellExecutionError as error:
            holds = False
            if claim is None or error.ename != "AssertionError":
                show_outputs(cell, self.lesson)
                raise CourseError(explain(cell, place, f"{error.ename}: {error.evalue}")) from None
        except CellTimeoutError:
            reason = f"took longer than {SECONDS_PER_CELL} s"
            raise CourseError(explain(cell, place, reason)) from None
        except DeadKernelError:
            raise CourseError(explain(cell, place, "the kernel died")) from None
        show_outputs(cell, self.lesson)
        if claim:
            self.lesson.check(claim, holds)


def explain(cell: "NotebookNode", place: int, problem: str) -> str:
    """Which cell failed, and how."""
    source = "\n".join(f"  | {line}" for line in cell.source.splitlines())
    return f"cell {place + 1}: {problem}\n{source}"


def show_outputs(cell: "NotebookNode", lesson: Lesson) -> None:
    """Print the text outputs of a cell, and a word for each picture."""
    for output in cell.outputs:
        if output.output_type == "stream":
            lesson.console.say(output.text.rstrip("\n"))
        elif "image/png" in output.get("data", {}):
            lesson.console.say("  (a chart: see it in the notebook)", "dim")
        elif "text/plain" in output.get("data", {}):
            lesson.console.say(output.data["text/plain"])


@contextmanager
def kernel(notebook: "NotebookNode", folder: Path) -> Iterator["NotebookClient"]:
    """A fresh kernel that works in `folder`, as Jupyter does; it ends with the block."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # a busy kernel sends a line in two messages
        # Else each kernel warns that it talks without encryption, though it listens to signed
        # messages of this machine only, and shows a traceback when Ctrl-C ends it.
        extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        resources={"metadata": {"path": str(folder)}},
    )
    # A notebook draws into itself: the kit's choice for scripts must not reach it.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    # What cells print comes as messages; here ipykernel only complains of its sockets at the end.
    with client.setup_kernel(env=environment, stderr=subprocess.DEVNULL):
        yield client


def lesson_of(path: Path, notebook: "NotebookNode", lesson: Lesson) -> None:
    """Run the cells as the steps of a lesson; --save keeps what came out, if all claims hold."""
    if manifest.by_path(path) is None:
        connect.prepare(["postgres"])
    with kernel(notebook, path.parent) as client:
        player = Player(notebook, client, lesson)
        for cells in steps_of(notebook.cells):
            lesson.step(player.step(cells))
    if lesson.options.save and all(holds for _, holds in lesson.claims):
        save(notebook, path)


def save(notebook: "NotebookNode", path: Path) -> None:
    """Write the notebook with its outputs and without what differs from run to run."""
    import nbformat

    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [tidy(output) for output in cell.outputs]
    nbformat.write(notebook, path)


def tidy(output: "NotebookNode") -> "NotebookNode":
    """An output as git should hold it: pictures without words, frames as text and not as HTML."""
    data: dict[str, Any] = output.get("data", {})
    data.pop("text/html", None)
    if "image/png" in data:
        data.pop("text/plain", None)
        output.metadata = {}
    return output


def add_options(parser: argparse.ArgumentParser) -> None:
    """The one option that notebooks have beyond those of every lesson."""
    parser.add_argument("--save", action="store_true", help="write the outputs into the notebook")


def main(arguments: list[str]) -> None:
    """The command: the file, then the flags of any lesson."""
    path = Path(arguments[0] if arguments else "").resolve()
    if not path.is_file():
        print(dedent(__doc__ or "").split("\n\n")[1].strip(), file=sys.stderr)
        sys.exit(USAGE)
    try:
        notebook = read(path)
    except CourseError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    run(
        partial(lesson_of, path, notebook),
        add_options,
        path=path,
        text=manifest.opening(path) or path.name,
        argv=arguments[1:],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
