"""What is written down about each embedded server: a small JSON file in the stack folder."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from course.errors import ServiceUnavailable
from course.settings import SERVICES, STACK_DIR, TITLES
from course.stack.endpoint import Endpoint
from course.stack.ports import listening
from course.stack.processes import birth

LOCK_PATIENCE = 600.0  # seconds; somebody else may be installing RabbitMQ meanwhile
# The lock files keep processes apart; the threads of one process need locks of their own.
THREAD_LOCKS = {service: threading.Lock() for service in SERVICES}


@dataclass(frozen=True)
class Running:
    """An embedded server as it was started.

    `birth` tells its process from a later one with the same pid.
    """

    service: str
    url: str
    port: int
    pid: int
    birth: float
    detail: str
    started_at: str

    @property
    def endpoint(self) -> Endpoint:
        """The server as `find` answers it."""
        return Endpoint(self.service, self.url, "embedded", self.detail)

    def is_alive(self) -> bool:
        """True when this very process still runs and accepts connections."""
        return birth(self.pid) == self.birth and listening(self.port)


def path(service: str) -> Path:
    """The file that describes the embedded server of `service`."""
    return STACK_DIR / f"{service}.json"


def read(service: str) -> Running | None:
    """What was written down, or None when there is nothing that can be understood."""
    try:
        return Running(**json.loads(path(service).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def alive(service: str) -> Running | None:
    """The embedded server of `service` if it runs."""
    running = read(service)
    return running if running and running.is_alive() else None


def write(running: Running) -> None:
    """Write a server down in one step, so that no reader sees half a file."""
    target = path(running.service)
    draft = target.with_suffix(".new")
    draft.write_text(json.dumps(asdict(running), indent=2), encoding="utf-8")
    draft.replace(target)


def forget(service: str) -> None:
    """Remove what was written down about `service`."""
    path(service).unlink(missing_ok=True)


@contextmanager
def lock(service: str) -> Iterator[None]:
    """Only one thread of one process at a time starts or stops `service`."""
    from fasteners import InterProcessLock  # type: ignore[import-untyped]

    STACK_DIR.mkdir(parents=True, exist_ok=True)
    between_processes = InterProcessLock(STACK_DIR / f"{service}.lock")
    with THREAD_LOCKS[service]:
        if not between_processes.acquire(timeout=LOCK_PATIENCE):
            raise ServiceUnavailable(
                service,
                f"another program has been starting or stopping {TITLES[service]} for minutes",
                f"the lock {service}.lock in {STACK_DIR}",
                "end that program, then try again",
            )
        try:
            yield
        finally:
            between_processes.release()
