"""A workbench runs a project's commands in a copy, under its own environment's Python."""

import sys
from pathlib import Path

import pytest

from course.errors import CourseError
from course.workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src/say.py").write_text("import os; print('said', os.environ['WORD'])")
    (project / "src/fail.py").write_text("print('a'); raise SystemExit('no such flight')")
    (project / "params.yaml").write_text("flights: 5\n")
    made = Workbench(tmp_path / "home", Path(sys.prefix), {"WORD": "one"})
    made.copy(project, ["params.yaml", "src"])
    return made


def test_a_script_runs_there_under_its_variables(bench: Workbench) -> None:
    assert bench.must("src/say.py") == "said one\n"
    assert bench.must("src/say.py", WORD="two") == "said two\n"


def test_both_sides_of_the_pipe_speak_utf8(
    monkeypatch: pytest.MonkeyPatch, bench: Workbench
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    made = Workbench(bench.home, Path(sys.prefix), {"WORD": "курс"})
    assert made.must("src/say.py") == "said курс\n"


def test_a_failure_is_told_with_its_last_words(bench: Workbench) -> None:
    assert bench.run("src/fail.py").returncode == 1
    with pytest.raises(CourseError, match=r"(?s)src/fail.py failed.*no such flight"):
        bench.must("src/fail.py")


def test_a_change_must_find_its_place(bench: Workbench) -> None:
    bench.change("params.yaml", r"flights: \d+", "flights: 7")
    assert (bench.home / "params.yaml").read_text() == "flights: 7\n"
    with pytest.raises(CourseError, match="nothing like"):
        bench.change("params.yaml", "seed", "x")
