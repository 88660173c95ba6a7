"""A web framework from nothing: what happens between a URL and your function.

You will see a web application as one function, then what a framework adds: routes with types,
parameters that arrive by name, checked bodies, layers like an onion, users and roles, a cache and a
limit. A real client talks to it over HTTP, strangers throw garbage at it, and it moves to a server
that people use in production. All of it is in the package web_framework, which you can read in an
hour.

Run      python advanced_edition/04_web_api_simulation.py        (--rows N sizes the download)
Needs    nothing
Minutes  60
Next     05_etl_data_pipeline.py
"""

import json
import urllib.error
from collections.abc import Callable

import config_advanced
from web_framework import App, Logging, RateLimiting, Request, Response, SetupError
from web_framework.clients import download, open_url, over_one_connection
from web_framework.fuzzing import bombard
from web_framework.racing import dispatch_time, routing_times
from web_framework.serving import serve, serve_with_waitress
from web_framework.shop_api import PATHS, csv_lines, make_app, public_folder
from web_framework.testing import Answer, Client, Clock

from course.lesson import Lesson, run


def show(lesson: Lesson, answers: dict[str, Answer], header: str) -> None:
    """A table of requests and what came back: status, one header, and what is said."""
    rows = []
    for asked, answer in answers.items():
        said = answer.json() if answer.body else {}
        text = said.get("detail") or ", ".join(str(value) for value in said.values())
        rows.append((asked, answer.status, answer.headers.get(header, ""), text))
    lesson.table(rows, ["request", "status", header, "says"])


def statuses(answers: dict[str, Answer]) -> list[int]:
    return [answer.status for answer in answers.values()]


def by_hand(lesson: Lesson) -> None:
    """A web application is one function.

    WSGI (PEP 3333) is the contract between Python's web servers and frameworks. The server calls
    your function with a dictionary, the environment: method, path, headers, body. The function
    calls `start_response(status, headers)` and returns the body in pieces of bytes.

    That is all. Whatever Flask or Django do, they do it in there. The standard library brings a
    validator, which stands between server and application and complains about either.
    """

    def hello(environ: dict, start_response: Callable) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()]

    answer = Client(hello).get("/any/path?x=1")
    lesson.check("method and path went in, bytes came out", answer.text == "GET /any/path")

    def sloppy(environ: dict, start_response: Callable) -> list:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["text"]

    with lesson.expected_error(AssertionError):
        Client(sloppy).get("/")


def routes(lesson: Lesson) -> None:
    """Routes: from a path to a function, and an honest answer when there is none.

    `{number:int}` matches digits and hands over an int: the function never sees anything else.

    404 says "nothing here". 405 says "here, but not so" and must name what is allowed. HEAD is GET
    without the body. A handler that returns None has nothing to say: 204.
    """
    app = App()

    @app.route("/products/{number:int}")
    def product(number: int) -> dict:
        return {"next": number + 1}

    @app.route("/products/{number:int}", methods=["DELETE"])
    def remove(number: int) -> None:
        return None

    client = Client(app)
    asked = ["GET 7", "GET seven", "POST 7", "HEAD 7", "DELETE 7", "OPTIONS 7"]
    pairs = [(one, one.split()) for one in asked]
    found = {one: client.request(method, f"/products/{key}") for one, (method, key) in pairs}
    show(lesson, found, "allow")
    lesson.check("each has its own status", statuses(found) == [200, 404, 405, 200, 204, 204])
    get, head = found["GET 7"], found["HEAD 7"]
    lesson.check("the handler got an int", get.json() == {"next": 8})
    lesson.check("405 names what is allowed", "DELETE, GET" in found["POST 7"].headers["allow"])
    same = int(head.headers["content-length"]) == len(get.body)
    lesson.check("HEAD tells GET's length and sends no body", same and not head.body)


