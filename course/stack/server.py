"""What every embedded server has in common: a folder, a log, a way to start and a way to end."""

from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from course.errors import CourseError, ServiceUnavailable
from course.settings import STACK_DIR, TITLES
from course.stack.greet import Greeting

OTHER_CREDENTIALS = (
    "its data were made with another user or password (python learn.py reset --all makes them anew)"
)


class StartError(CourseError):
    """A server did not come up; the text says how it failed."""


class Server(ABC):
    """One embedded server. `programs` are the executables or modules that run in its folder."""

    service: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    patience: ClassVar[float] = 30.0  # seconds until it must answer, also on a busy machine

    @property
    def folder(self) -> Path:
        """Where the server keeps everything; also the working directory of its processes."""
        return STACK_DIR / self.service

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "log.txt"

    def prepare(self) -> None:
        """Make ready what the first start needs; what is there already stays.

        The log begins anew, so that its end tells of this start; the last one is kept beside it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_name("log.old.txt"))

    @abstractmethod
    def launch(self, port: int) -> int:
        """Start the server on 127.0.0.1 at `port` and return its pid, perhaps before it answers."""

    @abstractmethod
    def detail(self, greeting: Greeting) -> str:
        """The server's name and version, from how it greets."""

    def stop(self, pid: int) -> None:
        """Ask the server to end and wait until it has."""
        import psutil

        from course.stack.processes import end

        with suppress(psutil.NoSuchProcess):
            end([psutil.Process(pid)], self.patience)

    def unavailable(self, problem: str, command: str) -> ServiceUnavailable:
        """The error that says why this server can't be had."""
        title = TITLES[self.service]
        return ServiceUnavailable(
            self.service,
            problem,
            f"an embedded {title} in {self.folder}",
            command,
        )
