"""Lesson edition/04: requests and responses, the servers, and how large the core is."""

import ast
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
import tokenize
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
import web_framework
from hypothesis import given
from hypothesis import strategies as st
from web_framework import App, HttpError, Request, Response, Stream, send_file
from web_framework.clients import open_url
from web_framework.fuzzing import exchange
from web_framework.serving import serve, serve_with_waitress
from web_framework.shop_api import csv_lines, make_app
from web_framework.testing import Client

from course.settings import ROOT
from tests.support import run_python

LESSON = "advanced_edition/04_web_api_simulation.py"
PACKAGE = Path(web_framework.__file__).parent
CORE = ["request", "response", "errors", "routing", "onion", "app"]


def app_returning(value: Any, **options: Any) -> App:
    app = App(**options)
    app.route("/", methods=["GET", "POST"])(lambda: value() if callable(value) else value)
    return app


@pytest.mark.parametrize(
    ("value", "status", "kind", "body"),
    [
        ({"a": 1}, 200, "application/json", b'{"a":1}'),
        ([1, None], 200, "application/json", b"[1,null]"),
        ("grün", 200, "text/plain; charset=utf-8", "grün".encode()),
        ("\ud800", 200, "text/plain; charset=utf-8", b"?"),
        (b"\xff", 200, "application/octet-stream", b"\xff"),
        (None, 204, None, b""),
        (Response(b"x", 299), 299, "text/plain; charset=utf-8", b"x"),
        ("", 200, "text/plain; charset=utf-8", b""),
        (lambda: (word for word in ("a", b"b")), 200, "text/plain; charset=utf-8", b"ab"),
        (lambda: iter(()), 200, "text/plain; charset=utf-8", b""),
        (lambda: Response(status=304), 304, None, b""),
        (lambda: Response(Stream(iter("ab")), status=204), 204, None, b""),
        (lambda: Response(headers=[("content-type", "x/y")], status=204), 204, None, b""),
        ({"x": float("nan")}, 500, "application/json", None),
        ({1, 2}, 500, "application/json", None),
    ],
)
def test_what_a_handler_may_return(value: Any, status: int, kind: str, body: bytes | None) -> None:
    answer = Client(app_returning(value)).get("/")
    assert (answer.status, answer.headers.get("content-type")) == (status, kind)
    assert body is None or answer.body == body
    head = Client(app_returning(value)).request("HEAD", "/")
    assert (head.status, head.body, head.headers) == (status, b"", answer.headers)
    assert ("content-length" in head.headers) == (
        status not in (204, 304) and not (callable(value) and kind != "application/json")
    )


def test_a_stream_that_breaks_before_its_first_piece_is_a_500() -> None:
    def pieces() -> Iterator[str]:
        raise ValueError("early")
        yield "never"

    answer = Client(app_returning(pieces)).get("/")
    assert (answer.status, "early" in answer.log, "early" in answer.text) == (500, True, False)


