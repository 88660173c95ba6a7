"""Without learn.py: a virtual environment, pip, and a lesson started in its own folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shop.conftest import new_database
from tests.support import copy_of_the_course, environment_python


def fresh_environment(root: Path, *pip_arguments: str) -> Path:
    """A new environment in `root` with what pip installs by `pip_arguments`; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", root / ".venv"], check=True)
    python = environment_python(root / ".venv")
    command = [python, "-m", "pip", "install", "--quiet", *pip_arguments]
    # Compiling what is thrown away in a minute would take a third of the time.
    subprocess.run(command, cwd=root, check=True, env={**os.environ, "PIP_NO_COMPILE": "1"})
    return python


def run_lesson(python: Path, lesson: Path, **environment: str) -> str:
    """Start a lesson from inside its own folder; returns its output."""
    ended = subprocess.run(
        [python, lesson.name, "--fast"],
        cwd=lesson.parent,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.timeout(600)  # pip downloads and unpacks everything, beside other tests
def test_pip_install_requirements_and_run_a_lesson(tmp_path: Path, service) -> None:
    root = copy_of_the_course(tmp_path)
    python = fresh_environment(root, "-r", "requirements.txt")
    lesson = root / "python_db" / "05_db_connection.py"
    # In a database of its own it needn't take turns with the lesson's other tests.
    with new_database(service("postgres")) as url:
        assert "All claims hold" in run_lesson(python, lesson, DATABASE_URL=url)


def test_the_kit_alone_is_enough_for_the_standard_library(tmp_path: Path) -> None:
    root = copy_of_the_course(tmp_path)
    python = fresh_environment(root, "--no-deps", "-e", ".")
    lesson = root / "async_examples" / "01_async_basics.py"
    assert "All claims hold" in run_lesson(python, lesson)
