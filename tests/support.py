"""What several tests share: loading a lesson as a module, and running one as a process."""

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import time
from contextlib import AbstractContextManager, closing, redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

from course import connect, lesson
from course.errors import UNAVAILABLE
from course.settings import ROOT

ONE_PART = """
import sys
from course.lesson import run
from tests.support import load_lesson
path, number = sys.argv.pop(1), int(sys.argv.pop(1))
lesson = load_lesson(path)
lesson.PARTS = lesson.PARTS[number - 1 : number]
run(lesson.main)
"""


def one_part(path: str, number: int, *options: str) -> list[str]:
    """The command that runs one of a lesson's parts, as its first step; from the root."""
    return [sys.executable, "-c", ONE_PART, path, str(number), *options]


def load_lesson(path: str) -> ModuleType:
    """The lesson at `path` (from the root) as a module, which its name alone can't give."""
    file = ROOT / path
    specification = importlib.util.spec_from_file_location(f"lesson_{file.stem}", file)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    # Dataclasses and pickling look their module up by name.
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def run_python(
    *arguments: str | Path, cwd: Path = ROOT, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run this Python with `arguments`; output as text, and nothing on standard input."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=timeout,
    )


def told_without_a_service(script: ModuleType, **given: str) -> str:
    """What a loaded lesson says on stderr when the services `given` are away; it ends with 69.

    In this process: a new one would take seconds to import what is then not used.
    """
    said = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stderr(said),
        redirect_stdout(io.StringIO()),
    ):
        for name, url in given.items():
            patch.setenv(name, url)
        with pytest.raises(SystemExit) as ended:
            lesson.run(script.main, argv=[])
    assert ended.value.code == UNAVAILABLE, said.getvalue()
    assert "Traceback" not in said.getvalue()
    return said.getvalue()


def run_when_its_turn_comes(turn: AbstractContextManager[None], *arguments: str | Path) -> str:
    """What a lesson prints that was started while `turn`, its own, was taken, and so had to wait.

    Nothing may be said of what was never closed.
    """
    command = [sys.executable, "-u", "-W", "error::ResourceWarning", *map(str, arguments)]
    pipe = subprocess.PIPE
    with turn:
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, encoding="utf-8")
        assert process.stdout
        while "waiting for it to end" not in process.stdout.readline():
            assert process.poll() is None
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, ""), output
    return output


def wait_until_it_runs(query: str) -> None:
    """Wait until the course's database works on `query`.

    Ctrl-C before it, or between two statements, is another story than Ctrl-C while it works.
    """
    running = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s"
    deadline = time.monotonic() + 60
    with closing(connect.postgres()) as watching, watching.cursor() as cursor:
        watching.autocommit = True
        while time.monotonic() < deadline:
            cursor.execute(running, [f"{query}%"])
            if cursor.rowcount:
                return
            time.sleep(0.05)
    raise AssertionError(f"the server never ran {query}")


def copy_of_the_course(target: Path) -> Path:
    """A fresh copy, as a clone of what stands here would be: no environment, no data, no .env."""
    for file in tracked_files():
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, target / file)
    return target


def environment_python(venv: Path) -> Path:
    """The Python of a virtual environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def tracked_files() -> list[Path]:
    """The project's files, from the root: what git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    files = [Path(name) for name in listed.split("\0") if name]
    return [file for file in files if (ROOT / file).is_file()]
