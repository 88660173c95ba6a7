"""Lesson edition/04: garbage over a real socket: no 500, no traceback, nothing that hangs."""

import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.validate import validator

import pytest
from web_framework.app import App
from web_framework.clients import open_url
from web_framework.fuzzing import Tally, bombard, exchange, request_bytes
from web_framework.serving import serve, serve_with_waitress
from web_framework.shop_api import PATHS, make_app, public_folder
from web_framework.testing import Client

pytestmark = pytest.mark.filterwarnings("ignore::wsgiref.validate.WSGIWarning")
REQUESTS, REQUESTS_OF_FULL = 1_000, 10_000
SMUGGLED = [
    b"Content-Length: 5\r\nContent-Length: 50",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Content-Length: +5",
    b"Content-Length: 0_5",
    b"Content-Length: 5, 5",
    b"Content-Length : 5",
    b"X-Folded: a\r\n Content-Length: 5",
    b"X-Cr: a\rContent-Length: 5",
    b"Content-Length:\x0b5",
    b"Content-Length: \xb2",
    b"Host: a\r\nHost: b",
]


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[App, str]]:
    """The lesson's application, and an Authorization that holds."""
    with public_folder() as folder:
        (folder / "link").symlink_to(folder.parent / "secret.txt")
        (folder / "folder").symlink_to(folder.parent)
        (folder / "round").symlink_to("round")
        app = make_app(folder)
        asked = {"name": "anna", "password": "anna-pw"}
        token = Client(app).post("/login", json_body=asked).json()["token"]
        yield app, f"Bearer {token}"


def survives(tally: Tally, url: str) -> None:
    sent, received = tally.bad[0] if tally.bad else (b"", b"")
    assert not tally.bad, f"{len(tally.bad)} bad, such as {sent[:500]!r} -> {received[:500]!r}"
    with open_url(f"{url}/files/hello.txt", timeout=20) as answer:
        assert answer.read() == b"hello\n"


@pytest.mark.faults
def test_ten_thousand_strangers(
    shop: tuple[App, str], seed: int, pytestconfig: pytest.Config, capfd: pytest.CaptureFixture
) -> None:
    """With the validator between server and application: neither side may break PEP 3333."""
    app, credentials = shop
    count = REQUESTS_OF_FULL if pytestconfig.getoption("full") else REQUESTS
    with serve(validator(app)) as url:
        tally = bombard(url, PATHS, count, seed, credentials)
        survives(tally, url)
    assert tally.total == count
    assert {200, 204, 400, 404, 405, 413} <= set(tally.statuses), "the garbage got nowhere"
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.faults
def test_strangers_at_another_server(shop: tuple[App, str], seed: int) -> None:
    """Other servers forgive other things; what they let through must not break us either."""
    pytest.importorskip("waitress", reason="Waitress is not installed")
    app, credentials = shop
    with serve_with_waitress(app) as url:
        survives(bombard(url, PATHS, 300, seed, credentials), url)


@pytest.mark.faults
def test_strangers_who_come_together_and_leave_early(shop: tuple[App, str], seed: int) -> None:
    app, credentials = shop
    with serve(app) as url:
        host, port = url.removeprefix("http://").split(":")

        def rude(number: int) -> None:
            dice = random.Random(seed * 100 + number)
            for _ in range(30):
                with socket.create_connection((host, int(port)), timeout=20) as connection:
                    data = request_bytes(dice, PATHS, credentials)
                    connection.sendall(data[: dice.randrange(1, len(data) + 1)])

        threads = [threading.Thread(target=rude, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        survives(bombard(url, PATHS, 50, seed, credentials), url)


@pytest.mark.parametrize("lines", SMUGGLED)
def test_what_can_be_read_in_two_ways_is_refused(shop: tuple[App, str], lines: bytes) -> None:
    app, _ = shop
    hidden = b"GET /files/hello.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    request = b"POST /login HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n12345" + hidden
    if lines.startswith(b"Host"):
        request = request.replace(b"Host: a\r\n", b"", 1)
    with serve(app) as url:
        answer = exchange(url, request)
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert answer.count(b"HTTP/1.") == 1, "the hidden request was answered"


@pytest.mark.parametrize(
    "path",
    [
        "/files/../secret.txt", "/files/..%2Fsecret.txt", "/files/%2e%2e/secret.txt",
        "/files/..%5Csecret.txt", "/files//etc/passwd", "/files/%2Fetc%2Fpasswd",
        "/files/hello.txt%00.png", "/files/./hello.txt", "/files/link", "/files/folder/secret.txt",
        "/files/%252e%252e/secret.txt", "/files/" + "a/" * 2_000 + "b", "/files/" + "a" * 300,
        "/files/folder", "/files/round",
    ],
)  # fmt: skip
def test_no_way_out_of_the_folder(shop: tuple[App, str], path: str) -> None:
    answer = Client(shop[0]).get(path)
    assert answer.status in (400, 404)
    assert b"root" not in answer.body


def test_a_file_comes_with_type_and_tag(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>" + "x" * 200_000)
    client = Client(make_app(tmp_path))
    page = client.get("/files/page.html")
    assert (page.status, len(page.body)) == (200, 200_003)
    assert page.headers["content-type"] == "text/html"
    known = {"If-None-Match": page.headers["etag"]}
    assert client.get("/files/page.html", headers=known).status == 304
    assert client.request("HEAD", "/files/page.html").body == b""
