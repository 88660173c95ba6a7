"""The embedded MongoDB: the course's own server, which answers from mongomock."""

import sys
from typing import ClassVar

from course.settings import HOST
from course.stack.greet import Greeting
from course.stack.processes import launch
from course.stack.server import Server

MODULE = "course.stack.mongo_server"


class MongoServer(Server):
    """No wheel carries a real MongoDB; what this one can't do it refuses with an honest error."""

    service: ClassVar[str] = "mongo"
    programs: ClassVar[tuple[str, ...]] = (MODULE,)

    def launch(self, port: int) -> int:
        command = [sys.executable, "-m", MODULE, "--host", HOST, "--port", str(port)]
        return launch(command, self.folder, self.log)

    def detail(self, greeting: Greeting) -> str:
        return "mongomock behind the MongoDB protocol"
