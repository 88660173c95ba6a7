"""A test client: requests without a network, each one under the standard library's validator.

client = Client(app)
assert client.get("/products/1").json() == {"number": 1}
"""

import io
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator


class Clock:
    """A clock that stands until somebody sets `now`, in seconds: nobody waits, all is the same."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers are in lower case. `log` is what the server would log."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    log: str = ""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """Call `app` as a server does; `headers` go with every request.

    wsgiref.validate stands between and raises AssertionError where either side breaks PEP 3333.
    """

    def __init__(self, app: Any, headers: Mapping[str, str] | None = None) -> None:
        self.app, self.headers = validator(app), dict(headers or {})

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        json_body: Any = None,
    ) -> Answer:
        """Send one request; `json_body` is encoded and its type declared."""
        given = {**self.headers, **(headers or {})}
        if json_body is not None:
            body = json.dumps(json_body).encode()
            given.setdefault("Content-Type", "application/json")
        log = io.StringIO()
        environ = environment(method, path, body, given, log)
        told: list[Any] = []

        def start_response(status: str, headers: list, exc_info: Any = None) -> Any:
            told[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]
            return lambda data: None

        with closing(self.app(environ, start_response)) as chunks:
            sent = b"".join(chunks)
        return Answer(*told, sent, log.getvalue())

    def get(self, path: str, **others: Any) -> Answer:
        """A GET."""
        return self.request("GET", path, **others)

    def post(self, path: str, **others: Any) -> Answer:
        """A POST."""
        return self.request("POST", path, **others)


def environment(
    method: str, path: str, body: bytes, headers: Mapping[str, str], log: io.StringIO
) -> dict[str, Any]:
    """The WSGI environment of a request; `path` as in a URL, percent signs and query included."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": log,
    }
    setup_testing_defaults(environ)
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key.startswith("CONTENT_") else f"HTTP_{key}"] = value
    return environ
