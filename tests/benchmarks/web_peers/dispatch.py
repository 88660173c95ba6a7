"""How long the web framework and its peers take for a request, in turn, in one process.

    dispatch.py ROUNDS REQUESTS

Each application has the same hundred routes with a typed parameter and answers JSON. They are
called as a WSGI server calls them, without a network. Prints a JSON object: for each name, the
seconds for one request in every round.
"""

import io
import json
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import bottle
import falcon
import flask
from web_framework import App

ROUTES = 100
Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def ours() -> Wsgi:
    app = App()
    for number in range(ROUTES):

        @app.route(f"/api/things{number}/{{key:int}}/parts")
        def handler(key: int, number: int = number) -> dict:
            return {"route": number, "key": key}

    return app


def with_bottle() -> Wsgi:
    app = bottle.Bottle()
    for number in range(ROUTES):

        @app.route(f"/api/things{number}/<key:int>/parts")
        def handler(key: int, number: int = number) -> dict:
            return {"route": number, "key": key}

    return app


def with_flask() -> Wsgi:
    app = flask.Flask("peer")
    for number in range(ROUTES):

        def handler(key: int, number: int = number) -> dict:
            return {"route": number, "key": key}

        app.add_url_rule(f"/api/things{number}/<int:key>/parts", f"handler{number}", handler)
    return app


class Resource:
    def __init__(self, number: int) -> None:
        self.number = number

    def on_get(self, request: falcon.Request, response: falcon.Response, key: int) -> None:
        response.media = {"route": self.number, "key": key}


def with_falcon() -> Wsgi:
    app = falcon.App()
    for number in range(ROUTES):
        app.add_route(f"/api/things{number}/{{key:int}}/parts", Resource(number))
    return app


def bare(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What any of them must do at least: read the path, encode, answer."""
    _, _, things, key, _ = environ["PATH_INFO"].split("/")
    body = json.dumps({"route": int(things[6:]), "key": int(key)}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def environ_of(path: str) -> Environ:
    """What a server hands over for a GET of a browser."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:8000",
        "HTTP_USER_AGENT": "Mozilla/5.0",
        "HTTP_ACCEPT": "application/json",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def ask(app: Wsgi, environ: Environ) -> bytes:
    """The body of the answer; the iterable is closed, as a server must."""
    chunks = app(environ, lambda status, headers, exc_info=None: None)
    body = b"".join(chunks)
    close = getattr(chunks, "close", None)
    if close:
        close()
    return body


def seconds_for_one(app: Wsgi, environs: list[Environ]) -> float:
    start = time.perf_counter()
    for environ in environs:
        ask(app, dict(environ))
    return (time.perf_counter() - start) / len(environs)


def main() -> None:
    rounds, requests = map(int, sys.argv[1:])
    apps: dict[str, Wsgi] = {
        "bare": bare, "ours": ours(), "Falcon": with_falcon(),
        "Bottle": with_bottle(), "Flask": with_flask(),
    }  # fmt: skip
    dice = random.Random(6)
    asked = [(dice.randrange(ROUTES), dice.randrange(1_000_000)) for _ in range(requests)]
    environs = [environ_of(f"/api/things{route}/{key}/parts") for route, key in asked]
    for name, app in apps.items():
        for (route, key), environ in zip(asked[:200], environs[:200], strict=True):
            found = json.loads(ask(app, dict(environ)))
            assert found == {"route": route, "key": key}, (name, found)
    times: dict[str, list[float]] = {name: [] for name in apps}
    order = deque(apps)
    for _ in range(rounds):
        order.rotate()
        for name in order:
            times[name].append(seconds_for_one(apps[name], environs))
    print(json.dumps(times))


if __name__ == "__main__":
    main()
