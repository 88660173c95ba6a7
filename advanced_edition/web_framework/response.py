"""What goes back to the client: a status, headers, and a body that is bytes or a stream."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from web_framework.errors import HttpError

Header = tuple[str, str]
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
WITHOUT_BODY = (204, 304)
MAY_NOT_STAND_IN_HEADER = re.compile(r"[^\x20-\x7e\xa0-\xff]")
NAME_OF_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
# About the connection and the length of what is sent: nobody but the one who sends knows that.
OF_THE_SERVER = {
    "connection", "content-length", "keep-alive", "proxy-authenticate", "te", "trailers",
    "transfer-encoding", "upgrade",
}  # fmt: skip
to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Stream:
    """A body of unknown length, made while it is sent: an iterator of bytes, closed at its end.

    The first chunk is made at once. What breaks before it can still become a proper error; after
    it the status is on its way, and the connection ends early. `failure` is what broke.
    """

    def __init__(self, chunks: Iterable[str | bytes], close: Callable[[], None] | None = None):
        self.failure: Exception | None = None
        self._chunks = iter(chunks)
        self._closers = [close or getattr(chunks, "close", None)]
        first = next(self._chunks, None)
        self._first = [] if first is None else [as_bytes(first)]

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first:
            return self._first.pop()
        try:
            return as_bytes(next(self._chunks))
        except StopIteration:
            raise
        except Exception as error:
            self.failure = error
            raise

    def also_close(self, close: Callable[[], None]) -> None:
        """Call `close` too when the stream ends, however it ends."""
        self._closers.append(close)

    def close(self) -> None:
        """The server calls this when the last chunk is sent or the client has gone."""
        closers, self._closers = self._closers, []
        for close in filter(None, closers):
            close()


class Response:
    """An answer; layers may change it on its way out."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        body: bytes | Stream = b"",
        status: int = 200,
        headers: Iterable[Header] = (),
        content_type: str = TEXT,
    ) -> None:
        self.body = body
        self.status = status
        self.headers: list[Header] = [("Content-Type", content_type)]
        for name, value in headers:
            self.set(name, value)

    def header(self, name: str) -> str | None:
        """The value of a header, None where it isn't."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def set(self, name: str, value: str) -> None:
        """Set a header in place of one of that name.

        Raises ValueError for a line break, since who can write one writes headers of their own, and
        for headers that only the server can know.
        """
        if not NAME_OF_HEADER.fullmatch(name) or MAY_NOT_STAND_IN_HEADER.search(value):
            raise ValueError(f"not a header: {name!r}: {value!r}")
        wanted = name.lower()
        if wanted in OF_THE_SERVER:
            raise ValueError(f"{name} is for the server to set")
        kept = [item for item in self.headers if item[0].lower() != wanted]
        self.headers = [*kept, (name, value)]

    def sent_headers(self) -> list[Header]:
        """The headers as they leave: without a body there is no type and no length of it."""
        if self.status in WITHOUT_BODY:
            return [item for item in self.headers if item[0].lower() != "content-type"]
        if isinstance(self.body, Stream):
            return self.headers
        return [*self.headers, ("Content-Length", str(len(self.body)))]


def answer(value: Any) -> Response:
    """What a handler returned, as a response.

    dict, list → JSON; str → text; bytes → a download; None → 204; an iterator → a stream.
    """
    kind = type(value)
    if kind is dict or kind is list:
        return Response(to_json(value).encode(), content_type=JSON)
    if isinstance(value, Response):
        return value
    if value is None:
        return Response(status=204)
    if isinstance(value, str):
        return Response(as_bytes(value))
    if isinstance(value, bytes):
        return Response(value, content_type="application/octet-stream")
    if isinstance(value, Iterator):
        return Response(Stream(value))
    raise TypeError(f"a handler can't return {kind.__name__}: a dict, list, str, bytes, Response …")


def of_error(error: HttpError) -> Response:
    """An error as JSON: status, detail and, where fields were wrong, what was wrong with each."""
    told: dict[str, Any] = {"status": error.status, "detail": error.detail}
    if error.problems:
        told["problems"] = error.problems
    return Response(to_json(told).encode(), error.status, error.headers, JSON)


def as_bytes(chunk: str | bytes) -> bytes:
    """UTF-8. A lone surrogate, as JSON can bring it, has none and becomes a question mark."""
    return chunk.encode("utf-8", "replace") if isinstance(chunk, str) else chunk
