"""The rule for programs that no wheel carries: found, installed where allowed, or skipped aloud."""

import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests import tools
from tests.support import run_python


def test_a_program_on_the_path_is_taken(tool: Callable[[str], str]) -> None:
    assert Path(tool("git")).exists()


def test_without_the_right_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "may_install", lambda: False)
    monkeypatch.setitem(tools.DEBIAN_PACKAGES, "no-such-tool", "no-such-package-of-the-course")
    assert tools.find_tool("no-such-tool") is None


def test_root_on_debian_gets_what_is_missing_and_others_do_not() -> None:
    there = shutil.which("promtool") is not None
    found = tools.find_tool("promtool") is not None
    assert found == (there or tools.may_install()), "promtool comes with the package prometheus"
    assert "prometheus" not in users_of_processes(), "no service may be left running"


def users_of_processes() -> set[str]:
    """Who runs processes; the package's service has a user of its own, a test's Prometheus not."""
    return {process.info["username"] for process in psutil.process_iter(["username"])}


def test_what_is_missing_is_skipped_aloud_and_strict_makes_it_a_failure(tmp_path: Path) -> None:
    sample = tmp_path / "sample_that_needs_a_tool.py"
    sample.write_text("def test_it(tool):\n    tool('no-such-tool')\n")
    command = ["-m", "pytest", sample, "-q", "-p", "tests.conftest"]
    lenient = run_python(*command, "-rs")
    strict = run_python(*command, "--skips-fail")
    assert lenient.returncode == 0, lenient.stdout + lenient.stderr
    assert "no-such-tool is not here" in lenient.stdout
    assert strict.returncode == 1, strict.stdout + strict.stderr