def test_a_stream_that_breaks_later_ends_the_connection_and_rolls_back() -> None:
    app, story = App(), []

    @app.provide
    def transaction() -> Iterator[None]:
        try:
            yield
        except ValueError:
            story.append("rollback")
            raise

    @app.route("/")
    def pieces(transaction: None) -> Iterator[str]:
        yield "first"
        raise ValueError("late")

    with serve(app) as url:
        received = exchange(url, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert received.endswith(b"first")
    assert story == ["rollback"]


def test_a_client_that_leaves_ends_the_stream() -> None:
    ended, app = [], App()

    @app.route("/")
    def endless() -> Iterator[str]:
        try:
            while True:
                yield "x" * 65_536
        finally:
            ended.append(True)

    with serve(app) as url:
        with open_url(url) as answer:
            assert len(answer.read(100_000)) == 100_000
        deadline = time.monotonic() + 20
        while not ended and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ended


@pytest.mark.parametrize("name", ["X-A\r\nSet-Cookie", "Bad name", "", "1X", "Ünicode"])
def test_no_header_can_smuggle_another(name: str) -> None:
    with pytest.raises(ValueError, match="not a header"):
        Response().set(name, "x")
    for name_of_server in ("Content-Length", "transfer-encoding", "Connection"):
        with pytest.raises(ValueError, match="for the server"):
            Response().set(name_of_server, "1")


@given(st.text(max_size=30))
def test_the_value_of_a_header_stays_one_line(value: str) -> None:
    response = Response()
    try:
        response.set("X-Value", value)
    except ValueError:
        assert not value.isascii() or not value.isprintable()
        return
    value.encode("latin-1")
    assert not {"\r", "\n", "\0"} & set(value)


def reading(what: str) -> Client:
    app = App(max_body=100)

    @app.route("/", methods=["GET", "POST"])
    def handler(request: Request) -> dict:
        value = getattr(request, what)
        found = value() if callable(value) else value
        return {"found": found.decode() if isinstance(found, bytes) else found}

    return Client(app)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {}), ("a=1&b=2", {"a": "1", "b": "2"}), ("a=1&a=2", {"a": "2"}), ("a", {"a": ""}),
        ("w=gr%C3%BCn+x", {"w": "grün x"}), ("w=%FF", 400), ("a&" * 200, 400),
        ("a=%00", {"a": "\0"}),
    ],
)  # fmt: skip
def test_queries(query: str, found: Any) -> None:
    answer = reading("query").get(f"/?{query}")
    assert (answer.json()["found"] if answer.status == 200 else answer.status) == found


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 200), (b'"\xff"', 400), (b"", 400), (b"NaN", 400), (b"1e999", 400), (b"{", 400),
        (b"[" * 100, 400), (b"9" * 100, 200), (b" " * 101, 413), (b"\xef\xbb\xbf{}", 400),
    ],
)  # fmt: skip
def test_json_bodies(body: bytes, status: int) -> None:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert reading("json").post("/", body=body, headers=kind).status == status
    assert reading("json").post("/", body=b"{}", headers={"Content-Type": "text/x"}).status == 415


def test_a_deep_body_is_no_crash() -> None:
    app = App(max_body=1_000_000)
    app.route("/", methods=["POST"])(lambda request: {"found": bool(request.json())})
    kind = {"Content-Type": "application/json"}
    assert Client(app).post("/", body=b"[" * 500_000, headers=kind).status == 400


def called(app: App, body: bytes = b"", **environ: Any) -> int:
    """The status for an environment that the validator would not let pass."""
    told: list[str] = []
    full = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": io.BytesIO(body)}
    full |= {"wsgi.errors": io.StringIO(), **environ}
    list(app(full, lambda status, headers: told.append(status)))
    return int(told[0][:3])


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": "5"}, 200), ({"CONTENT_LENGTH": "6"}, 400),
        ({"CONTENT_LENGTH": "-1"}, 400), ({"CONTENT_LENGTH": "five"}, 400),
        ({"CONTENT_LENGTH": "1_0"}, 400), ({"CONTENT_LENGTH": "²"}, 400),
        ({"CONTENT_LENGTH": "101"}, 413), ({"CONTENT_LENGTH": "9" * 5_000}, 413),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}, 200),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "5"}, 400),
        ({"PATH_INFO": "/\u0416"}, 400), ({"PATH_INFO": ""}, 200), ({}, 200),
    ],
)  # fmt: skip
def test_lengths_that_lie_are_refused_whatever_server_lets_them_pass(
    environ: dict[str, Any], status: int
) -> None:
    assert called(reading_app(), b"12345", **environ) == status


def reading_app() -> App:
    app = App(max_body=100)
    app.route("/", methods=["POST"])(lambda request: {"length": len(request.body)})
    return app


def test_a_chunked_body_is_bounded_too() -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    assert called(reading_app(), b"x" * 100, **chunked) == 200
    assert called(reading_app(), b"x" * 101, **chunked) == 413


