"""A stack of its own for a test: its own folder and ports, so that it may be killed and corrupted.

Its folder has a space and letters beyond ASCII in its path, as a student's folder may have.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import psutil

from course.settings import ROOT, SERVICES, URL_NAMES
from course.stack.ports import is_free
from tests.support import run_python

FIND = """
import json, sys, time
from course import stack
began = time.perf_counter()
found = stack.find_all(sys.argv[1:])
seconds = time.perf_counter() - began
answer = {name: {"text": str(it), **vars(it)} for name, it in found.items()}
print(json.dumps({"found": answer, "seconds": seconds}))
"""
# Each worker gives its stacks ports from a range of its own: a port is picked long before a server
# takes it, and is free again while a killed server is away.
FIRST_PORT, PORTS_OF_A_WORKER = 10_000, 1_000


def _own_ports() -> Iterator[int]:
    """Ports of this worker's range, in turn from a random one."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + worker % 10 * PORTS_OF_A_WORKER
    number = random.randrange(PORTS_OF_A_WORKER)
    while True:
        number += 1
        if is_free(port := first + number % PORTS_OF_A_WORKER):
            yield port


OWN_PORTS = _own_ports()


def _new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="stack of a test ")).resolve() / "курс"


@dataclass
class PrivateStack:
    """The stack as other processes see it through the environment; `close` leaves nothing."""

    folder: Path = field(default_factory=_new_folder)
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {f"{name.upper()}_PORT": str(next(OWN_PORTS)) for name in SERVICES}
        given = dict.fromkeys(URL_NAMES.values(), "")
        own = {"COURSE_STACK_DIR": str(self.folder)}
        self.settings = {**ports, **given, **own, **self.settings}

    def port(self, service: str) -> int:
        """The usual port of `service` here."""
        return int(self.settings[f"{service.upper()}_PORT"])

    def run(self, code: str, *arguments: str, **more: str) -> str:
        """What `code` prints in a process of its own, which must succeed."""
        done = run_python(
            "-c", code, *arguments, cwd=ROOT, timeout=120, **{**self.settings, **more}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answer(self, expression: str, **more: str) -> Any:
        """The value of an expression about `stack`, through JSON."""
        code = f"import json; from course import stack; print(json.dumps({expression}))"
        return json.loads(self.run(code, **more))

    def find(self, *services: str, **more: str) -> dict[str, Any]:
        """`stack.find_all` in a process of its own: for each service the fields of its answer."""
        found: dict[str, Any] = json.loads(self.run(FIND, *services, **more))["found"]
        return found

    def find_at_once(self, *services: str, times: int) -> list[dict[str, Any]]:
        """The same in several processes that begin at the same moment."""
        together = [self.begin_finding(*services) for _ in range(times)]
        answers = []
        for process in together:
            output, complaint = process.communicate(timeout=120)
            assert process.returncode == 0, complaint
            answers.append(json.loads(output))
        return answers

    def begin_finding(self, *services: str) -> Popen[str]:
        """A process that finds the services, without waiting for it."""
        return Popen(
            [sys.executable, "-c", FIND, *services], cwd=ROOT, text=True, stdout=PIPE, stderr=PIPE,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **self.settings},
        )  # fmt: skip

    def state(self, service: str) -> dict[str, Any]:
        """What is written down about the embedded server."""
        text = (self.folder / f"{service}.json").read_text(encoding="utf-8")
        state: dict[str, Any] = json.loads(text)
        return state

    def processes(self) -> list[psutil.Process]:
        """All processes, zombies aside, whose command or working directory is in this stack."""
        found = []
        for process in psutil.process_iter():
            try:
                words = f"{process.cwd()}{' '.join(process.cmdline())}"
                if str(self.folder) in words and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def kill(self, service: str) -> None:
        """Kill the server as `kill -9` does, and wait until the system knows."""
        process = psutil.Process(self.state(service)["pid"])
        process.kill()
        eventually(lambda: is_gone(process))

    def down(self) -> list[str]:
        """Stop it; the names of the servers that ran."""
        stopped: list[str] = self.answer("stack.down()")
        return stopped

    def close(self) -> None:
        """Stop everything and remove the folder; `down` must have left no process behind."""
        try:
            if self.processes():
                self.down()
        finally:
            left = self.processes()
            for process in left:
                process.kill()
            shutil.rmtree(self.folder.parent, ignore_errors=True)
        assert not left


def is_gone(process: psutil.Process) -> bool:
    """True when the process has ended, even if nobody has asked for its exit code yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def eventually(truth: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until `truth` holds; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
