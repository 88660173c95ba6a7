"""A web framework from nothing: what happens between a URL and your function.

You will see a web application as one function, then what a framework adds: routes with types,
parameters that arrive by name, checked bodies, layers like an onion, users and roles, a cache and a
limit. A real client talks to it over HTTP, strangers throw garbage at it, and it moves to a server
that people use in production. All of it is in the package web_framework, which you can read in an hour.

Run      python advanced_edition/04_web_api_simulation.py        (--rows N sizes the download)
Needs    nothing (waitress, if installed, serves one step)
Minutes  60
Next     05_etl_data_pipeline.py
"""

import http.client
import json
import random
import re
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import config_advanced
from utils import performance
from web_framework import (
    App, Authentication, Between, Compression, HttpError, Logging, Passwords, RateLimiting, Request,
    Response, Tokens, User, cache, hash_password, require, send_file, validate,
)  # fmt: skip
from web_framework.fuzzing import bombard
from web_framework.routing import Route, Router
from web_framework.serving import serve, serve_with_waitress
from web_framework.testing import Answer, Client

from course.lesson import Lesson, run

WORDS = ["tea", "coffee", "honey", "olives", "bread", "salt", "pepper", "cheese", "apples", "nuts"]
SECRET = b"for lessons only: a real one is random"
LINES_A_PIECE = 1_000
FUZZED_PATHS = ["/products/{}", "/products", "/files/{}", "/search?word={}", "/login", "/{}", "{}"]


class Clock:
    """A clock that the lesson moves, so that nobody waits and every run is the same."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class NewProduct:
    """What a client sends to add a product; the price in euros."""

    name: Annotated[str, Between(1, 80)]
    price: Annotated[float, Between(0, 10_000)]
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("a name is more than spaces")


@dataclass
class Login:
    """Who somebody says to be."""

    name: Annotated[str, Between(1, 80)]
    password: Annotated[str, Between(1, 200)]


class Shop:
    """The products; many threads ask at once."""

    def __init__(self) -> None:
        self.products = {n: {"number": n, "name": word} for n, word in enumerate(WORDS, start=1)}
        self.lock = threading.Lock()
        self.searches = 0

    def add(self, new: NewProduct) -> dict:
        """Add a product and return it."""
        with self.lock:
            number = max(self.products) + 1
            product = {"number": number, "name": new.name, "price": new.price, "tags": new.tags}
            self.products[number] = product
        return product


def make_app(folder: Path, rows: int = 1_000, clock: Clock | None = None) -> App:
    """The shop's API. `folder` holds public files, `rows` is the length of /export.csv."""
    app = App(max_body=100_000)
    shop, time_of_day = Shop(), clock or time.time
    tokens = Tokens(SECRET, seconds=900, clock=time_of_day)
    roles = {"anna": "admin", "ivan": "reader"}
    passwords = Passwords({name: (roles[name], hash_password(f"{name}-pw")) for name in roles})

    @app.provide
    def database() -> Shop:
        return shop

    app.middleware("compression")(Compression(minimum=500))
    app.middleware("authentication")(Authentication(tokens))
    add_products(app, clock or time.monotonic)

    @app.route("/login", methods=["POST"])
    @validate(Login)
    def login(body: Login) -> dict:
        user = passwords.user(body.name, body.password)
        if user is None:
            raise HttpError(401, "wrong name or password", [("WWW-Authenticate", "Bearer")])
        return {"token": tokens.issue(user)}

    @app.route("/files/{name:path}")
    def file(name: str) -> Response:
        return send_file(folder, name)

    @app.route("/export.csv")
    def export() -> Iterator[str]:
        return csv_lines(rows)

    return app


