"""What the tests of the flights' delivery share: the project's files, and tools that check them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from course.settings import ROOT
from tests.flights.flight_service import PROJECT
from tests.support import environment_python, run_python

K8S = PROJECT / "k8s"
CHECKS = PROJECT / "environments" / "checks"
WORKFLOWS = ROOT / ".github" / "workflows"
Manifest = dict[str, Any]


@cache
def documents(file: Path) -> list[Manifest]:
    """All YAML documents of a file; to read only, since they are kept."""
    return [one for one in YAML(typ="safe").load_all(file.read_text(encoding="utf-8")) if one]


def manifest_files() -> list[Path]:
    """Every file of Kubernetes objects, without the kustomizations."""
    return sorted(
        one
        for one in K8S.rglob("*.yaml")
        if one.name != "kustomization.yaml" and not one.is_relative_to(K8S / "release")
    )


def manifests() -> Iterator[tuple[Path, Manifest]]:
    """Every Kubernetes object, with its file."""
    for file in manifest_files():
        for one in documents(file):
            yield file, one


def find(kind: str, name: str) -> Manifest:
    """The object of that kind and name; LookupError without it."""
    for _, one in manifests():
        if (one["kind"], one["metadata"]["name"]) == (kind, name):
            return one
    raise LookupError(f"no {kind} {name} in {K8S}")


def course_tool(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of the course's environment, never one from PATH, in the course's folder."""
    found = shutil.which(tool, path=str(Path(sys.executable).parent))
    assert found, f"{tool} is not installed; see requirements-dev.txt"
    return ran(found, *arguments)


@cache
def checks_folder() -> Path:
    """The programs of the checks environment, made first if need be; skips aloud without it."""
    made = run_python(ROOT / "learn.py", "environment", CHECKS, timeout=600)
    if made.returncode:
        pytest.skip(f"the checks environment of the flights can't be made: {made.stderr}")
    return environment_python(CHECKS / ".venv").parent


def check_tool(
    tool: str, *arguments: str | Path, cwd: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run a tool of the checks environment, in the project's folder unless told otherwise."""
    found = shutil.which(tool, path=str(checks_folder()))
    assert found, f"{tool} is missing: {CHECKS}/requirements.txt names it"
    return ran(found, *arguments, cwd=cwd)


def ran(
    program: str, *arguments: str | Path, cwd: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """`program` with `arguments`, run to its end."""
    return subprocess.run(
        [program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False, timeout=280,
    )  # fmt: skip
