"""A lesson's turn: one run at a time, given back by whoever dies, Ctrl-C heard while waiting.

And a Redis of its own, which it may kill.
"""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest
import redis

from course.settings import ROOT, STACK_DIR
from course.workspace import WAITING, own_redis, own_turn

WAIT_FOR_TURN = """
from course.workspace import own_turn
with own_turn("test_workspace"):
    print("my turn", flush=True)
    input()
"""


def waiting_process(tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", WAIT_FOR_TURN],
        cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "COURSE_STACK_DIR": str(tmp_path)},
    )  # fmt: skip


def test_the_second_waits_for_the_first_even_when_it_is_killed(tmp_path: Path) -> None:
    with waiting_process(tmp_path) as first:
        assert first.stdout and first.stdout.readline() == "my turn\n"
        with waiting_process(tmp_path) as second:
            assert second.stdout and second.stdout.readline() == WAITING + "\n"
            first.kill()
            assert second.stdout.readline() == "my turn\n"
            second.communicate("\n", timeout=60)
    assert second.returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_ends_the_waiting(tmp_path: Path) -> None:
    with waiting_process(tmp_path) as first, waiting_process(tmp_path) as second:
        assert first.stdout and second.stdout
        said = {first.stdout.readline(), second.stdout.readline()}
        assert said == {"my turn\n", WAITING + "\n"}
        for process in (second, first):
            process.send_signal(signal.SIGINT)
            assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]


def test_different_names_do_not_wait(capsys: pytest.CaptureFixture[str]) -> None:
    with own_turn("test_workspace_a"), own_turn("test_workspace_b"):
        pass
    assert capsys.readouterr().out == ""


def test_an_own_redis_may_be_killed_and_keeps_its_data_and_leaves_nothing() -> None:
    name = f"test_{uuid.uuid4().hex}"
    with own_redis(name) as server:
        if server is None:
            pytest.skip("no real Redis can be started on this machine")
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            client.set("kept", "seven")
            server.kill()
            with pytest.raises(redis.ConnectionError):
                client.get("kept")
            server.start()
            assert client.get("kept") == "seven"
        last = server.pid
    assert not psutil.pid_exists(last) or psutil.Process(last).status() == psutil.STATUS_ZOMBIE
    assert not (STACK_DIR / name).exists()


def test_an_own_redis_that_a_dead_run_left_behind_is_ended() -> None:
    name = f"test_{uuid.uuid4().hex}"
    with own_redis(name) as left_behind:
        if left_behind is None:
            pytest.skip("no real Redis can be started on this machine")
        with own_redis(name) as server:
            assert server is not None and server.pid != left_behind.pid
            gone = redis.Redis.from_url(left_behind.url)
            with pytest.raises(redis.ConnectionError):
                gone.ping()
