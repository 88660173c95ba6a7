"""Notebooks as lessons: what becomes of headings, claims, errors and outputs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from course import notebook
from course.errors import CourseError
from course.settings import ROOT
from tests.support import run_python

nbformat = pytest.importorskip("nbformat")

OPENING = "# A title\n\nYou will see nothing.\n\n```\nRun      somehow\nNext     README.md\n```"
CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"


def text(source: str) -> dict:
    return nbformat.v4.new_markdown_cell(source)


def code(source: str) -> dict:
    return nbformat.v4.new_code_cell(source)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_notebook(*cells: dict) -> Path:
        made = nbformat.v4.new_notebook(cells=[text(OPENING), *cells])
        made.metadata = {"kernelspec": notebook.KERNEL}
        nbformat.write(made, tmp_path / "some.ipynb")
        return tmp_path / "some.ipynb"

    return write_notebook


@pytest.fixture
def run_cells(
    write: Callable[..., Path], service: Callable[[str], str]
) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a notebook of these cells as a lesson."""
    service("postgres")

    def run(*cells: dict, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        return run_python("-m", "course.notebook", write(*cells), *options)

    return run


def test_headings_are_steps_and_outputs_are_printed(run_cells: Callable) -> None:
    result = run_cells(
        code("print('early')"),
        text("## First\n\nSome [words](README.md).\n\n1. one\n2. two"),
        code("print('printed')\n40 + 2"),
        text("More words."),
        text("## Second"),
        code("import pandas as pd\npd.DataFrame({'a': [7]})"),
        code(CHART),
    )
    assert result.returncode == 0, result.stderr
    said = result.stdout
    places = [said.index(part) for part in (
        "A title", "You will see nothing", "1  Before the first heading", "early", "2  First",
        "Some words.", "- one\n- two", "printed\n42", "More words.", "3  Second", "a\n0  7",
        "(a chart: see it in the notebook)", "Next: README.md",
    )]  # fmt: skip
    assert places == sorted(places)
    assert "<table" not in said and "```" not in said and result.stderr == ""


def test_assertions_are_claims_and_a_false_one_does_not_stop_the_rest(run_cells: Callable) -> None:
    result = run_cells(
        code("# Two is even.\nx = 2\nassert x % 2 == 0\nprint('it is', x)"),
        code("# Two is odd\nassert x % 2 == 1"),
        code("print('still here')"),
    )
    assert result.returncode == 1
    assert "it is 2\n✓ Two is even\n✗ Two is odd\nstill here" in result.stdout
    assert "False claims: 1 of 2" in result.stdout and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("print('before')\n1 / 0", "ZeroDivisionError: division by zero"),
        ("# A claim\nassert missing", "NameError: name 'missing' is not defined"),
        ("import os\nos._exit(3)", "the kernel died"),
    ],
)
def test_an_error_names_the_cell_in_plain_words(
    run_cells: Callable, source: str, problem: str
) -> None:
    result = run_cells(text("## A step"), code(source), code("print('never run')"))
    assert result.returncode == 1
    assert f"cell 3: {problem}" in result.stderr
    assert f"  | {source.splitlines()[-1]}" in result.stderr
    assert "Traceback" not in result.stderr and "never run" not in result.stdout


def test_it_works_in_the_folder_of_the_notebook_with_this_python(
    run_cells: Callable, tmp_path: Path
) -> None:
    (tmp_path / "here.txt").write_text("found", encoding="utf-8")
    result = run_cells(
        code("import sys\nprint(open('here.txt').read(), sys.executable)"),
    )
    assert f"found {sys.executable}" in result.stdout


def test_save_keeps_outputs_and_nothing_that_differs_from_run_to_run(
    write: Callable, service: Callable
) -> None:
    service("postgres")
    path = write(code("import pandas as pd\npd.DataFrame({'a': [7]})"), code(CHART))
    contents = []
    for _ in range(2):
        assert run_python("-m", "course.notebook", path, "--save").returncode == 0
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    frame, chart = (cell.outputs[0] for cell in notebook.read(path).cells[1:])
    assert list(frame.data) == ["text/plain"] and list(chart.data) == ["image/png"]


def test_a_false_claim_is_not_saved(write: Callable, service: Callable) -> None:
    service("postgres")
    path = write(code("# No\nassert False"))
    before = path.read_bytes()
    assert run_python("-m", "course.notebook", path, "--save").returncode == 1
    assert path.read_bytes() == before


def test_earlier_steps_run_silently_and_without_save_the_file_stays(
    write: Callable, service: Callable
) -> None:
    service("postgres")
    path = write(text("## One"), code("x = 'from one'"), text("## Two"), code("print(x)"))
    before = path.read_bytes()
    result = run_python("-m", "course.notebook", path, "--from", "2")
    assert result.returncode == 0
    assert "1  One" not in result.stdout and "from one" in result.stdout
    assert path.read_bytes() == before


@pytest.mark.parametrize("arguments", [[], ["missing.ipynb"], ["--help"]])
def test_without_a_file_it_says_how_to_use_it(arguments: list[str]) -> None:
    result = run_python("-m", "course.notebook", *arguments)
    assert result.returncode == 2 and "course.notebook FILE" in result.stderr


def test_without_jupyters_packages_it_says_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "nbformat.py").write_text("raise ImportError", encoding="utf-8")
    file = ROOT / "notebooks" / "07_data_analysis.ipynb"
    result = run_python("-m", "course.notebook", file, PYTHONPATH=str(tmp_path))
    assert result.returncode == 69 and "requirements-notebook.txt" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", ["", "no JSON", "{}", '{"cells": 1, "nbformat": 4}', "[]"])
def test_what_is_no_notebook_is_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    file = tmp_path / "broken.ipynb"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(CourseError, match="is no notebook"):
        notebook.read(file)
    result = run_python("-m", "course.notebook", file)
    assert result.returncode == 1 and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("x = 1", None),
        ("# assert nothing\nx = 1", None),
        ("print('assert')", None),
        ("# A claim.\nassert x", "A claim"),
        ("x = 1\n# Later comment\nassert x", "Later comment"),
        ("assert x", "assert x"),
        ("# For all\nfor x in y:\n    assert x", "For all"),
    ],
)
def test_the_claim_is_the_first_comment(source: str, claim: str | None) -> None:
    assert notebook.claim_of(source) == claim


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_ends_the_lesson_and_its_kernel(write: Callable, service: Callable) -> None:
    service("postgres")
    path = write(code("print('begins')"), text("## Slow"), code("import time\ntime.sleep(60)"))
    with subprocess.Popen(
        [sys.executable, "-m", "course.notebook", path],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    ) as process:  # fmt: skip
        assert process.stdout
        while "Slow" not in (line := process.stdout.readline()) and line:
            pass
        kernels = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(kernels, timeout=60)
    assert kernels and not alive
