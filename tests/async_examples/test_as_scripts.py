"""Both lessons as their users run them: from anywhere, interrupted, and closely watched."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from course.settings import ROOT
from tests.support import run_python

LESSONS = ["async_examples/01_async_basics.py", "async_examples/02_async_http_client.py"]


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_leaks_and_no_error_goes_unseen(lesson: str, tmp_path: Path) -> None:
    checks = ["-W", "default", "-W", "error::ResourceWarning"]
    result = run_python(*checks, ROOT / lesson, "--fast", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    for complaint in ("Unclosed", "never retrieved", "Traceback", "ResourceWarning"):
        assert complaint not in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
@pytest.mark.parametrize("lesson", LESSONS)
def test_ctrl_c_ends_it_without_a_traceback(lesson: str) -> None:
    command = [sys.executable, "-X", "dev", str(ROOT / lesson)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout
        while "2  " not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_without_network_the_live_lesson_is_complete_all_the_same() -> None:
    nowhere = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https")}
    result = run_python(LESSONS[1], "--fast", "--live", no_proxy="", **nowhere)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Is there no network?" in result.stdout
