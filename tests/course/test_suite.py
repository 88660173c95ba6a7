"""The two passes of the test suite, tried on a project of three tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from course import cli, settings, suite
from course.console import Console
from course.errors import FAILED, INTERRUPTED, OK
from tests.stack.private import eventually

PROJECT = '[tool.pytest.ini_options]\nmarkers = ["alone"]\n'
TOGETHER = "import os\ndef test_{name}(): assert 'PYTEST_XDIST_WORKER' in os.environ\n"
ALONE = (
    "import os, pytest\n"
    "@pytest.mark.alone\n"
    "def test_it(): assert 'PYTEST_XDIST_WORKER' not in os.environ\n"
)
XDIST = ["-q", "-p", "xdist"]
FAILS = "def test_{name}(): assert False\n"
SLOW = """
import os, time, pytest
from pathlib import Path
@pytest.fixture
def server():
    Path("begun").write_text("")
    yield
    time.sleep(1)
    Path("ended").write_text("")
def test_it(server): time.sleep(60)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a project of the files given as `name=text`, and takes it for the course."""

    def make(**files: str) -> Path:
        (tmp_path / "pyproject.toml").write_text(PROJECT)
        for name, text in files.items():
            (tmp_path / f"test_{name}.py").write_text(text.format(name=name))
        monkeypatch.setattr(settings, "ROOT", tmp_path)
        monkeypatch.setattr(suite, "workers", lambda: 2)
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
        # Loading this project's other plugins would take most of the time.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return tmp_path

    return make


def test_each_test_runs_in_one_pass_and_both_results_are_in_one_file(
    project: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results = project(one=TOGETHER, two=TOGETHER, alone=ALONE) / "results.xml"
    assert suite.in_two_passes(Console(), XDIST, results) == OK
    cases = ElementTree.parse(results).getroot().findall("./testsuite/testcase")
    assert sorted(case.get("name") or "" for case in cases) == ["test_it", "test_one", "test_two"]
    said = capsys.readouterr().out
    assert "Pass 1 of 2: 2 side by side" in said and "Pass 2 of 2: one alone" in said
    assert said.count("passed, 0.") == 2


@pytest.mark.parametrize(
    ("files", "verdicts"),
    [
        ({"one": FAILS, "alone": ALONE}, ["FAILED", "passed"]),
        ({"one": TOGETHER, "alone": ALONE.replace("not in", "in")}, ["passed", "FAILED"]),
        ({"one": "def broken(", "alone": ALONE}, ["FAILED", "FAILED"]),
    ],
)
def test_one_failed_pass_fails_the_suite_and_the_other_runs_all_the_same(
    project: Callable[..., Path],
    files: dict[str, str],
    verdicts: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    project(**files)
    assert suite.in_two_passes(Console(), XDIST, None) == FAILED
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert [word for line in lines for word in ("passed", "FAILED") if word in line] == verdicts


def test_a_pass_without_tests_is_no_failure(project: Callable[..., Path]) -> None:
    project(one=TOGETHER)
    assert suite.in_two_passes(Console(), XDIST, None) == OK


OPTIONS = ["--full", "--strict", "--seed", "3", "--renew-transcripts", "--without", "shop"]
FOR_PYTEST = ["--ignore=tests/shop", "--full", "--skips-fail", "--seed=3", "--renew-transcripts"]


def test_options_go_to_both_passes_and_a_path_to_a_single_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs: list[tuple[object, ...]] = []
    monkeypatch.setattr(cli, "up", lambda *_: OK)
    monkeypatch.setattr(suite, "in_two_passes", lambda _, *given: runs.append(given))
    monkeypatch.setattr(suite, "run_pytest", lambda given: runs.append((given,)))
    results = tmp_path / "results.xml"
    cli.main(["test", *OPTIONS, f"--junitxml={results}"])
    cli.main(["test", "tests/smoke", *OPTIONS])
    assert runs == [(FOR_PYTEST, results), (["tests/smoke", *FOR_PYTEST],)]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to the whole console")
def test_ctrl_c_ends_both_passes_and_lets_fixtures_end(project: Callable[..., Path]) -> None:
    root = project(slow=SLOW, alone=ALONE)
    program = (
        "import sys; from pathlib import Path; from course import settings, suite, cli\n"
        f"settings.ROOT = Path({str(root)!r})\n"
        f"cli.VERBS['test'] = lambda console, _: suite.in_two_passes(console, {XDIST}, None)\n"
        "sys.exit(cli.main(['test']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", start_new_session=True,
    )  # fmt: skip
    eventually((root / "begun").exists, seconds=60)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, said
    assert (root / "ended").exists() and "Pass 2" not in said
    assert "Stopped by Ctrl-C." in said