def log_in(client: Client, name: str) -> dict[str, str]:
    """The header that proves who it is."""
    answer = client.post("/login", json_body={"name": name, "password": f"{name}-pw"})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def who_may(lesson: Lesson, client: Client, clock: Clock) -> dict[str, str]:
    """Who is it (401), and may they (403)?

    From here on the application is a shop's API (web_framework/shop_api.py). Logging in compares a
    password with its scrypt hash, slow by design, and gives a token: name, role and end, signed
    with a secret that only the server has. `@require("admin")` checks the role. 401 means "I don't
    know you" and must say how to introduce oneself (WWW-Authenticate); 403 means "I know you: no".

    Secrets are compared with `hmac.compare_digest`: `==` stops at the first wrong character, and a
    patient thief measures that. Over plain HTTP all this is worth nothing: put TLS in front.
    """
    admin, reader = log_in(client, "anna"), log_in(client, "ivan")
    claims, _, _ = admin["Authorization"].partition(".")
    _, _, signature = reader["Authorization"].partition(".")
    forged = {"Authorization": f"{claims}.{signature}"}
    tries = {"nobody": {}, "ivan, a reader": reader, "forged": forged, "anna, an admin": admin}
    found = {
        f"DELETE by {who}": client.request("DELETE", "/products/10", headers=headers)
        for who, headers in tries.items()
    }
    clock.now += 901
    found["anna, 15 min later"] = client.request("DELETE", "/products/9", headers=admin)
    show(lesson, found, "www-authenticate")
    lesson.check("only the admin, and not for ever", statuses(found) == [401, 403, 401, 204, 401])
    wrong = {"name": "anna", "password": "guess"}
    lesson.check("a wrong password: 401", client.post("/login", json_body=wrong).status == 401)
    return log_in(client, "anna")


def bodies(lesson: Lesson, app: App, admin: dict[str, str]) -> None:
    """Parameters by name, and bodies that are what they claim.

    A handler names what it needs: `number` comes from the path, `database` from a provider, `body`
    from `@validate`. This is dependency injection; it needs no container, only the function's
    signature, read once at start. A test replaces a provider and the handler doesn't know.

    `@validate` turns JSON into a dataclass or answers 422 with all problems at once. 415 is the
    wrong kind of body, 400 a broken one, 413 one that is too long: it is refused by its announced
    length, before a byte is read.
    """
    kind = {"Content-Type": "application/json"}
    sent = {
        "a product": {"json_body": {"name": "plums", "price": 2.5, "tags": ["fruit"]}},
        "wrong fields": {"json_body": {"name": "", "price": "cheap", "colour": "red"}},
        "only spaces": {"json_body": {"name": "  ", "price": 1}},
        "not JSON": {"body": b"{", "headers": kind},
        "no type": {"body": b"{}"},
        "120 kB": {"body": b" " * 120_000, "headers": kind},
    }
    client = Client(app, admin)
    found = {f"POST {what}": client.post("/products", **body) for what, body in sent.items()}
    show(lesson, found, "location")
    lesson.check("201, five refusals", statuses(found) == [201, 422, 422, 400, 415, 413])
    problems = found["POST wrong fields"].json()["problems"]
    for name, problem in problems.items():
        lesson.console.line(f"  {name}: {problem}")
    lesson.check("all problems are told at once", sorted(problems) == ["colour", "name", "price"])

    with lesson.expected_error(SetupError):

        @app.route("/lost")
        def lost(warehouse: object) -> None:
            """Nobody provides a warehouse."""


def traced(app: App, trace: list[str]) -> None:
    """Two layers of our own, which write down when they see what."""

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


def onion(lesson: Lesson) -> None:
    """Middleware is an onion.

    Each layer gets the request and a function `call_next`, which is all that lies further inside.
    What it does before that call happens on the way in, the rest on the way out. The first one
    registered is the outermost, so the order matters: logging outside of authentication also logs
    who was refused. Logging, authentication, rate limiting and compression are such layers, one
    file each; `@cache`, `@validate` and `@require` are layers around one handler.

    An unexpected error becomes a 500 at the ring where it is raised: the layers outside see a
    response, the client sees one sentence, and the traceback goes to the log.
    """
    app, trace, lines = App(), [], []
    app.middleware("logging")(Logging(lines.append, Clock()))
    traced(app, trace)

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
    logged = json.loads(lines[-1])
    lesson.console.line(f"  client: {crash.text}")
    lesson.console.line("  log:    " + ", ".join(f"{key} {logged[key]}" for key in logged))
    silent = "secret" not in crash.text
    lesson.check("a crash is a 500 without a traceback", crash.status == 500 and silent)
    lesson.check("the server's log has it", "ZeroDivisionError: the secret" in crash.log)
    lesson.check("the layers outside saw a response", logged["status"] == 500)


