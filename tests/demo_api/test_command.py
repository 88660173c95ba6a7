"""`python -m course.demo_api`: says where it listens, answers, and ends cleanly."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from course.settings import HOST
from tests.support import run_python

COMMAND = [sys.executable, "-X", "dev", "-m", "course.demo_api"]


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    flags = subprocess.CREATE_NEW_PROCESS_GROUP if os.name == "nt" else 0
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=flags,
    )
    assert process.stdout
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found
    yield process, found[0]
    process.kill()
    process.communicate()


def test_it_answers_and_ctrl_c_ends_it_cleanly(server: tuple[subprocess.Popen[str], str]) -> None:
    process, url = server
    with urllib.request.urlopen(f"{url}/weather/Kyiv", timeout=10) as response:
        assert response.status == 200
    if os.name == "nt":
        pytest.skip("Windows can't send Ctrl-C to a single process without a console")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Stopped." in output
    assert errors == ""


def test_a_taken_port_is_one_plain_sentence() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        result = run_python("-m", "course.demo_api", "--port", str(port))
    assert result.returncode == 1
    assert result.stderr.startswith(f"Can't listen on port {port}:")
    assert "Traceback" not in result.stderr


def test_off_a_terminal_it_ends_when_nobody_asks() -> None:
    result = run_python("-m", "course.demo_api", "--idle-minutes", "0.005", timeout=30)
    assert result.returncode == 0
    assert "the demo API ends" in result.stdout
