"""The live demo of the flights' service, and its plan B: as the speaker runs it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.flights.flight_service import PROJECT, python, stocked

RECORDING = PROJECT / "defence" / "demo.txt"
PAUSE = "[Enter]"
NOBODY = "redis://127.0.0.1:9/0"
PATIENCE = 60.0
UNIX = pytest.mark.skipif(os.name == "nt", reason="a terminal of our own needs a Unix")


@pytest.fixture(scope="module")
def given(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, str]]:
    """A small model, and its features in Redis."""
    with stocked(service("redis"), tmp_path_factory.mktemp("demo"), trees=20) as made:
        yield made


def demo(
    *options: str, interpreter: str = sys.executable, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the demo with nobody at the keyboard."""
    return subprocess.run(
        [interpreter, "-m", "src.demo", *options], cwd=PROJECT, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True, check=False, encoding="utf-8", timeout=120,
    )  # fmt: skip


def normalised(said: str) -> list[str]:
    """The lines without figures; reasons in order of name, since each model has its own order."""
    lines, reasons = [], []
    for line in said.strip().splitlines():
        plain = re.sub(r"^ +[+-][\d.]+", " ±#", line)
        plain = re.sub(r"(?<![\w\"-])-?\d[\d.]*", "#", plain)
        plain = re.sub(r'(v\d+|tiny-1)(?=$|")', "VERSION", plain)
        plain = re.sub(r" +", " ", plain).rstrip()
        if line != PAUSE and not re.match(r"^ ±# (?!usual|together)", plain):
            lines += [*sorted(reasons), plain]
            reasons = []
        elif line != PAUSE:
            reasons.append(plain)
    return lines + sorted(reasons)


def test_plan_b_needs_no_service_and_no_network() -> None:
    played = demo("--recorded", REDIS_URL=NOBODY, FLIGHTS_HOME="/nowhere")
    assert played.returncode == 0, played.stderr
    assert played.stdout.startswith("Plan B: this was recorded")
    recorded = [line for line in RECORDING.read_text("utf-8").splitlines() if line != PAUSE]
    assert played.stdout.splitlines()[2:] == recorded
    assert max(map(len, recorded)) <= 80


def test_plan_b_goes_on_where_the_live_demo_broke() -> None:
    played = demo("--recorded", "--from", "6").stdout.splitlines()
    assert played[2].startswith("6  ") and not any(line.startswith("5  ") for line in played)


@pytest.mark.parametrize(
    ("options", "environment", "code", "says"),
    [
        ((), {"FLIGHTS_HOME": "/nowhere"}, 1, r"no trained model in /nowhere.*learn.py run"),
        (("--from", "8"), {}, 2, "invalid choice: 8"),
        (("--record", "--from", "2"), {}, 2, "holds all scenes"),
        (("--record", "--recorded"), {}, 2, "not allowed with"),
    ],
)
def test_it_says_what_is_wrong(
    options: tuple[str, ...], environment: dict[str, str], code: int, says: str
) -> None:
    done = demo(*options, **environment)
    assert done.returncode == code
    assert re.search(says, " ".join(done.stderr.split()))
    assert "Traceback" not in done.stderr
    if code == 1:
        plan_b = f"Plan B: `{sys.executable} -m src.demo --recorded`"
        assert done.stderr.strip().splitlines()[-1].startswith(plan_b)


@UNIX
def test_on_a_terminal_it_waits_for_the_key_and_ctrl_c_ends_it() -> None:
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "src.demo", "--recorded"], cwd=PROJECT, stdin=slave, stdout=slave,
        stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        said = read_until(master, PAUSE)
        assert "GET /health" in said and "healthy" not in said
        os.write(master, b"\n")
        assert "healthy" in read_until(master, PAUSE)
        assert end(process, signal.SIGINT) == 130
    finally:
        process.kill()
        process.wait()
        os.close(master)


def end(process: "subprocess.Popen[bytes]", with_signal: int) -> int:
    """Its exit code after the signal.

    Sent again after a while: one that comes between the prompt and the read is seen after the key.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        process.send_signal(with_signal)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(5)
    raise AssertionError("it did not end")


def read_until(master: int, word: str) -> str:
    """What a terminal shows up to `word`."""
    said, deadline = "", time.monotonic() + PATIENCE
    while word not in said:
        assert time.monotonic() < deadline, said
        said += os.read(master, 4096).decode()
    return said


def test_live_it_says_what_was_recorded(given: Mapping[str, str]) -> None:
    live = demo(interpreter=python("serving"), **given)
    assert live.returncode == 0, live.stderr
    said = live.stdout.removeprefix("Starting the service ...\n")
    assert normalised(said) == normalised(RECORDING.read_text(encoding="utf-8"))


@UNIX
@pytest.mark.parametrize(
    "name",
    ["SIGINT", *(pytest.param(more, marks=pytest.mark.long) for more in ("SIGTERM", "SIGHUP"))],
)
def test_when_it_is_ended_no_service_is_left(
    name: str, given: Mapping[str, str], tmp_path: Path
) -> None:
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [python("serving"), "-m", "src.demo"], cwd=PROJECT, stdin=slave, stdout=slave,
        stderr=slave, env={**os.environ, **given, "TMPDIR": str(tmp_path)}, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        read_until(master, PAUSE)
        (log,) = tmp_path.glob("flights*/log")
        assert "listens on" in log.read_text()
        assert end(process, getattr(signal, name)) == 130
        assert not log.exists()  # removed once the service has ended
    finally:
        process.kill()
        process.wait()
        os.close(master)
