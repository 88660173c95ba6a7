"""What lessons print: plain text everywhere, prettier on a terminal where rich is installed.

Plain output never depends on the terminal, so a transcript reads the same everywhere. A console
that can't show a sign gets a plain spelling of it instead of an error.
"""

import codecs
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

TICK, CROSS, SKIPPED = "✓", "✗", "○"
PLAIN_SPELLING = {
    TICK: "ok", CROSS: "FALSE", SKIPPED: "-",
    "→": "->", "←": "<-", "─": "-", "━": "-", "│": "|", "█": "#", "░": ".", "·": "-",
    "×": "x", "µ": "u", "≥": ">=", "≤": "<=", "≠": "!=", "σ": "sigma",
    "…": "...", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"',
}  # fmt: skip
PLAIN_WIDTH = 80
WIDEST, LARGE_WIDTH = 100, 56
Row = Mapping[str, Any] | Sequence[Any]


def spell_plainly(error: UnicodeError) -> tuple[str, int]:
    """Codec error handler: replace what the console can't encode by a plain spelling."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(PLAIN_SPELLING.get(character, "?") for character in characters), error.end


def prepare_streams() -> None:
    """Make standard output and error safe for every character and show lines as they come."""
    codecs.register_error("spell_plainly", spell_plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spell_plainly", line_buffering=True)


def cell_text(value: object) -> str:
    """A table cell as text: NULL for None, a short form for floats."""
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(cell_text(item) for item in value)
    return str(value)


def as_grid(
    rows: Iterable[Row], columns: Sequence[str] | None
) -> tuple[list[str], list[list[Any]]]:
    """Rows of either kind as (column names, list of lists); ValueError when they don't fit."""
    rows = list(rows)
    if columns is None:
        if rows and not isinstance(rows[0], Mapping):
            raise ValueError("a table of sequences needs columns=[…]")
        columns = list(rows[0]) if rows else []
    names = list(columns)
    grid = [[row[n] for n in names] if isinstance(row, Mapping) else list(row) for row in rows]
    if any(len(row) != len(names) for row in grid):
        raise ValueError(f"a row has another number of cells than there are columns: {names}")
    return names, grid


def column_widths(cells: list[list[str]], available: int) -> list[int]:
    """Widths that fit `available`: the widest columns give way first, none goes under 6."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > available and max(widths) > 6:
        widths[widths.index(max(widths))] -= 1
    return widths


def text_table(names: list[str], grid: list[list[Any]], available: int) -> Iterator[str]:
    """The lines of a plain table; numbers to the right, long cells wrapped."""
    cells = [names, *([cell_text(value) for value in row] for row in grid)]
    widths = column_widths(cells, available)
    right = [
        all(isinstance(v, int | float) or hasattr(v, "as_tuple") for v in column if v is not None)
        for column in (list(zip(*grid, strict=True)) if grid else [()] * len(names))
    ]
    for number, row in enumerate(cells):
        wrapped = [
            textwrap.wrap(text, width) or [""] for text, width in zip(row, widths, strict=True)
        ]
        for line in range(max(map(len, wrapped))):
            parts = [lines[line] if line < len(lines) else "" for lines in wrapped]
            yield "  ".join(
                part.rjust(width) if is_right else part.ljust(width)
                for part, width, is_right in zip(parts, widths, right, strict=True)
            ).rstrip()
        if number == 0:
            yield "  ".join("─" * width for width in widths)


class Console:
    """Plain output: no colour, 80 columns, one line at a time."""

    width = PLAIN_WIDTH
    live = False

    def say(self, text: str = "", style: str = "") -> None:
        """Print `text` as it is; `style` is for consoles that have one."""
        print(text)

    def paragraphs(self, text: str, style: str = "") -> None:
        """Print prose, wrapped to the width; indented lines and lists keep their own lines."""
        for number, block in enumerate(textwrap.dedent(text).strip().split("\n\n")):
            if number:
                self.say()
            lines = block.splitlines()
            if any(line.startswith((" ", "- ", "* ")) for line in lines):
                self.say(block, style)
            elif block:
                self.say(textwrap.fill(" ".join(lines), self.width), style)

    def heading(self, text: str, underline: str = "─") -> None:
        """Print a heading over a line."""
        lines = textwrap.wrap(text, self.width) or [""]
        self.say()
        for line in lines:
            self.say(line, "bold cyan")
        self.say(underline * max(map(len, lines)), "cyan")

    def line(self, text: str, style: str = "") -> None:
        """Print one line; a terminal gets it wrapped, a file as it is, so that it can be found."""
        if sys.stdout.isatty():
            indent = " " * (len(text) - len(text.lstrip()) + 2)
            text = textwrap.fill(text, self.width, subsequent_indent=indent)
        self.say(text, style)

    def table(
        self, rows: Iterable[Row], columns: Sequence[str] | None = None, title: str = ""
    ) -> None:
        """Print a table: rows are mappings, or sequences with `columns`."""
        names, grid = as_grid(rows, columns)
        self.say()
        if title:
            self.say(title, "bold")
        if not names:
            self.say("(no rows)")
            return
        for line in text_table(names, grid, self.width):
            self.say(line)
        if not grid:
            self.say("(no rows)")
        self.say()

    def source(self, code: str, first: int) -> None:
        """Print Python code, the number of its first line being `first`."""
        for number, line in enumerate(code.splitlines(), first):
            self.say(f"{number:4} {line}".rstrip())

    def progress(self, items: Iterable[Any], total: int | None, label: str) -> Iterator[Any]:
        """Yield the items; say at the end how many there were."""
        count = 0
        for item in items:
            count += 1
            yield item
        self.say(f"{label or 'done'}: {count:,}" + (f" of {total:,}" if total is not None else ""))

    def status(self, text: str) -> None:
        """Show a line that the next one replaces; nothing where lines can't be replaced."""


