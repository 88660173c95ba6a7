"""The service as a process of its own, for tests, load and whoever shows it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from src.paths import PROJECT

LISTENS_ON = " listens on "  # said by the service, and by what stands in front of it or beside it
LISTENS = f"The flight delay service{LISTENS_ON}"
START, END = 60.0, 40.0  # seconds that starting and ending may take


@dataclass(frozen=True)
class Started:
    """A process, where it listens, and the file with what it says."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path


@contextmanager
def service(
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = ("-m", "src.api", "--port", "0"),
    python: str = sys.executable,
) -> Iterator[Started]:
    """`python command` from when it listens to the end of the block, where SIGTERM ends it.

    RuntimeError with its last words when it ends before it listens.
    """
    # Windows frees a file a moment after its process has ended, and refuses to delete it before.
    with tempfile.TemporaryDirectory(prefix="flights", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        # A file instead of a pipe: a pipe that nobody reads blocks the process when it is full.
        with log.open("wb") as output:
            process = subprocess.Popen(
                [python, *command], cwd=PROJECT, stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
                stdout=output, stderr=output,
                start_new_session=True,  # Ctrl-C is for whoever started it, who then ends it
            )  # fmt: skip
        try:
            yield Started(process, address(process, log), log)
        finally:
            process.terminate()
            try:
                process.wait(END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, as it says itself; waited for."""
    deadline = time.monotonic() + START
    text = ""
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8", errors="replace")
        found = next((line for line in text.splitlines() if f"{LISTENS_ON}http" in line), None)
        if found is not None:
            return found.partition(LISTENS_ON)[2].split()[0]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("The service did not start:\n" + "\n".join(text.splitlines()[-15:]))
