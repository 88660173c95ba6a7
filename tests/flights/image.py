"""A Dockerfile carried out without an engine: its COPY, RUN, CMD and HEALTHCHECK in a folder.

What differs from a real build: the base image is this machine with its own Python, absolute paths
of the image are moved into the stage's folder, and layers, users' names and networks don't exist.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import NamedTuple

from learn import settings_for_uv

PIP = re.compile(r"python -m pip --python (\S+) install")
OF_THE_IMAGE = re.compile(r"(?<![\w.$}\]/-])/(app|build|flights|opt/flights)(?![\w-])")


class Instruction(NamedTuple):
    """One line of a Dockerfile, continued lines joined: `COPY`, `src src`."""

    name: str
    rest: str


def instructions(text: str) -> list[Instruction]:
    """All instructions of a Dockerfile, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def stages(text: str) -> dict[str, list[Instruction]]:
    """The instructions by stage, in order; each begins with its FROM."""
    found: dict[str, list[Instruction]] = {}
    for one in instructions(text):
        if one.name == "FROM":
            found[one.rest.rpartition(" AS ")[2]] = []
        list(found.values())[-1].append(one)
    return found


class Context:
    """The folder that is sent to a build, less what its .dockerignore leaves out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lines = (folder / ".dockerignore").read_text(encoding="utf-8").splitlines()
        self._rules = [line for line in lines if line and not line.startswith("#")]

    def has(self, path: str) -> bool:
        """Whether a file is sent: the last rule that meets it or a folder above it decides."""
        sent = True
        parts = path.split("/")
        above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        for rule in self._rules:
            pattern = rule.removeprefix("!")
            if any(meets(one, pattern) for one in above):
                sent = rule.startswith("!")
        return sent

    def files(self, source: str) -> list[str]:
        """The files that `COPY source` would copy; FileNotFoundError when there is none."""
        at = self.folder / source
        walked = at.rglob("*") if at.is_dir() else [at]
        names = [one.relative_to(self.folder).as_posix() for one in walked if one.is_file()]
        found = [name for name in names if self.has(name)]
        if not found:
            raise FileNotFoundError(f"COPY {source}: nothing of it is sent to the build")
        return found


def meets(path: str, pattern: str) -> bool:
    """Whether a path meets a pattern of .dockerignore: * within a name, **/ any folders."""
    if pattern.startswith("**/"):
        return bool(re.match(translate(pattern[3:]), path.rpartition("/")[2]))
    return path.count("/") == pattern.count("/") and bool(re.match(translate(pattern), path))


@dataclass
class Image:
    """What building one stage left: a folder in place of the root, and how it wants to be run."""

    root: Path
    workdir: str = "/"
    user: str = "0:0"
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def moved(self, text: str) -> str:
        """`text` with the image's absolute paths moved into this folder."""
        return OF_THE_IMAGE.sub(rf"{self.root}/\1", text)

    def at(self, path: str) -> Path:
        """Where the image's `path` lies."""
        inside = os.path.normpath(Path(self.workdir, path))
        moved = self.moved(inside)
        return Path(moved) if moved != inside else self.root / inside.lstrip("/")

    def variables(self) -> dict[str, str]:
        """The environment that its processes find."""
        return {name: self.moved(value) for name, value in self.environment.items()}

    def words(self, command: list[str]) -> list[str]:
        """`command` as its user would run it: where we are root, as the image's unknown number."""
        program = shutil.which(command[0], path=self.variables()["PATH"])
        user, group = self.user.split(":")
        less = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups",
                "--bounding-set=-all", "--no-new-privs"]  # fmt: skip
        return [*(less if os.geteuid() == 0 else []), str(program), *command[1:]]

    @contextmanager
    def running(self, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Its CMD as a process while the block lasts, with nothing around it but `environment`."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.words(self.command), cwd=self.at(self.workdir), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, env={**self.variables(), **environment},
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def ask(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """What another process in it says, as `docker exec` would start it."""
        given = {name: self.moved(text) for name, text in environment.items()}
        return subprocess.run(
            self.words(command), cwd=self.at(self.workdir), capture_output=True, text=True,
            env={**self.variables(), **given}, check=False, timeout=60,
        )  # fmt: skip


class Builder:
    """Builds the stages of a project's Dockerfile into folders below `target`."""

    def __init__(self, project: Path, target: Path, quick: bool) -> None:
        """`quick`: packages come through uv, which takes a third of pip's time, and uncompiled."""
        self.context, self.target, self.quick = Context(project), target, quick
        self.stages = stages((project / "Dockerfile").read_text(encoding="utf-8"))
        self.images: dict[str, Image] = {}
        self.bin = target / "bin"
        self.bin.mkdir()
        wrapper = self.bin / "python"  # no link: a virtual environment would look beside it
        wrapper.write_text(f'#!/bin/sh\nexec {python_for_anybody()} "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)

    def build(self, name: str) -> Image:
        """The stage `name`, and before it those that it copies from."""
        if name in self.images:
            return self.images[name]
        root = self.target / name
        root.mkdir()
        self.images[name] = image = Image(root, environment={"PATH": f"{self.bin}:{os.defpath}"})
        for one in self.stages[name]:
            self.carry_out(one, image)
        return image

    def carry_out(self, one: Instruction, image: Image) -> None:
        """One instruction; ValueError for one that isn't known here."""
        if one.name == "ENV":
            for key, value in re.findall(r"(\w+)=(\S+)", one.rest):
                image.environment[key] = value.replace("$PATH", image.environment.get("PATH", ""))
        elif one.name == "WORKDIR":
            image.workdir = one.rest
            image.at(one.rest).mkdir(parents=True, exist_ok=True)
        elif one.name == "COPY":
            self.copy(one.rest.split(), image)
        elif one.name == "RUN":
            self.run(one.rest, image)
        elif one.name == "USER":
            image.user = one.rest
        elif one.name == "CMD":
            image.command = json.loads(one.rest)
        elif one.name == "HEALTHCHECK":
            image.healthcheck = json.loads(one.rest.partition("CMD ")[2])
        elif one.name not in ("FROM", "EXPOSE"):
            raise ValueError(f"{one.name} is not known here")

    def copy(self, words: list[str], image: Image) -> None:
        """COPY of files, of folders' contents, or of another stage's folder."""
        if words[0].startswith("--from="):
            other = self.build(words[0].removeprefix("--from="))
            shutil.copytree(other.at(words[1]), image.at(words[2]), symlinks=True)
            return
        *sources, target = words
        for source in sources:
            folder = (self.context.folder / source).is_dir()
            for name in self.context.files(source):
                inside = name.removeprefix(source).lstrip("/") if folder else Path(name).name
                to = image.at(target)
                if folder or target.endswith("/"):
                    to = to / inside
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.context.folder / name, to)

    def run(self, command: str, image: Image) -> None:
        """RUN, by the shell; RuntimeError with its last words when it fails."""
        moved = image.moved(command)
        if self.quick:
            settings = " ".join(settings_for_uv([sys.executable, "-m", "pip"]))
            moved = PIP.sub(rf"{find_uv()} pip install --python \1 {settings}", moved)
        ran = subprocess.run(
            ["sh", "-c", moved], cwd=image.at(image.workdir), capture_output=True, text=True,
            env={**os.environ, **image.variables()}, check=False,
        )  # fmt: skip
        if ran.returncode:
            raise RuntimeError(f"RUN {command}\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")


def find_uv() -> str:
    """The uv beside this Python, as learn.py installs it, or one on PATH."""
    found = shutil.which(
        "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        raise RuntimeError("uv is missing: pip install uv")
    return found


def python_for_anybody() -> str:
    """A Python that every user of this machine may run: this one, or where we are root, Debian's.

    Root's own lies where nobody else may look.
    """
    own = getattr(sys, "_base_executable", sys.executable)
    if os.geteuid():
        return str(own)
    for python in (own, "/usr/local/bin/python3", "/usr/bin/python3"):
        file = Path(python).resolve()
        if file.exists() and all(above.stat().st_mode & stat.S_IXOTH for above in file.parents):
            return str(file)
    raise RuntimeError("no Python here may be run by other users than root")