def test_a_client_that_falls_silent_gets_408() -> None:
    class Silent(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise TimeoutError

    assert called(reading_app(), **{"wsgi.input": Silent(), "CONTENT_LENGTH": "5"}) == 408


def test_413_arrives_although_the_client_is_still_sending() -> None:
    with serve(reading_app()) as url:
        request = urllib.request.Request(url, data=b"x" * 5_000_000, method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            open_url(request, timeout=20)
        assert refused.value.code == 413


def test_no_length_where_no_body_can_be() -> None:
    app = App()
    app.route("/none")(lambda: None)
    app.route("/known")(lambda: Response(status=304))
    app.route("/stream")(lambda: iter(["a"]))
    with serve(validator(app)) as url:
        heads = {
            path: exchange(url, f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            for method, path in (("GET", "/none"), ("GET", "/known"), ("HEAD", "/stream"))
        }
    for received in heads.values():
        assert b"Content-Length" not in received
        assert received.endswith(b"\r\n\r\n")


def test_the_environment_of_the_process_is_no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_X_SECRET", "from the environment")
    app = App()
    app.route("/")(lambda request: {"x": request.header("X-Secret"), "y": request.header("X-Y")})
    with serve(app) as url:
        received = exchange(url, b"GET / HTTP/1.1\r\nHost: a\r\nX_Y: forged\r\n\r\n")
    assert received.endswith(b'{"x":null,"y":null}')


def test_many_at_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with serve(make_app(tmp_path, rows=2_000)) as url, ThreadPoolExecutor(16) as pool:
        bodies = pool.map(lambda _: open_url(f"{url}/export.csv").read(), range(64))
        assert {len(body) for body in bodies} == {sum(map(len, csv_lines(2_000)))}


@pytest.mark.parametrize("server", [serve, serve_with_waitress])
def test_the_same_answers_from_every_server(server: Any, tmp_path: Path) -> None:
    if server is serve_with_waitress:
        pytest.importorskip("waitress", reason="Waitress is not installed")
    (tmp_path / "a.txt").write_text("a" * 100_000)
    found = []
    with server(make_app(tmp_path, rows=3_000)) as url:
        host = url.removeprefix("http://")
        for method, path in (
            ("GET", "/products/1"), ("HEAD", "/products/1"), ("GET", "/products/x"),
            ("PUT", "/products/1"), ("DELETE", "/products/1"), ("OPTIONS", "/products/1"),
            ("GET", "/files/a.txt"), ("GET", "/export.csv"), ("HEAD", "/export.csv"),
        ):  # fmt: skip
            client = http.client.HTTPConnection(host, timeout=20)
            client.request(method, path)
            answer = client.getresponse()
            found.append((answer.status, len(answer.read())))
            client.close()
    export = sum(map(len, csv_lines(3_000)))
    statuses = [200, 200, 404, 405, 401, 204, 200, 200, 200]
    assert [status for status, _ in found] == statuses
    lengths = [length for _, length in found]
    assert lengths[0] > 0 == lengths[1] == lengths[5] == lengths[8]
    assert lengths[6:8] == [100_000, export]


def test_files_that_cannot_be_read_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("folder", "missing", "", "a\0b", "x" * 5_000):
        with pytest.raises(HttpError) as refused:
            send_file(tmp_path, name)
        assert refused.value.status == 404


def test_a_stream_closes_what_it_reads_once() -> None:
    closed: list[str] = []
    stream = Stream(["a", "b"], lambda: closed.append("source"))
    stream.also_close(lambda: closed.append("request"))
    assert b"".join(stream) == b"ab"
    stream.close()
    stream.close()
    assert closed == ["source", "request"]


def lines_of_code(file: Path) -> int:
    """Lines that hold code: no blank ones, no comments, no docstrings."""
    source = file.read_text(encoding="utf-8")
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in ignored | {tokenize.ENDMARKER}
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            text = body[0].value
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                lines -= set(range(text.lineno, (text.end_lineno or 0) + 1))
    return len(lines)


def test_the_core_has_about_four_hundred_lines() -> None:
    count = sum(lines_of_code(PACKAGE / f"{name}.py") for name in CORE)
    assert 350 <= count <= 430, count


def test_the_framework_imports_the_standard_library_only() -> None:
    for file in [*PACKAGE.rglob("*.py"), ROOT / LESSON]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            own = {"web_framework", "course", "utils", "config_advanced"}
            assert all(name.split(".")[0] in sys.stdlib_module_names | own for name in names), file


def test_ctrl_c_ends_the_lesson_quietly() -> None:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / LESSON), "--rows", "50000000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert process.stdout
    for line in process.stdout:
        if "urllib gets a product" in line:  # the download has begun
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_without_waitress_the_step_is_skipped_aloud() -> None:
    hide = "import sys, runpy; sys.modules['waitress'] = None; sys.argv = sys.argv[1:]; "
    told = run_python(
        "-c", f"{hide}runpy.run_path(sys.argv[0], run_name='__main__')", LESSON, "--fast"
    )
    assert told.returncode == 0, told.stderr
    assert "skipped: Waitress is not here (pip install waitress)" in told.stdout


def test_errors_are_json_with_a_detail() -> None:
    answer = Client(App()).get("/nothing")
    assert json.loads(answer.body) == {"status": 404, "detail": "Not Found"}