def add_products(app: App, clock: Callable[[], float]) -> None:
    """The routes under /products and /search."""

    @app.route("/products/{number:int}")
    def product(number: int, database: Shop) -> dict:
        if number not in database.products:
            raise HttpError(404, "no such product")
        return database.products[number]

    @app.route("/products", methods=["POST"])
    @require("admin")
    @validate(NewProduct)
    def add(body: NewProduct, database: Shop) -> Response:
        made = database.add(body)
        place = [("Location", f"/products/{made['number']}")]
        return Response(json.dumps(made).encode(), 201, place, "application/json")

    @app.route("/products/{number:int}", methods=["DELETE"])
    @require("admin")
    def remove(number: int, database: Shop) -> None:
        database.products.pop(number, None)

    @app.route("/search")
    @cache(seconds=60, clock=clock)
    def search(request: Request, database: Shop) -> dict:
        database.searches += 1
        word = request.query.get("word", "")
        found = [one for one in database.products.values() if word in str(one["name"])]
        return {"found": found, "searches": database.searches}


def csv_lines(rows: int) -> Iterator[str]:
    """A table of `rows` lines, a thousand at a time: as many as fit into one network write."""
    yield "number,word,amount\n"
    for start in range(0, rows, LINES_A_PIECE):
        numbers = range(start, min(start + LINES_A_PIECE, rows))
        yield "".join(f"{n},{WORDS[n % 10]},{n * 7919 % 10_000 / 100:.2f}\n" for n in numbers)


def show(lesson: Lesson, answers: Iterable[tuple[str, Answer]], *names: str) -> None:
    """A table of requests and what came back: status, the named headers, the body."""
    rows = [
        {"request": asked, "status": answer.status}
        | {name: answer.headers.get(name, "") for name in names}
        | {"body": answer.text if len(answer.body) < 45 else f"{len(answer.body)} bytes"}
        for asked, answer in answers
    ]
    lesson.table(rows)


def by_hand(lesson: Lesson) -> None:
    """A web application is one function.

    WSGI (PEP 3333) is the contract between every Python web server and every framework of this kind.
    The server calls your function with a dictionary, the environment: method, path, headers, body.
    The function calls `start_response(status, headers)` and returns the body in pieces of bytes.

    That is all. Whatever Flask or Django do, they do it in there. The standard library brings a
    validator, which stands between server and application and complains about either.
    """

    def hello(environ: dict, start_response: Callable) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()]

    answer = Client(hello).get("/any/path?x=1")
    lesson.check("method and path went in, bytes came out", answer.text == "GET /any/path")

    def sloppy(environ: dict, start_response: Callable) -> list[str]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["text, not bytes"]  # type: ignore[list-item]

    with lesson.expected_error(AssertionError):
        Client(sloppy).get("/")


def routes(lesson: Lesson) -> None:
    """Routes: from a path to a function, and an honest answer when there is none.

    `{number:int}` matches digits and hands over an int: the function never sees anything else. The
    routes form a tree of dictionaries, one level for each segment, so a thousand routes cost no more
    than ten.

    404 says "nothing here". 405 says "here, but not so" and must name what is allowed. HEAD is GET
    without the body. A handler that returns None has nothing to say: 204.
    """
    app = App()

    @app.route("/products/{number:int}")
    def product(number: int) -> dict:
        return {"number": number, "type": type(number).__name__}

    @app.route("/products/{number:int}", methods=["DELETE"])
    def remove(number: int) -> None:
        return None

    client = Client(app)
    asked = [("GET", 7), ("GET", "seven"), ("POST", 7), ("HEAD", 7), ("DELETE", 7), ("OPTIONS", 7)]
    answers = [(f"{m} /products/{key}", client.request(m, f"/products/{key}")) for m, key in asked]
    show(lesson, answers, "allow")
    statuses = [answer.status for _, answer in answers]
    lesson.check("each has its own status", statuses == [200, 404, 405, 200, 204, 204])
    get, _, wrong, head = (answer for _, answer in answers[:4])
    lesson.check("the parameter is an int", get.json() == {"number": 7, "type": "int"})
    lesson.check(
        "405 names what is allowed", wrong.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
    )
    length = "content-length"
    lesson.check("HEAD tells GET's length", head.headers[length] == get.headers[length] != "0")
    lesson.check("and sends no body", head.body == b"")


