"""Dockerfile and .dockerignore: clean, pinned, not root, and layered so that rebuilds are quick."""

import re
import sys

import pytest

from course.settings import ROOT
from tests.deploy.conftest import Checker

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, re.MULTILINE)


def position(instruction: str, argument: str) -> int:
    """Where the instruction stands whose argument begins with `argument`."""
    return next(
        number
        for number, (name, rest) in enumerate(INSTRUCTIONS)
        if name == instruction and rest.startswith(argument)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint has no package for Windows")
def test_hadolint_finds_nothing(checker: Checker) -> None:
    checker("hadolint", "Dockerfile")


def test_base_image_is_a_slim_python_pinned_to_its_minor_version() -> None:
    assert re.fullmatch(r"python:3\.(11|12|13)-slim", dict(INSTRUCTIONS)["FROM"])


def test_lessons_do_not_run_as_root() -> None:
    users = [rest for name, rest in INSTRUCTIONS if name == "USER"]
    assert users and users[-1] not in ("root", "0")
    assert INSTRUCTIONS[-1][0] == "CMD"


def test_packages_are_a_layer_that_the_course_files_do_not_touch() -> None:
    pins, packages = position("COPY", "requirements.txt"), position("RUN", "grep")
    everything, course = position("COPY", ". ."), position("RUN", "pip install --no-deps")
    assert pins < packages < everything < course


def test_only_the_first_pin_needs_the_course_files() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("-")] == ["-e ."]


def test_nothing_private_or_built_gets_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".git", ".venv", ".stack", ".env", "output"} <= set(ignored)