class RichConsole(Console):
    """Colour and live progress, on a terminal with rich."""

    live = True

    def __init__(self) -> None:
        import rich.console

        self.rich = rich.console.Console(highlight=False)
        self.width = bounded(self.rich.width)

    def say(self, text: str = "", style: str = "") -> None:
        self.rich.print(text, style=style or None, markup=False, soft_wrap=True)

    def table(
        self, rows: Iterable[Row], columns: Sequence[str] | None = None, title: str = ""
    ) -> None:
        from rich import box
        from rich.table import Table

        names, grid = as_grid(rows, columns)
        table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
        for index, name in enumerate(names):
            numeric = bool(grid) and isinstance(grid[0][index], int | float)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in grid:
            table.add_row(*(cell_text(value) for value in row))
        self.rich.print(table)

    def source(self, code: str, first: int) -> None:
        from rich.syntax import Syntax

        self.rich.print(Syntax(code, "python", line_numbers=True, start_line=first, word_wrap=True))

    def progress(self, items: Iterable[Any], total: int | None, label: str) -> Iterator[Any]:
        from rich.progress import track

        yield from track(items, description=label or "working", total=total, console=self.rich)

    def status(self, text: str) -> None:
        self.rich.file.write("\r\x1b[K" + text[: self.rich.width - 1])
        self.rich.file.flush()


class LargeConsole(RichConsole):
    """For the last row: short lines, so that the terminal's type can be large, and nothing pale."""

    def __init__(self) -> None:
        super().__init__()
        self.width = self.rich.width = min(self.width, LARGE_WIDTH)

    def say(self, text: str = "", style: str = "") -> None:
        super().say(text, "bold " + style.replace("dim", ""))

    def heading(self, text: str, underline: str = "─") -> None:
        from rich import box
        from rich.panel import Panel

        self.rich.print()
        self.rich.print(Panel(text, box=box.HEAVY, style="bold cyan", width=self.width))


def bounded(columns: int) -> int:
    """The width to write in: lines that are too long are hard to read."""
    return max(40, min(columns, WIDEST))


def make_console(color: bool = True, large: bool = False) -> Console:
    """The console for this process: rich on a terminal unless `color` or NO_COLOR say otherwise."""
    prepare_streams()
    if color and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        try:
            return LargeConsole() if large else RichConsole()
        except ImportError:
            pass
    console = Console()
    if sys.stdout.isatty():
        console.width = bounded(shutil.get_terminal_size().columns)
    if large:
        console.width = min(console.width, LARGE_WIDTH)
    return console