def bodies(lesson: Lesson, client: Client, admin: dict[str, str]) -> None:
    """Parameters by name, and bodies that are what they claim.

    A handler names what it needs: `number` comes from the path, `database` from a provider, `body`
    from `@validate`. This is dependency injection; it needs no container, only the function's
    signature, read once at start. A test replaces a provider and the handler doesn't know.

    `@validate` turns JSON into a dataclass or answers 422 with all problems at once. Below it, 415 is
    the wrong kind of body, 400 a broken one, 413 one that is too long: it is refused by its announced
    length, before a byte is read.
    """
    wrong = {"name": "", "price": "cheap", "colour": "red"}
    big = b"[" + b"1," * 60_000 + b"1]"
    kind = {"Content-Type": "application/json"}
    post = [
        ("a product", {"json_body": {"name": "plums", "price": 2.5, "tags": ["fruit"]}}),
        ("wrong fields", {"json_body": wrong}),
        ("only spaces", {"json_body": {"name": "  ", "price": 1}}),
        ("not JSON", {"body": b"{", "headers": kind}),
        ("no type", {"body": b"{}"}),
        ("120 kB", {"body": big, "headers": kind}),
    ]
    client = Client(client.app, admin)
    answers = [(f"POST {what}", client.post("/products", **sent)) for what, sent in post]
    show(lesson, answers, "location")
    statuses = [answer.status for _, answer in answers]
    lesson.check("201, and five refusals", statuses == [201, 422, 422, 400, 415, 413])
    problems = answers[1][1].json()["problems"]
    for name, problem in problems.items():
        lesson.console.line(f"  {name}: {problem}")
    lesson.check("all problems are told at once", sorted(problems) == ["colour", "name", "price"])
    with lesson.expected_error(Exception):
        App().route("/lost")(lambda database: database)


def onion(lesson: Lesson) -> None:
    """Middleware is an onion.

    Each layer gets the request and a function `call_next`, which is all that lies further inside.
    What it does before that call happens on the way in, the rest on the way out. The first registered
    is the outermost, so the order matters: logging outside of authentication also logs who was
    refused; compression inside of the cache packs once, outside of it each time.

    `@cache`, `@validate` and `@require` are layers too, around one handler. An error that nobody
    expected becomes a 500 at the ring where it is raised: the layers outside see a response, the
    client sees one sentence, and the traceback goes to the log.
    """
    app, trace, lines = App(), [], []
    app.middleware("logging")(Logging(lines.append, Clock()))

    @app.middleware("outer")
    def outer(request: Request, call_next: Callable) -> Response:
        trace.append("outer in")
        response = call_next(request)
        trace.append("outer out")
        return response

    @app.middleware("inner")
    def inner(request: Request, call_next: Callable) -> Response:
        trace.append("inner in")
        response = call_next(request)
        response.set("X-Seen-By", "inner")
        trace.append("inner out")
        return response

    @app.route("/")
    def core() -> str:
        trace.append("handler")
        return "hello"

    @app.route("/broken")
    def broken() -> str:
        raise ZeroDivisionError("the secret is 42")

    client = Client(app)
    answer = client.get("/")
    lesson.console.line("  " + " → ".join(trace))
    expected = ["outer in", "inner in", "handler", "inner out", "outer out"]
    lesson.check("in from outside, out from inside", trace == expected)
    lesson.check("a layer changed the response", answer.headers["x-seen-by"] == "inner")
    crash = client.get("/broken")
    lesson.console.line(f"  client: {crash.text}")
    lesson.console.line(f"  log:    {lines[-1]}")
    lesson.check(
        "a crash is a 500 without a traceback", crash.status == 500 and b"42" not in crash.body
    )
    lesson.check("the log has the traceback", "ZeroDivisionError: the secret" in crash.log)
    lesson.check("the layers outside saw a response", json.loads(lines[-1])["status"] == 500)


