"""Smaller answers for clients that can unpack them: gzip, of whole bodies and of streams.

Don't compress a secret together with what a stranger may choose: the length of the answer then
tells how much of the secret was guessed (the attack is called BREACH).
"""

import gzip
import re
import zlib
from collections.abc import Iterator

from web_framework.onion import Call
from web_framework.request import Request
from web_framework.response import Response, Stream

GZIP = re.compile(r"(?:^|[,\s])(?:gzip|\*)\s*(?:;\s*q=([0-9.]+))?\s*(?:,|$)", re.IGNORECASE)
GZIP_FORMAT = 31  # zlib's number for its largest window with gzip's header
WORTH_IT = re.compile(r"text/|application/(json|javascript|xml)|image/svg")


class Compression:
    """Pack text of at least `minimum` bytes, and every stream of text."""

    def __init__(self, minimum: int = 500, level: int = 6) -> None:
        self.minimum, self.level = minimum, level

    def __call__(self, request: Request, call_next: Call) -> Response:
        response = call_next(request)
        if not WORTH_IT.match(response.header("Content-Type") or ""):
            return response
        # Both forms have one address: whoever keeps copies must know what they depend on.
        others = response.header("Vary")
        response.set("Vary", f"{others}, Accept-Encoding" if others else "Accept-Encoding")
        if response.header("Content-Encoding") or not accepts(request.header("Accept-Encoding")):
            return response
        if isinstance(response.body, Stream):
            response.body = Stream(self._packed(response.body), response.body.close)
        elif len(response.body) >= self.minimum and response.status == 200:
            response.body = gzip.compress(response.body, self.level, mtime=0)
        else:
            return response
        response.set("Content-Encoding", "gzip")
        return response

    def _packed(self, chunks: Stream) -> Iterator[bytes]:
        packer = zlib.compressobj(self.level, wbits=GZIP_FORMAT)
        for chunk in chunks:
            # Flushed each time, or the client would wait for what we have long sent.
            yield packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH)
        yield packer.flush()


def accepts(header: str | None) -> bool:
    """Whether `Accept-Encoding` allows gzip; `gzip;q=0` does not."""
    found = GZIP.search(header or "")
    return bool(found) and (found[1] or "1").strip("0.") != ""