def cached(lesson: Lesson, client: Client, clock: Clock) -> None:
    """Do it once, send it once: @cache, and 304.

    `@cache(seconds=60)` keeps the answer under path and query, and gives it an ETag, the
    fingerprint of its content. A client that sends the tag back (If-None-Match) gets 304 and no
    body: it has it already. Answers to requests that bring a token are never kept: what anna may
    see, ivan must not.

    Don't cache what must be right at once, such as stock while somebody pays.
    """
    first, second = client.get("/search?word=e"), client.get("/search?word=e")
    known = {"If-None-Match": first.headers["etag"]}
    third = client.get("/search?word=e", headers=known)
    lesson.check("asked twice, searched once", first.body == second.body)
    lesson.check("who has it gets 304 and no body", (third.status, third.body) == (304, b""))
    clock.now += 61
    after = client.get("/search?word=e", headers=known)
    lesson.check("after a minute it is searched again", after.json()["searches"] == 2)


def throttled(lesson: Lesson) -> None:
    """Not too fast: 429, and when to come back.

    A token bucket for each client holds 5 and gains 2 each second: who hurries for a moment is
    served, who goes on gets 429 with Retry-After. The clock is given from outside, so this step
    needs no waiting. The number of buckets is bounded too, or the limit itself would be the way to
    fill your memory.
    """
    app, clock = App(), Clock()
    app.middleware("rate_limiting")(RateLimiting(per_second=2, burst=5, clock=clock))
    app.route("/")(lambda: "hello")
    client = Client(app)
    answers = [client.get("/") for _ in range(7)]
    found = [answer.status for answer in answers]
    lesson.check("five at once, then no more", found == [200] * 5 + [429] * 2)
    wait = answers[-1].headers["retry-after"]
    clock.now += int(wait)
    lesson.check(f"after Retry-After ({wait} s) it goes on", client.get("/").status == 200)


def over_http(lesson: Lesson, app: App, rows: int) -> None:
    """The same application over HTTP, with the standard library's server.

    Until now nothing went through a network. `wsgiref` serves the same object, a thread for each
    connection; the client is urllib.

    `/export.csv` returns a generator. Each piece is sent while the next is made, packed on the way,
    so memory doesn't grow with the length of the answer. The price: once the first piece is out, an
    error can no longer become a 500, and the client sees the answer end early.
    """
    with serve(app) as url:
        with open_url(f"{url}/products/3") as answer:
            lesson.check("urllib gets a product", json.load(answer)["name"] == "honey")
        with lesson.expected_error(urllib.error.HTTPError):
            try:
                open_url(f"{url}/products/999")
            except urllib.error.HTTPError as answer:
                answer.close()  # it holds the connection
                raise
        size, plain = download(url, {}, rows)
        small, packed = download(url, {"Accept-Encoding": "gzip"}, rows)
    table = [
        (way, f"{length:,}", f"{one.per_second:,.0f}", f"{(one.growth or 0) / 1e6:.1f}")
        for way, length, one in (("plain", size, plain), ("gzip", small, packed))
    ]
    columns = ["export", "bytes", "rows/s", "growth, MB"]
    lesson.table(table, columns, f"{rows:,} rows", measured=True)
    lesson.check("all rows came", size == sum(map(len, csv_lines(rows))))
    lesson.check("packed it is less than half", small < size / 2)
    growth = max(plain.growth or 0, packed.growth or 0)
    lesson.check("memory stays flat, under 8 MB", growth < 8e6)


