"""What came from the client, read out of the WSGI environment, and read with suspicion.

The server hands over a dictionary of strings (PEP 3333). Its bytes were decoded as Latin-1,
whatever they meant, and lengths are what the client says they are.
"""

import json
import math
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from web_framework.errors import HttpError

MOST_FIELDS = 100
PIECE = 65_536


class Request:
    """One request. `values` holds what handlers get by parameter name, path parameters first.

    `user` is set by the authentication layer, `failure` is what a handler or a layer raised.
    """

    __slots__ = (
        "_body", "_ending", "environ", "failure", "max_body", "method", "path", "user", "values",
    )  # fmt: skip

    def __init__(self, environ: dict[str, Any], max_body: int = 1_000_000) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO") or "/"
        if not self.path.isascii():
            self.path = _as_utf8(self.path)
        self.max_body = max_body
        self.values: dict[str, Any] = {}
        self.user: Any = None
        self.failure: Exception | None = None
        self._body: bytes | None = None
        self._ending: ExitStack | None = None

    def open(self, resource: AbstractContextManager[Any]) -> Any:
        """Enter `resource` and leave it when the last byte of the answer is sent."""
        if self._ending is None:
            self._ending = ExitStack()
        return self._ending.enter_context(resource)

    def end(self) -> None:
        """Leave what was opened. It learns of a failure, so that it can roll back."""
        ending, self._ending = self._ending, None
        if ending is not None:
            error = self.failure
            ending.__exit__(type(error) if error else None, error, None)

    def header(self, name: str) -> str | None:
        """The value of a header, None where the client sent none."""
        key = name.upper().replace("-", "_")
        return self.environ.get(key if key.startswith("CONTENT_") else f"HTTP_{key}")

    @property
    def client(self) -> str:
        """The address of the other end: behind a proxy, that is the proxy."""
        return self.environ.get("REMOTE_ADDR", "")

    @property
    def query(self) -> dict[str, str]:
        """The fields after the question mark; of a field given twice, the last one."""
        text = self.environ.get("QUERY_STRING", "")
        try:
            text = text.encode("latin-1").decode()
            pairs = parse_qsl(
                text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
            )
        except ValueError:  # also what can't be decoded, and too many fields
            raise HttpError(400, "the query can't be read") from None
        return dict(pairs)

    def check(self) -> None:
        """Refuse what no handler should see: bad encodings, and unclear lengths.

        A length that a proxy reads one way and we another lets the rest of a body pass as the
        next request (request smuggling).
        """
        if not self.path.isascii():
            try:
                self.path.encode()
            except UnicodeEncodeError:
                raise HttpError(400, "the path is not UTF-8") from None
        if "\0" in self.path:
            raise HttpError(400, "the path holds a zero byte")
        length, coding = self.environ.get("CONTENT_LENGTH"), self.header("Transfer-Encoding")
        if length:
            if coding or not (length.isascii() and length.isdigit()):
                raise HttpError(400, "the length of the body is not clear")
            if len(length) > 18 or int(length) > self.max_body:
                raise HttpError(413, f"a body may have {self.max_body} bytes")
        elif coding and not self.environ.get("wsgi.input_terminated"):
            raise HttpError(411, "say the length of the body")

    @property
    def body(self) -> bytes:
        """The whole body, at most `max_body` bytes; read once."""
        if self._body is None:
            self._body = self._read()
        return self._body

    def _read(self) -> bytes:
        """Read as many bytes as were announced, or to the end where the server marks it."""
        source, length = self.environ["wsgi.input"], self.environ.get("CONTENT_LENGTH")
        open_end = not length and self.environ.get("wsgi.input_terminated")
        wanted = self.max_body + 1 if open_end else int(length or 0)
        pieces = []
        try:
            while wanted and (piece := source.read(min(wanted, PIECE))):
                pieces.append(piece)
                wanted -= len(piece)
        except OSError:
            raise HttpError(408, "the body took too long") from None
        if open_end and not wanted:
            raise HttpError(413, f"a body may have {self.max_body} bytes")
        if wanted and not open_end:
            raise HttpError(400, "the body ended early")
        return b"".join(pieces)

    def json(self) -> Any:
        """The body as JSON. Raises HttpError 400 or 415."""
        kind = (self.header("Content-Type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise HttpError(415, "send application/json")
        try:
            return json.loads(self.body.decode(), parse_float=_finite, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise HttpError(400, "the body is not JSON") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large")
    return number


def _as_utf8(path: str) -> str:
    """Undo the server's Latin-1; what is no UTF-8 stays visible as such and fails the check."""
    try:
        return path.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "\udcff"
