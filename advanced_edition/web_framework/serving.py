"""The standard library's server, made fit for strangers, and any application on it.

    with serve(app) as url:
        urllib.request.urlopen(url + "/products")

wsgiref is for teaching and development: a thread for each connection, HTTP/1.0, no TLS, and a
client that sends a byte every nine seconds holds its thread for as long as it likes. What it
forgives and others don't is refused here, because two programs that read one request differently
can be played against each other.
"""

import io
import json
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

LONGEST_LINE = 65_536
PATIENCE = 10.0  # seconds for a client to say something
LINGER = 1.0  # seconds in which a client may still talk after the answer
ONCE = ("Content-Length", "Content-Type", "Host", "Transfer-Encoding", "Authorization")
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f\x85]")
FOLDED = re.compile(rb"\n[ \t]")
MOST_LINES = 101


class Bridge(ServerHandler):
    """Between the server and the application, without two habits of wsgiref."""

    # wsgiref would hand over the process's environment: HTTP_PROXY would look like a header.
    os_environ: dict[str, str] = {}  # noqa: RUF012
    http_version = "1.0"

    def finish_content(self) -> None:
        """Send the headers as they are: no `Content-Length: 0` on a 204, a 304 or a HEAD."""
        if not self.headers_sent:
            self.send_headers()


class Handler(WSGIRequestHandler):
    """One connection, one request."""

    timeout = PATIENCE

    def handle(self) -> None:
        """Read the head, refuse it or let the application answer."""
        self.requestline = self.request_version = self.command = ""
        self.raw_requestline = self.rfile.readline(LONGEST_LINE + 1)
        if len(self.raw_requestline) > LONGEST_LINE:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        head = self.head()
        body, self.rfile = self.rfile, io.BytesIO(head)
        if not self.raw_requestline or not self.parse_request():
            return
        self.rfile = body
        problem = unclear(self.raw_requestline + head) or self.problem()
        if problem:
            self.send_error(HTTPStatus.BAD_REQUEST, problem)
            return
        bridge = Bridge(
            self.rfile, self.wfile, self.get_stderr(), self.get_environ(), multithread=True
        )
        bridge.request_handler = self
        bridge.run(self.server.get_app())

    def head(self) -> bytes:
        """The header lines up to the empty one, as they came; not more than can be good."""
        lines: list[bytes] = []
        while len(lines) <= MOST_LINES and (line := self.rfile.readline(LONGEST_LINE + 1)):
            lines.append(line)
            if line in (b"\r\n", b"\n") or len(line) > LONGEST_LINE:
                break
        return b"".join(lines)

    def problem(self) -> str | None:
        """What makes this head unclear, None if nothing does."""
        headers = self.headers
        if self.request_version == "HTTP/0.9":
            return "name the version of HTTP"
        if not self.command.isascii() or not self.command.isalpha():
            return "that is no method"
        if self.path.startswith(("http://", "https://")):  # as a proxy would be asked
            parts = urlsplit("//" + self.path.partition("://")[2].replace("[", "").replace("]", ""))
            self.path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        if not self.path.startswith("/"):
            return "a path begins with a slash"
        if headers.defects or headers.get_payload():
            return "there is a line that is no header"
        if any(len(headers.get_all(name, ())) > 1 for name in ONCE):
            return "a header that may stand once stands twice"
        length = headers.get("Content-Length")
        if length is not None and not (length.isascii() and length.isdigit()):
            return "the length of the body is not a number"
        return None

    def get_environ(self) -> dict[str, Any]:
        """WSGI's view; a name with an underscore could pass for one with a hyphen, so it goes."""
        for name in [name for name in self.headers if "_" in name]:
            del self.headers[name]
        return super().get_environ()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """An error in the form of the framework's own; the client's words aren't repeated."""
        status = HTTPStatus(code)
        detail = message if code == HTTPStatus.BAD_REQUEST and self.command else status.phrase
        body = json.dumps({"status": status.value, "detail": detail}).encode()
        head = (
            f"HTTP/1.0 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the logging layer does."""


def unclear(head: bytes) -> str | None:
    """What the standard library's parser reads in a way of its own, None if there is nothing.

    It takes a lone carriage return, and other control characters, for the end of a line: what
    stands behind becomes a header that nobody else sees.
    """
    if CONTROL.search(head.replace(b"\r\n", b"\n")):
        return "the head holds a control character"
    if FOLDED.search(head):
        return "a header goes on in the next line"
    if not head.endswith((b"\r\n\r\n", b"\n\n", b"\n\r\n")):
        return "the head ends early"
    return None


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind without asking the network for our name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
        self.setup_environ()

    def shutdown_request(self, request: socket.socket) -> None:
        """Close so that the answer arrives.

        Closing while the client still sends makes the system drop what we sent, a 413 first of
        all. So say that we are done, and listen a little longer.
        """
        with suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + LINGER
            while (left := deadline - time.monotonic()) > 0:
                request.settimeout(left)
                if not request.recv(65_536):
                    break
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or fell silent is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def serve(app: Any, port: int = 0) -> Iterator[str]:
    """Serve `app` on this machine within the block; yields the URL. Port 0 takes a free one."""
    with Server(("127.0.0.1", port), Handler) as server:
        server.set_app(app)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serve_with_waitress(app: Any) -> Iterator[str]:
    """The same by Waitress, a server that people use. Raises ImportError where it isn't."""
    from waitress.server import create_server

    # A request that waits a moment for a worker is no news here.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = create_server(app, host="127.0.0.1", port=0, threads=4, ident="")
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.task_dispatcher.shutdown()  # first the workers, who would wake a loop that is gone
        server.trigger.pull_trigger(server.close)  # in its own loop, which then ends
        thread.join(PATIENCE)
