"""Start workers as processes of their own, hear what they say, stop or kill them."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from course.interrupt import undisturbed
from shop_profile.messages import Topology

PATIENCE = 90.0  # seconds, for a busy machine
GRACE = 5.0  # seconds that a worker has to finish what is in hand
WINDOWS = os.name == "nt"
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows: to send Ctrl-Break

Process = subprocess.Popen[str]


class Crew:
    """Workers; the end of the `with` block ends those that still run.

    `environment` is added to this process's own.
    """

    def __init__(self, **environment: str) -> None:
        self.environment = environment
        self.lines: queue.Queue[str] = queue.Queue()
        self.processes: list[Process] = []
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for process in self.processes:
            if process.poll() is None:
                interrupt(process)
        for process in self.processes:
            try:
                process.wait(GRACE if kind is None else 0.5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for reader in self._readers:
            reader.join()

    def consume(self, topology: Topology, name: str, *options: object) -> Process:
        """Start a consumer of the group's work queue."""
        group = ("--keys", *topology.keys, "--limit", topology.delivery_limit)
        patience = ("--delays", *topology.delays)
        return self.start(
            "consume", topology.queue, "--prefix", topology.prefix, "--name", name, *group,
            *patience, *options,
        )  # fmt: skip

    def start(self, command: str, *arguments: object) -> Process:
        """Start `python -m shop_profile.workers command …` and listen to what it prints."""
        words = [sys.executable, "-m", "shop_profile.workers", command]
        with undisturbed():
            process = subprocess.Popen(
                words + [str(argument) for argument in arguments],
                stdout=subprocess.PIPE, text=True, creationflags=NEW_GROUP, encoding="utf-8",
                env={**os.environ, "PYTHONIOENCODING": "utf-8", **self.environment},
            )  # fmt: skip
            reader = threading.Thread(target=self._listen, args=(process,), daemon=True)
            reader.start()
            self.processes.append(process)
            self._readers.append(reader)
        return process

    def _listen(self, process: Process) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                self.lines.put(line.rstrip())

    def hear(self, text: str, times: int = 1, patience: float = PATIENCE) -> list[str]:
        """The next `times` lines with `text` in them; others are passed over."""
        heard: list[str] = []
        deadline = time.monotonic() + patience
        while len(heard) < times:
            try:
                line = self.lines.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                raise TimeoutError(f"{len(heard)} of {times} times {text!r} were heard") from None
            if text in line:
                heard.append(line)
        return heard


def interrupt(process: Process) -> None:
    """Ask a worker to finish the message in hand and end: SIGTERM, or Ctrl-Break on Windows."""
    process.send_signal(signal.CTRL_BREAK_EVENT if WINDOWS else signal.SIGTERM)


def until(truth: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until `truth` holds; TimeoutError when it takes too long."""
    deadline = time.monotonic() + patience
    while not truth():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.02)
