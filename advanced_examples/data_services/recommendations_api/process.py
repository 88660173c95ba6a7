"""The service and the consumer as processes of their own, for lessons, tests and benchmarks."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from course.interrupt import undisturbed
from recommendations_api import consumer
from recommendations_api.settings import Settings

SERVICE, CONSUMER = "recommendations_api", "recommendations_api.consumer"
LISTENS = "The recommendations API listens on "
START, END = 90.0, 10.0  # seconds that starting and ending may take, on a busy machine too


@dataclass(frozen=True)
class Started:
    """A process and the line with which it said that it is ready."""

    process: subprocess.Popen[bytes]
    line: str

    @property
    def url(self) -> str:
        """Where the service listens."""
        return self.line.removeprefix(LISTENS).split()[0]


@contextmanager
def service(settings: Settings, *options: str) -> Iterator[Started]:
    """The service on a free port while the block runs."""
    with running(SERVICE, LISTENS, settings, "--port", "0", *options) as started:
        yield started


@contextmanager
def storing(settings: Settings) -> Iterator[Started]:
    """The consumer while the block runs."""
    with running(CONSUMER, consumer.READY, settings) as started:
        yield started


@contextmanager
def running(module: str, first: str, settings: Settings, *options: str) -> Iterator[Started]:
    """`python -m module` from when it says a line that begins with `first`.

    RuntimeError with its last words when it ends before. At the end of the block it is asked to
    end, and killed if it does not.
    """
    log = Path(settings.model) / f"{module}.log"
    command = [sys.executable, "-m", module, *options]
    environment = {**os.environ, **settings.environment(), "PYTHONUNBUFFERED": "1"}
    process = None
    try:
        # A file instead of a pipe: a pipe that nobody reads blocks the process when it is full.
        with log.open("wb") as output, undisturbed():
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,  # Ctrl-C is for the lesson, which then ends its processes
            )  # fmt: skip
        yield Started(process, spoken(process, log, first))
    finally:
        if process is not None:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and kill it if it does not."""
    process.terminate()
    try:
        process.wait(END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def spoken(process: subprocess.Popen[bytes], log: Path, first: str) -> str:
    """The first line of the log that begins with `first`, waited for."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        found = next((line for line in lines if line.startswith(first)), None)
        if found is not None:
            return found
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"{process.args[2]} did not start:\n" + "\n".join(lines[-15:]))
