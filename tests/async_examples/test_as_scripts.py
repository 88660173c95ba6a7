"""Both lessons as their users run them: from anywhere, interrupted, and closely watched."""

import os
import signal
import subprocess
import sys

import pytest

from course.settings import ROOT
from tests.support import run_python

LESSONS = ["async_examples/01_async_basics.py", "async_examples/02_async_http_client.py"]


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