def log_in(client: Client, name: str) -> dict[str, str]:
    """The header that proves who it is."""
    answer = client.post("/login", json_body={"name": name, "password": f"{name}-pw"})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def who_may(lesson: Lesson, client: Client, clock: Clock) -> dict[str, str]:
    """Who is it (401), and may they (403)?

    Logging in compares a password with its scrypt hash, slow by design, and gives a token: name,
    role and end, signed with a secret that only the server has. The authentication layer checks the
    signature; `@require("admin")` checks the role. 401 means "I don't know you" and must say how to
    introduce oneself (WWW-Authenticate); 403 means "I know you, and no".

    Secrets are compared with `hmac.compare_digest`: `==` stops at the first wrong character, and a
    patient thief measures that. Over plain HTTP all this is worth nothing: put TLS in front.
    """
    admin, reader = log_in(client, "anna"), log_in(client, "ivan")
    said, _, signature = reader["Authorization"].partition(".")
    forged = {"Authorization": f"{admin['Authorization'].partition('.')[0]}.{signature}"}
    tries = [("nobody", {}), ("ivan, reader", reader), ("forged", forged), ("anna, admin", admin)]
    answers = [
        (f"DELETE by {who}", client.request("DELETE", "/products/10", headers=headers))
        for who, headers in tries
    ]
    clock.now += 901
    late = ("anna, 15 minutes later", client.request("DELETE", "/products/9", headers=admin))
    show(lesson, [*answers, late], "www-authenticate")
    statuses = [answer.status for _, answer in [*answers, late]]
    lesson.check("only the admin may, and not for ever", statuses == [401, 403, 401, 204, 401])
    wrong = {"name": "anna", "password": "guess"}
    lesson.check(
        "a wrong password is refused", client.post("/login", json_body=wrong).status == 401
    )
    lesson.check(
        "a token without a valid signature is nobody's", said and answers[2][1].status == 401
    )
    return log_in(client, "anna")


def cached(lesson: Lesson, client: Client, clock: Clock) -> None:
    """Do it once, send it once: @cache, and 304.

    `@cache(seconds=60)` keeps the answer under path and query, and gives it an ETag, the fingerprint
    of its content. A client that sends the tag back (If-None-Match) gets 304 and no body: it has it
    already. Answers to requests that bring a token are never kept: what anna may see, ivan must not.

    Don't cache what must be right at once, such as stock while somebody pays.
    """
    first, second = client.get("/search?word=e"), client.get("/search?word=e")
    tag = first.headers["etag"]
    third = client.get("/search?word=e", headers={"If-None-Match": tag})
    lesson.check("asked twice, searched once", first.body == second.body)
    lesson.check("who has it gets 304 and no body", (third.status, third.body) == (304, b""))
    clock.now += 61
    after = client.get("/search?word=e", headers={"If-None-Match": tag})
    lesson.check("after a minute it is searched again", after.json()["searches"] == 2)


def throttled(lesson: Lesson) -> None:
    """Not too fast: 429, and when to come back.

    A token bucket for each client holds 5 and gains 2 each second: who hurries for a moment is
    served, who goes on gets 429 with Retry-After. The clock is given from outside, so this step needs
    no waiting. The number of buckets is bounded too, or the limit itself would be the way to fill
    your memory.
    """
    app, clock = App(), Clock()
    app.middleware("rate_limiting")(RateLimiting(per_second=2, burst=5, clock=clock))
    app.route("/")(lambda: "hello")
    client = Client(app)
    answers = [client.get("/") for _ in range(7)]
    statuses = [answer.status for answer in answers]
    lesson.check("five at once, then no more", statuses == [200] * 5 + [429] * 2, f"{statuses}")
    wait = answers[-1].headers["retry-after"]
    clock.now += int(wait)
    lesson.check(f"after Retry-After ({wait} s) it goes on", client.get("/").status == 200)


