"""Requests that no well-behaved client would send, made from a seed, and what comes back.

Each begins as a proper request and is then spoilt once or twice: bad bytes, long headers, odd
encodings, ways out of the folder, lengths that lie, lines that two servers read in two ways. The
seed replays them.
"""

import random
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

METHODS = [*["GET"] * 4, *["POST"] * 2, "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW", "get"]
WAYS_OUT = [
    "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
    "..%5c..%5cwindows%5cwin.ini", "%252e%252e%252fetc%252fpasswd", "....//....//etc/passwd",
    "/etc/passwd", "a/../../../../../etc/passwd", "..%c0%af..%c0%afetc/passwd", "%00/etc/passwd",
    "file%00.txt", "a" * 5_000, "con", "~root/.ssh/id_rsa",
]  # fmt: skip
ODD_PARTS = [
    "%ff%fe", "%", "%zz", "%ed%a0%80", "%00", "%0d%0aSet-Cookie:%20a=b", "999999999999999999999",
    "-1", "1e9", "٣", "%d9%a3", "\u00e9", "{n:int}", "'; DROP TABLE products; --", "<script>", "",
    ".", "..", "nan", "1_0", "%F0%9F%92%A9", "//", "?", "??&&==", "?page=%ff", "?" + "a&" * 500,
]  # fmt: skip
ODD_HEADERS = [
    b"Content-Length: 5\r\nContent-Length: 50", b"Content-Length: -1", b"Content-Length: +5",
    b"Content-Length: 1_0", b"Content-Length: 99999999999999999999", b"Content-Length: 0x10",
    b"Content-Length: 5, 5", b"Content-Length: \xb2", b"Content-Length : 5", b"Content_Length: 7",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: xchunked\r\nContent-Length: 4",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4", b"Transfer-Encoding:\x0bchunked",
    b"Host: a\r\nHost: b", b"Host:", b"Authorization: Bearer \xff\xfe.\x80", b"Authorization: Be",
    b"Authorization: Basic !!!!", b"Authorization: Bearer e30.e30", b"Authorization: Bearer .",
    b"Accept-Encoding: gzip;q=banana", b"Accept-Encoding: " + b"gzip," * 2_000,
    b"If-None-Match: " + b'W/"' * 3_000, b'If-None-Match: "\xff"', b"If-None-Match: *",
    b"Content-Type: application/json; charset=utf-7", b"Content-Type: \xff", b"Expect: 100",
    b"Content-Type: multipart/form-data", b"X-Folded: a\r\n b", b"No colon here", b": no name",
    b"X-Long: " + b"a" * 70_000, b"X-Zero: a\0b", b"X-Cr: a\rX-Hidden: b", b"\xff\xfe: \xff",
    b"\r\n".join(b"X-%d: 1" % number for number in range(150)), b"Range: bytes=9-1", b"Connection:",
]  # fmt: skip
BODIES = [
    b"", b"{", b"[" * 50_000, b'{"name": "\xff"}', b'{"name": "\\ud800", "price": 1}', b"null",
    b'{"name": "a", "price": NaN}', b'{"name": "a", "price": 1e999}', b"\x00" * 100, b'"text"',
    b'{"name": "a", "price": ' + b"9" * 5_000 + b"}", b"\xef\xbb\xbf{}", b"a" * 200_000,
    b'{"name": {"a": []}, "price": true, "__class__": "x"}', b'{"name": "b", "price": 2}',
]  # fmt: skip
VERSIONS = ["HTTP/1.0", "HTTP/0.9", "HTTP/9.9", "http/1.1", "", "x"]
STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) ")
HONEST = (501, 505)  # "I can't do that", which is true
GIVEN_AWAY = (b"Traceback", b'File "', b"root:", b".py", b"Error:")


@dataclass
class Tally:
    """What came of the requests: how many of each status, 0 for none; `bad` ones as sent."""

    statuses: dict[int, int] = field(default_factory=dict)
    bad: list[tuple[bytes, bytes]] = field(default_factory=list)

    def add(self, sent: bytes, received: bytes) -> None:
        """Count an exchange. A 500 is bad, and so is an answer that tells of our insides."""
        match = STATUS.match(received)
        status = int(match[1]) if match else 0
        self.statuses[status] = self.statuses.get(status, 0) + 1
        garbled = bool(received) and not match
        broken = status >= 500 and status not in HONEST
        if broken or garbled or any(word in received for word in GIVEN_AWAY):
            self.bad.append((sent, received))

    @property
    def total(self) -> int:
        """How many requests there were."""
        return sum(self.statuses.values())


def request_bytes(dice: random.Random, paths: Sequence[str], credentials: str = "") -> bytes:
    """One request to spoil a server's day; `paths` are places that exist, with a `{}` to fill.

    Most are odd in one place only, and every other one brings `credentials`, an Authorization that
    holds: what is refused at the door tests nothing behind it.
    """
    fill = dice.choice([dice.choice(ODD_PARTS), dice.choice(WAYS_OUT), str(dice.randrange(20))])
    target = dice.choice(paths).replace("{}", fill)
    if dice.random() < 0.1:
        target = dice.choice(["http://evil.example", "*", "", "http://["]) + target
    version = dice.choice(VERSIONS) if dice.random() < 0.1 else "HTTP/1.1"
    body = dice.choice(BODIES) if dice.random() < 0.4 else b""
    headers = [b"Host: localhost"]
    if body and dice.random() < 0.8:
        headers += [b"Content-Length: %d" % len(body), b"Content-Type: application/json"]
    if dice.random() < 0.5:
        headers.append(b"Authorization: " + credentials.encode())
    headers += [dice.choice(ODD_HEADERS) for _ in range(dice.choice([0, 0, 0, 0, 1, 3]))]
    dice.shuffle(headers)
    line = f"{dice.choice(METHODS)} {target} {version}".encode()
    data = b"\r\n".join([line, *headers]) + b"\r\n\r\n" + body
    return _spoilt(dice, data) if dice.random() < 0.15 else data


def _spoilt(dice: random.Random, data: bytes) -> bytes:
    """`data` cut short, with other bytes in it, without its line ends, or all noise."""
    at = dice.randrange(len(data))
    ways: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[:at] + dice.randbytes(dice.randrange(1, 20)) + data[at + 1 :],
        lambda: data.replace(b"\r\n", b"\n"),
        lambda: data.replace(b" ", b"\t", 1),
        lambda: dice.randbytes(dice.randrange(1, 2_000)),
        lambda: data + data,
    ]
    return dice.choice(ways)()


def exchange(url: str, data: bytes, timeout: float = 20) -> bytes:
    """Send bytes as they are, say that this was all, and return what comes back.

    A server may close before it has read all; what it said until then is the answer. Raises
    TimeoutError when it neither answers nor closes.
    """
    parts = urlsplit(url)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=timeout) as connection:
        # A connection that the server has closed is no error here; a silent server is.
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except TimeoutError:
            raise
        except OSError:
            pass
        with suppress(ConnectionError):
            while piece := connection.recv(65_536):
                received += piece
    return received


def bombard(url: str, paths: Sequence[str], count: int, seed: int, credentials: str = "") -> Tally:
    """Send `count` requests and count what comes back."""
    dice, tally = random.Random(seed), Tally()
    for _ in range(count):
        data = request_bytes(dice, paths, credentials)
        tally.add(data, exchange(url, data))
    return tally