def strangers(lesson: Lesson, app: App, count: int) -> None:
    """Strangers: garbage over a real socket.

    Bad bytes, headers of 70 kB, `../../etc/passwd` in many spellings, two lengths that disagree: a
    proxy that believes one and a server that believes the other can be made to take the end of one
    request for the next one (request smuggling). What can be read in two ways is refused with 400.

    The requests come from a seed, so a bad one can be replayed. Good is: each is refused in order,
    no 500, and nothing of our insides in any answer.
    """
    admin = log_in(Client(app), "anna")["Authorization"]  # strangers who got that far, too
    with serve(app) as url:
        tally = bombard(url, PATHS, count, seed=6, credentials=admin)
        with open_url(f"{url}/files/hello.txt") as answer:
            alive = answer.status == 200
    rows = [(status or "closed", times) for status, times in sorted(tally.statuses.items())]
    lesson.table(rows, ["status", "times"], f"{count:,} requests", measured=True)
    lesson.check("no 500, no traceback, no file of ours", not tally.bad)
    refused = sum(times for status, times in tally.statuses.items() if 400 <= status < 500)
    lesson.check("most were refused", refused > count / 2)
    lesson.check("the server still serves", alive)


def another_server(lesson: Lesson, app: App) -> None:
    """The same application on a server that people use.

    wsgiref teaches, it doesn't serve crowds: HTTP/1.0, a new thread and connection for each
    request, no TLS. Waitress, gunicorn and uWSGI call the same function with the same dictionary,
    so not a line changes. Waitress also unpacks a chunked body, whose length nobody knew; wsgiref
    can't, so there the framework answers 411, "say the length".
    """
    with serve(app) as url:
        by_wsgiref = over_one_connection(url)
    try:
        with serve_with_waitress(app) as url:
            by_waitress = over_one_connection(url)
    except ImportError:
        lesson.console.line("○ skipped: Waitress is not here (pip install waitress)", "yellow")
        return
    rows = [("wsgiref", *by_wsgiref), ("Waitress", *by_waitress)]
    lesson.table(rows, ["server", "GET", "chunked POST", "connections"])
    lesson.check("wsgiref: 411, and a connection each", by_wsgiref == (200, 411, 2))
    lesson.check("Waitress: served, over one connection", by_waitress == (200, 200, 1))


def speed(lesson: Lesson, requests: int) -> None:
    """How fast, and why: the tree of routes.

    The simplest router tries one regular expression after another: a thousand routes, five hundred
    tries. Ours is a tree of dictionaries with one level for each segment of the path, so finding a
    route takes as many look-ups as the path has segments, however many routes there are. A profile
    showed that nothing else needed tuning.

    At a thousand times the load this is not what you would work on. The time goes into the
    database; you need more processes, a proxy with TLS in front, and buckets and cache in Redis,
    where all processes see them. For a real job take Flask or FastAPI: their contributors have met
    clients that you have not met yet. Write your own to understand them, not to replace them.
    """
    times = {count: routing_times(count) for count in (10, 100, 1_000)}
    rows = [(f"{count:,}", *pair) for count, pair in times.items()]
    columns = ["routes", "tree, µs", "one after another, µs"]
    lesson.table(rows, columns, "Finding one route", measured=True)
    (tree, other), (tree_10, other_10) = times[1_000], times[10]
    lesson.check("at 1,000 routes the tree is at least 5x faster", other > 5 * tree)
    slower = other / other_10 > 3 * tree / tree_10
    lesson.check("from 10 to 1,000 it slows down at least 3x less", slower)
    whole = dispatch_time(min(requests, 20_000))
    lesson.table([("µs a request", whole)], ["what", "value"], "No network", measured=True)
    lesson.check("a request costs the framework less than 1 ms", whole < 1_000)


def main(lesson: Lesson) -> None:
    config, clock = config_advanced.chosen(lesson.options), Clock()
    with public_folder() as folder:
        app, timed = make_app(folder, config.rows), make_app(folder, clock=clock)
        client = Client(timed)
        lesson.step(by_hand, lesson)
        lesson.step(routes, lesson)
        admin = lesson.step(who_may, lesson, client, clock)
        lesson.step(bodies, lesson, timed, admin)
        lesson.step(onion, lesson)
        lesson.step(cached, lesson, client, clock)
        lesson.step(throttled, lesson)
        lesson.step(over_http, lesson, app, config.rows)
        lesson.step(strangers, lesson, make_app(folder), max(config.requests // 100, 300))
        lesson.step(another_server, lesson, make_app(folder))
        lesson.step(speed, lesson, config.requests)


if __name__ == "__main__":
    run(main, config_advanced.options)
