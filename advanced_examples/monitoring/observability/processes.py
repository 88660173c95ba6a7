"""The pipeline's services as processes of their own, for the lesson, the demo and the tests."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

LISTENS = "listens on "
START, END = 90.0, 10.0  # seconds that starting and ending may take, on a busy machine too


@dataclass
class Service:
    """A service as a process; its log, its spans and what it says stand in `folder`."""

    name: str
    folder: Path
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """One JSON object a line."""
        return self.folder / f"{self.name}.log"

    @property
    def spans(self) -> Path:
        """One JSON object a line."""
        return self.folder / f"{self.name}.spans"

    def launch(self) -> None:
        """Start the process; `wait` tells when it listens."""
        command = [sys.executable, "-m", "observability", self.name, *self.options]
        with self._said.open("wb") as output, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--spans", str(self.spans), "--end-with-input"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
                start_new_session=True,  # Ctrl-C is for us; we end it
            )

    def wait(self) -> None:
        """Wait until it listens; RuntimeError with its last words when it ends before."""
        said = self._said.read_text
        until(lambda: LISTENS in said() or self.process.poll() is not None, START)
        if LISTENS not in said():
            self.stop()
            last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
            raise RuntimeError(f"{self.name} did not start:\n" + "\n".join(last))
        self.url = said().partition(LISTENS)[2].split()[0]

    def start(self) -> None:
        """`launch` and `wait`."""
        self.launch()
        self.wait()

    @property
    def _said(self) -> Path:
        return self.folder / f"{self.name}.out"

    def kill(self) -> None:
        """End it as `kill -9` does: it finishes nothing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._close_input()

    def stop(self) -> None:
        """Close its input, on which it ends by itself; kill it when it does not."""
        if self.process is None:
            return
        self._close_input()
        try:
            self.process.wait(END)
        except subprocess.TimeoutExpired:
            self.kill()

    def _close_input(self) -> None:
        with suppress(BrokenPipeError):  # it may have ended
            self.process.stdin.close()


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """The services while the block runs."""
    with ExitStack() as cleaning:
        for service in services:
            cleaning.callback(service.stop)
            service.launch()
        for service in services:
            service.wait()
        yield


def until(truth: Callable[[], bool], patience: float = START) -> None:
    """Wait until `truth` holds; TimeoutError when it takes too long."""
    deadline = time.monotonic() + patience
    while not truth():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.02)
