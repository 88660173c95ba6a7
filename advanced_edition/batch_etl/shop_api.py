"""A small partner API for the lesson and the tests: it serves a JSON Lines file in pages.

It misbehaves as asked: `faults` says for a page what its first requests get instead of the page.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE_ROWS = 100
LIMITED, DROPPED, GARBAGE, HALF, BROKEN = "429", "drop", "garbage", "half", "503"
Faults = Mapping[int, Sequence[str]]


class ShopApi(ThreadingHTTPServer):
    """The server: `requests` counts what was asked, `waits` is what Retry-After says (seconds)."""

    daemon_threads = True

    def __init__(self, file: Path, faults: Faults, waits: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.file, self.waits = file, waits
        self.faults = {page: list(kinds) for page, kinds in faults.items()}
        self.requests = 0
        self.offsets = [0]
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if number % PAGE_ROWS == 1:
                    self.offsets.append(self.offsets[-1])
                self.offsets[-1] += len(line)
        if len(self.offsets) == 1:
            self.offsets.append(0)  # no rows are one empty page

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def page(self, number: int) -> bytes:
        """Page `number`, with its last line."""
        begin, end = self.offsets[number - 1 : number + 1]
        with self.file.open("rb") as file:
            file.seek(begin)
            rows = file.read(end - begin)
        following = number + 1 if number + 1 < len(self.offsets) else "null"
        return rows + b'{"rows": %d, "next": %s}\n' % (rows.count(b"\n"), str(following).encode())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: ShopApi

    def do_GET(self) -> None:
        """Serve /orders?page=N, or the fault that is due."""
        self.server.requests += 1
        address = urlsplit(self.path)
        wanted = parse_qs(address.query).get("page", ["1"])[0]
        pages = len(self.server.offsets) - 1
        if address.path != "/orders" or not wanted.isdecimal() or not 1 <= int(wanted) <= pages:
            self.send_error(404)
            return
        due = self.server.faults.get(int(wanted))
        self._answer(due.pop(0) if due else "", self.server.page(int(wanted)))

    def _answer(self, fault: str, page: bytes) -> None:
        if fault == LIMITED:
            self._send(429, b"slow down\n", {"Retry-After": str(self.server.waits)})
        elif fault == BROKEN:
            self._send(503, b"not now\n")
        elif fault == GARBAGE:
            self._send(200, b"<html><body>The proxy is tired.</body></html>\n")
        elif fault == HALF:
            self._send(200, page[: len(page) // 2])
        elif fault == DROPPED:
            self._send(200, page, cut=len(page) // 2)
        else:
            self._send(200, page)

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, cut: int = 0
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: cut or None])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Silence: the lesson tells what matters."""


@contextmanager
def serving(file: Path, faults: Faults | None = None, waits: int = 1) -> Iterator[ShopApi]:
    """While the block runs, the API serves `file`."""
    with ShopApi(file, faults or {}, waits) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
