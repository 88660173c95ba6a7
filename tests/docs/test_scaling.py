"""What grows, and how: each lesson has its row, each figure a calculation, each base its source."""

import ast
import contextlib
import io
import re

import pytest

from course import manifest
from course.settings import ROOT
from tests.docs.pages import Block, Page, numbers

PAGE = Page("SCALING.md")
LESSONS = manifest.load()
MODULES = list(dict.fromkeys(entry.module for entry in LESSONS))
SIZES = ("today", "10x", "1000x", "1,000,000x")
SOURCE = re.compile(r"# (?P<file>\S+\.\w+)(?P<measured>, measured)?: \"(?P<quoted>.+)\"$")
SPELLED = {"ten": 10, "five": 5, "a million": 10**6, "a billion": 10**9}
FAR = 3  # a measured figure may differ so much from one run of the benchmarks to the next
PRELUDE, *BLOCKS = PAGE.blocks()


def lesson_of(block: Block) -> str:
    """The lesson that its first line names."""
    return block.text.removeprefix("# ").partition(":")[0]


EACH = pytest.mark.parametrize("block", BLOCKS, ids=lesson_of)


def run(block: Block) -> str:
    """What a block prints, after the one that all share."""
    names: dict[str, object] = {}
    exec(PRELUDE.text, names)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile("\n" * (block.line - 1) + block.text, PAGE.name, "exec"), names)
    return printed.getvalue()


def rows() -> dict[str, dict[str, str]]:
    """The rows of all tables, by lesson."""
    found = [row for table in PAGE.tables() for row in table]
    assert len({row["lesson"] for row in found}) == len(found)
    return {row["lesson"].strip("`"): row for row in found}


def given(block: Block) -> list[tuple[list[float], str]]:
    """The numbers that a block sets, in each line, and the comment behind them."""
    lines = block.text.splitlines()
    return [
        ([float(number.value) for number in constants(node)], lines[node.lineno - 1])
        for node in ast.parse(block.text).body
        if isinstance(node, ast.Assign) and constants(node) and is_plain(node.value)
    ]


def constants(node: ast.Assign) -> list[ast.Constant]:
    return [each for each in ast.walk(node.value) if isinstance(each, ast.Constant)]


def is_plain(value: ast.expr) -> bool:
    """Whether it is a number or several, and no calculation."""
    return isinstance(value, ast.Constant | ast.Tuple)


def test_every_lesson_has_its_row_in_the_section_of_its_module() -> None:
    assert PAGE.headings(2)[1:] == MODULES
    for module in MODULES:
        (table,) = PAGE.tables(PAGE.section(module))
        wanted = [f"`{entry.id}`" for entry in LESSONS if entry.module == module]
        assert [row["lesson"] for row in table] == wanted
        assert list(table[0]) == ["lesson", *SIZES, "engine"]
        assert all(row["engine"] for row in table)
    assert [lesson_of(block) for block in BLOCKS] == [entry.id for entry in LESSONS]


@pytest.mark.parametrize("block", PAGE.blocks(), ids=lambda block: lesson_of(block)[:10])
def test_a_block_prints_what_it_says(block: Block) -> None:
    assert block.kind == "python"
    assert run(block) == block.prints != ""
    assert not re.search(r"^(import|from) (?!math$)", block.text, re.MULTILINE)


@EACH
def test_a_row_says_what_its_block_computes(block: Block) -> None:
    row, cells = rows()[lesson_of(block)], [line.split(" | ") for line in block.prints.splitlines()]
    computed = [line for line in cells if len(line) == len(SIZES)]
    assert computed
    for line in computed:
        for column, figure in zip(SIZES, line, strict=True):
            assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?!\d)", row[column]), (
                column,
                figure,
            )
    for column in SIZES:
        left = re.sub(r"'|`\w+`", "", row[column])
        assert numbers(left) <= numbers(block.text), column


@EACH
def test_each_figure_has_a_source_or_is_called_assumed(block: Block) -> None:
    for figures, line in given(block):
        if "# assumed: " in line:
            continue
        source = SOURCE.search(line)
        assert source, line
        text = " ".join((ROOT / source["file"]).read_text(encoding="utf-8").split())
        assert source["quoted"] in text, line
        if source["measured"]:
            measured = text.partition(f"| {source['quoted']} |")[2].partition(" | |")[0]
            for figure in figures:
                near = [n for n in numbers(measured) if figure / FAR < n < figure * FAR]
                assert near, f"{line}: {measured}"
        else:
            words = source["quoted"].lower()
            spelled = {number for word, number in SPELLED.items() if word in words}
            assert set(figures) <= numbers(source["quoted"]) | spelled, line


def test_the_figures_of_a_share_and_of_a_trial_are_those_of_the_lessons() -> None:
    said = {lesson_of(block): block.prints for block in BLOCKS}
    assert said["notebooks/08"].startswith("17 points")
    assert said["data/01"].startswith("1,029 queries")
    transcript = (ROOT / "tests/transcripts/data_01.txt").read_text(encoding="utf-8")
    assert re.search(r"^selectinload +4$", transcript, re.MULTILINE)
    assert said["data/01"].splitlines()[2].startswith("4 | ")
