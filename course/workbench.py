"""A copy of a project that has an environment of its own, in which a lesson runs its commands."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from course.errors import CourseError

BIN = "Scripts" if os.name == "nt" else "bin"
LAST_LINES = 15


class Workbench:
    """The folder `home`, where programs of the virtual environment `venv` run under `variables`."""

    def __init__(self, home: Path, venv: Path, variables: Mapping[str, str]) -> None:
        self.home, self.bin = home, venv / BIN
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        # UTF-8 on both sides of the pipe, also where the system prefers another encoding.
        told = {"PATH": path, "PYTHONUNBUFFERED": "1"}
        told |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}
        self.environment = {**os.environ, **told, **variables}

    def copy(self, project: Path, names: Iterable[str]) -> None:
        """Bring files and folders of `project` here as they are today; what else is here stays."""
        for name in names:
            source, target = project / name, self.home / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)

    def change(self, name: str, pattern: str, new: str) -> None:
        """Put `new` in place of what fits `pattern` in a file; CourseError when nothing does."""
        file = self.home / name
        text, count = re.subn(pattern, new, file.read_text(encoding="utf-8"))
        if not count:
            raise CourseError(f"{name} holds nothing like {pattern}.")
        file.write_text(text, encoding="utf-8")

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script (`src/train.py --fast`) or a program of the environment (`dvc repro`).

        Both its streams come together as `stdout`.
        """
        script = command[0].endswith(".py")
        program = self.bin / ("python" if script else command[0])
        return subprocess.run(
            [program, *command] if script else [program, *command[1:]], cwd=self.home,
            env={**self.environment, **variables}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
            check=False,
        )  # fmt: skip

    def must(self, *command: str, **variables: str) -> str:
        """The same; what it said, or a CourseError with its last words when it fails."""
        done = self.run(*command, **variables)
        if done.returncode:
            said = "\n".join(done.stdout.splitlines()[-LAST_LINES:])
            raise CourseError(f"{' '.join(command)} failed:\n\n{said}")
        return done.stdout

    def json(self, name: str) -> Any:
        """The content of a JSON file here."""
        return json.loads((self.home / name).read_text(encoding="utf-8"))