def over_http(lesson: Lesson, app: App, rows: int) -> None:
    """The same application over HTTP, with the standard library's server.

    Until now nothing went through a network. `wsgiref` serves the same object, a thread for each
    connection; the clients are urllib and http.client.

    `/export.csv` returns a generator. Each piece is sent while the next is made, packed on the way,
    so that memory doesn't grow with the length of the answer. The price: once the first piece is out,
    an error can no longer become a 500, and the client sees the answer end early.
    """
    with serve(app) as url:
        with urllib.request.urlopen(f"{url}/products/3") as answer:
            lesson.check("urllib gets a product", json.load(answer)["name"] == "honey")
        with lesson.expected_error(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}/products/999")
        sizes, growth = [], []
        for packed in ({}, {"Accept-Encoding": "gzip"}):
            request = urllib.request.Request(f"{url}/export.csv", headers=packed)
            with (
                performance.watch("stream", rows) as watched,
                urllib.request.urlopen(request) as got,
            ):
                sizes.append(sum(len(piece) for piece in iter(lambda: got.read(65_536), b"")))
            growth.append(watched.found.growth)
            lesson.console.line(f"  {'gzip' if packed else 'plain'}: {sizes[-1]:,} bytes")
            speed = [("rows/s", watched.found.per_second), ("growth, MB", (growth[-1] or 0) / 1e6)]
            lesson.table(speed, ["what", "value"], f"{rows:,} rows", measured=True)
        lesson.check("all rows came", sizes[0] == sum(len(piece) for piece in csv_lines(rows)))
        lesson.check("packed it is less than half", sizes[1] < sizes[0] / 2)
        lesson.check("memory stays flat, under 8 MB", all((one or 0) < 8e6 for one in growth))


def strangers(lesson: Lesson, app: App, count: int) -> None:
    """Strangers: garbage over a real socket.

    Bad bytes, headers of 70 kB, `../../etc/passwd` in many spellings, two lengths that disagree: a
    proxy that believes one and a server that believes the other can be made to take the end of one
    request for the next one (request smuggling). What can be read in two ways is refused with 400.

    The requests come from a seed, so a bad one can be replayed. Good is: each is refused in order, no
    500, and nothing of our insides in any answer.
    """
    with serve(app) as url:
        tally = bombard(url, FUZZED_PATHS, count, seed=6)
        with urllib.request.urlopen(f"{url}/products/1") as answer:
            alive = answer.status == 200
    rows = [(status or "closed", times) for status, times in sorted(tally.statuses.items())]
    lesson.table(rows, ["status", "times"], f"{count:,} requests", measured=True)
    lesson.check("no 500, no traceback, no file of ours", not tally.bad, f"{len(tally.bad)} bad")
    lesson.check("most were refused as the client's fault", refused(tally.statuses) > count / 2)
    lesson.check("the server still serves", alive)


def refused(statuses: dict[int, int]) -> int:
    """How many were answered with 4xx."""
    return sum(times for status, times in statuses.items() if 400 <= status < 500)


def another_server(lesson: Lesson, app: App) -> None:
    """The same application on a server that people use.

    wsgiref teaches, it doesn't serve crowds: HTTP/1.0, a new thread and connection for each request,
    no TLS. Waitress, gunicorn and uWSGI call the same function with the same dictionary, so not a line
    changes. Waitress also unpacks a chunked body, whose length nobody knew; wsgiref can't, so there we
    answer 411, "say the length".
    """
    try:
        with serve_with_waitress(app) as url:
            by_waitress = over_one_connection(url)
    except ImportError:
        lesson.console.line("○ skipped: Waitress is not here (pip install waitress)", "yellow")
        return
    with serve(app) as url:
        by_wsgiref = over_one_connection(url)
    rows = [("waitress", *by_waitress), ("wsgiref", *by_wsgiref)]
    lesson.table(rows, ["server", "GET", "HEAD", "chunked POST", "connections"])
    lesson.check("Waitress keeps one connection open", by_waitress == (200, 200, 401, 1))
    lesson.check("wsgiref opens one for each request", by_wsgiref == (200, 200, 411, 3))


def over_one_connection(url: str) -> tuple[int, int, int, int]:
    """(status of a GET, of a HEAD, of a chunked log-in that is wrong, connections needed)."""
    client, opened = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20), set()
    body = json.dumps({"name": "anna", "password": "guess"}).encode()
    kind = {"Content-Type": "application/json"}
    statuses = []
    for method, path, sent in (
        ("GET", "/products/1", None), ("HEAD", "/products/1", None), ("POST", "/login", iter([body])),
    ):  # fmt: skip
        client.request(method, path, sent, kind, encode_chunked=bool(sent))
        opened.add(client.sock.getsockname())
        with client.getresponse() as answer:
            answer.read()
            statuses.append(answer.status)
    client.close()
    return (*statuses, len(opened))


