"""The notebooks as git holds them: fit to be read on a code host, and what a fresh run prints."""

import base64
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from course import manifest, notebook
from course.settings import ROOT, TITLES

nbformat = pytest.importorskip("nbformat")

FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST_FILE, LARGEST_CHART = 1_500_000, 200_000  # bytes
UNWANTED = re.compile(r"(/home/|/root/|/Users/|/tmp/|[A-Z]:\\|127\.0\.0\.1|localhost|:5432|\d s\b)")

each_notebook = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def code_cells(file: Path) -> list:
    return [cell for cell in notebook.read(file).cells if cell.cell_type == "code"]


def texts(cell: dict) -> list[str]:
    """The text outputs of a cell; a picture counts by its kind alone."""
    found = []
    for output in cell.outputs:
        data = output.get("data", {})
        found.append(
            "<chart>" if "image/png" in data else output.get("text", data.get("text/plain"))
        )
    return found


def charts(file: Path) -> list[bytes]:
    outputs = [output for cell in code_cells(file) for output in cell.outputs]
    encoded = [
        output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]
    return [base64.b64decode(picture) for picture in encoded]


def test_there_are_notebooks() -> None:
    assert len(FILES) >= 2


@each_notebook
def test_a_fresh_run_prints_what_is_stored(file: Path, service: Callable[[str], str]) -> None:
    service("postgres")
    stored, fresh = notebook.read(file), notebook.read(file)
    with notebook.kernel(fresh, file.parent) as client:
        for place, cell in enumerate(fresh.cells):
            client.execute_cell(cell, place)
    for before, after in zip(stored.cells, fresh.cells, strict=True):
        if before.cell_type == "code":
            after.outputs = [notebook.tidy(output) for output in after.outputs]
            assert texts(after) == texts(before), f"in cell {before.id}"


@each_notebook
def test_it_was_stored_executed_from_top_to_bottom(file: Path) -> None:
    cells = code_cells(file)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert not any(output.output_type == "error" for output in cell.outputs)
        assert not any(output.get("name") == "stderr" for output in cell.outputs)


@each_notebook
def test_nothing_of_a_machine_or_a_moment_is_stored(file: Path) -> None:
    stored = notebook.read(file)
    assert stored.metadata == {"kernelspec": notebook.KERNEL, "language_info": {"name": "python"}}
    assert not any(cell.metadata for cell in stored.cells)
    for cell in code_cells(file):
        for text in texts(cell):
            assert not UNWANTED.search(text), text


@each_notebook
def test_every_claim_has_a_sentence_and_prints_another(file: Path) -> None:
    claims = [cell for cell in code_cells(file) if notebook.claim_of(cell.source)]
    assert len(claims) >= 6
    for cell in claims:
        assert cell.source.startswith("# "), cell.source
        assert "print(" in cell.source and texts(cell)


@each_notebook
def test_charts_can_be_read_and_the_file_stays_small(file: Path) -> None:
    assert file.stat().st_size < LARGEST_FILE
    pictures = charts(file)
    assert len(pictures) >= 4
    for picture in pictures:
        width, height = struct.unpack(">II", picture[16:24])
        assert 700 <= width <= 1_400 and 350 <= height <= 900
        assert len(picture) < LARGEST_CHART


@each_notebook
def test_its_opening_has_the_lines_of_every_lesson(file: Path) -> None:
    text = manifest.opening(file)
    said = manifest.header(text)
    assert "You will see" in text and "`" * 3 not in text
    assert f"notebooks/{file.name[:2]}" in said["Run"] and file.name in said["Run"]
    assert said["Needs"] == TITLES["postgres"] and said["Minutes"].isdigit()
    assert any((folder / said["Next"]).is_file() for folder in (ROOT, file.parent))


@each_notebook
def test_cells_are_short_and_steps_have_headings(file: Path) -> None:
    stored = notebook.read(file)
    assert all(cell.source.count("\n") <= 30 for cell in stored.cells)
    for step in notebook.steps_of(stored.cells):
        assert step[0].source.startswith("## ")
