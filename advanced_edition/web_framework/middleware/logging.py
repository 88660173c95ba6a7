"""One line of JSON for each request: who asked what, what came of it, how long it took.

JSON and not free text, because a path may hold line breaks: in a plain log the client would write
lines of its own. The body, the query and the Authorization header are not logged: they hold
secrets.
"""

import json
import time
from collections.abc import Callable

from web_framework.onion import Call
from web_framework.request import Request
from web_framework.response import Response


class Logging:
    """Give each line to `write`. Its time ends when the answer begins: a stream goes on."""

    def __init__(
        self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.write, self.clock = write, clock

    def __call__(self, request: Request, call_next: Call) -> Response:
        start = self.clock()
        response = call_next(request)
        entry = {
            "client": request.client,
            "method": request.method,
            "path": request.path,
            "status": response.status,
            "ms": round((self.clock() - start) * 1_000, 1),
        }
        if request.user is not None:
            entry["user"] = request.user.name
        self.write(json.dumps(entry))
        return response