def one_after_another(patterns: list[str]) -> Callable[[str], int | None]:
    """The simplest router: try one regular expression after another."""
    compiled = [re.compile(pattern.replace("{n:int}", "([0-9]+)")) for pattern in patterns]

    def find(path: str) -> int | None:
        found = (at for at, pattern in enumerate(compiled) if pattern.fullmatch(path))
        return next(found, None)

    return find


def speed(lesson: Lesson, requests: int) -> None:
    """How fast, and why: the tree of routes.

    The simplest router tries one regular expression after another: a thousand routes, five hundred
    tries. The tree asks one dictionary for each segment of the path. The profile was taken before
    anything was tuned, and that one idea was enough: look at what dominates now.

    At a thousand times the load none of this matters. The time goes into the database, and you need
    more processes, a proxy with TLS in front, and buckets and cache in Redis, where all processes see
    them. For a real job take Flask or FastAPI: their thousand contributors have met the clients that
    you have not met yet.
    """
    rows, tree_times, simple_times = [], {}, {}
    for count in (10, 100, 1_000):
        patterns = [f"/api/things{n}/{{n:int}}" for n in range(count)]
        router, simple = Router(), one_after_another(patterns)
        for pattern in patterns:
            router.add("GET", Route(pattern, ("n",), str))
        dice = random.Random(6)
        paths = [f"/api/things{dice.randrange(count)}/42" for _ in range(500)]
        ways = {
            "tree": lambda router=router, paths=paths: [router.find("GET", p) for p in paths],
            "one after another": lambda simple=simple, paths=paths: [simple(p) for p in paths],
        }
        found = performance.compare(ways, len(paths), rounds=5)
        tree_times[count], simple_times[count] = (one.seconds / 500 * 1e6 for one in found.values())
        rows.append((f"{count:,}", tree_times[count], simple_times[count]))
    columns = ["routes", "tree, us", "one after another, us"]
    lesson.table(rows, columns, "Finding one route", measured=True)
    lesson.check(
        "the tree: 1,000 routes cost under 3x of 10", tree_times[1_000] < 3 * tree_times[10]
    )
    ratio = simple_times[1_000] / tree_times[1_000]
    lesson.check("one after another is at least 5x slower at 1,000", ratio >= 5)
    app = App()
    app.route("/api/things/{n:int}")(lambda n: {"n": n})
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/things/42"}
    calls = min(requests, 20_000)

    def ask() -> None:
        for _ in range(calls):
            app(environ, lambda status, headers: None)

    dispatch = performance.compare({"dispatch": ask}, calls)["dispatch"]
    lesson.table([("us a request", dispatch.seconds / calls * 1e6)], ["what", "value"],
                 "Dispatch without a network", measured=True)  # fmt: skip
    lesson.check("a request costs us less than 1 ms", dispatch.seconds / calls < 0.001)


def main(lesson: Lesson) -> None:
    config, clock = config_advanced.chosen(lesson.options), Clock()
    with tempfile.TemporaryDirectory() as folder:
        public = Path(folder) / "public"
        public.mkdir()
        (public / "hello.txt").write_text("hello\n")
        (Path(folder) / "secret.txt").write_text("root:secret\n")
        app = make_app(public, config.rows)
        client = Client(make_app(public, clock=clock))
        lesson.step(by_hand, lesson)
        lesson.step(routes, lesson)
        admin = lesson.step(who_may, lesson, client, clock)
        lesson.step(bodies, lesson, client, admin)
        lesson.step(onion, lesson)
        lesson.step(cached, lesson, client, clock)
        lesson.step(throttled, lesson)
        lesson.step(over_http, lesson, app, config.rows)
        lesson.step(strangers, lesson, app, max(config.requests // 100, 300))
        lesson.step(another_server, lesson, app)
        lesson.step(speed, lesson, config.requests)


if __name__ == "__main__":
    run(main, config_advanced.options)
