"""A Redis apart from the stack, for lessons and tests that kill the server they use."""

import shutil
from pathlib import Path

from course.settings import service_url
from course.stack.embedded import clear, wait_until_ready
from course.stack.ports import any_free_port
from course.stack.processes import bury
from course.stack.redis import RedisServer


class OwnRedis(RedisServer):
    """A real Redis that keeps everything in `folder`, at a port of its own.

    `kill` it and `start` it again as often as wanted: its address stays, and so does every write
    that it answered.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.pid = folder, 0
        self.port = any_free_port()

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def url(self) -> str:
        """Where it answers while it runs."""
        return service_url(self.service, self.port)

    def start(self) -> None:
        """Bring it up; returns when it answers. StartError when it does not."""
        self.prepare()
        self.pid = self.launch(self.port)
        wait_until_ready(self, self.port, self.pid)

    def kill(self) -> None:
        """End it as `kill -9` does; returns when it is gone."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            process.kill()
            process.wait(10)
        except psutil.NoSuchProcess:
            pass
        bury(self.pid)

    def remove(self) -> None:
        """End whatever runs in the folder, of an earlier run too, and delete it."""
        clear(self)
        shutil.rmtree(self.folder, ignore_errors=True)
