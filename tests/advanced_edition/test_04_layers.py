"""Lesson edition/04: the layers, around all handlers and around one. All through the validator."""

import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_framework import (
    App,
    Authentication,
    Between,
    Compression,
    HttpError,
    Logging,
    Passwords,
    RateLimiting,
    Request,
    Response,
    SetupError,
    Tokens,
    User,
    cache,
    hash_password,
    require,
    validate,
)
from web_framework.middleware.compression import accepts
from web_framework.testing import Answer, Client, Clock

SECRET = b"s" * 32


def test_the_four_layers_stand_under_their_names_and_work_together() -> None:
    app, clock, lines = App(), Clock(), []
    tokens = Tokens(SECRET, clock=clock)
    app.middleware("logging")(Logging(lines.append, clock))
    app.middleware("compression")(Compression(minimum=10))
    app.middleware("authentication")(Authentication(tokens))
    app.middleware("rate_limiting")(
        RateLimiting(1, burst=2, whose=lambda request: request.user.name, clock=clock)
    )
    app.route("/")(lambda user: f"hello {user.name}" * 10)
    token = {"Authorization": f"Bearer {tokens.issue(User('anna', 'admin'))}"}
    client = Client(app, {**token, "Accept-Encoding": "gzip"})
    answers = [client.get("/") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert gzip.decompress(answers[0].body) == b"hello anna" * 10
    assert list(app.layers) == ["logging", "compression", "authentication", "rate_limiting"]
    assert [json.loads(line)["status"] for line in lines] == [200, 200, 429]
    assert json.loads(lines[0])["user"] == "anna"


@pytest.mark.parametrize("place", ["logging", "authentication", "rate_limiting", "compression"])
def test_a_layer_of_ones_own_may_take_each_name(place: str) -> None:
    app = App()

    @app.middleware(place)
    def own(request: Request, call_next: Callable[[Request], Response]) -> Response:
        response = call_next(request)
        response.set("X-Own", place)
        return response

    app.route("/")(lambda: "x")
    assert Client(app).get("/").headers["x-own"] == place


@pytest.mark.parametrize("raises", [HttpError(418, "tea"), ValueError("secret")])
def test_what_a_layer_raises_is_an_answer_for_the_ones_outside(raises: Exception) -> None:
    app, seen = App(), []

    @app.middleware("outer")
    def outer(request: Request, call_next: Callable[[Request], Response]) -> Response:
        response = call_next(request)
        seen.append(response.status)
        return response

    @app.middleware("inner")
    def inner(request: Request, call_next: Callable[[Request], Response]) -> Response:
        raise raises

    app.route("/")(lambda: "never")
    answer = Client(app).get("/")
    status = 418 if isinstance(raises, HttpError) else 500
    assert (answer.status, seen) == (status, [status])
    assert "secret" not in answer.text
    assert ("secret" in answer.log) == (status == 500)


def test_the_log_is_one_line_whatever_the_path() -> None:
    app, lines = App(), []
    app.middleware("logging")(Logging(lines.append, Clock()))
    for path in ('/a%0A{"status":200}', "/%FF", "/é", "/?token=secret"):
        Client(app).get(path, headers={"Authorization": "Bearer secret"})
    assert all("\n" not in line and "secret" not in line for line in lines)
    assert [json.loads(line)["status"] for line in lines] == [404, 400, 400, 404]


def protected() -> tuple[App, Tokens, Clock]:
    app, clock = App(), Clock()
    tokens = Tokens(SECRET, seconds=60, clock=clock)
    app.middleware("authentication")(Authentication(tokens))
    app.route("/open")(lambda: "open")
    app.route("/mine")(require()(lambda user: user.name))
    app.route("/admin")(require("admin", "owner")(lambda: "welcome"))
    return app, tokens, clock


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (None, "/open", 200), (None, "/mine", 401), (None, "/admin", 401),
        ("reader", "/mine", 200), ("reader", "/admin", 403),
        ("admin", "/admin", 200), ("owner", "/admin", 200),
    ],
)  # fmt: skip
def test_roles(role: str | None, path: str, status: int) -> None:
    app, tokens, _ = protected()
    headers = {"Authorization": f"bearer {tokens.issue(User('a', role))}"} if role else {}
    answer = Client(app, headers).get(path)
    assert answer.status == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_a_token_ends() -> None:
    app, tokens, clock = protected()
    client = Client(app, {"Authorization": f"Bearer {tokens.issue(User('a', 'admin'))}"})
    assert client.get("/admin").status == 200
    clock.now += 60
    refused = client.get("/open")
    assert (refused.status, "invalid_token" in refused.headers["www-authenticate"]) == (401, True)


@given(st.text(max_size=30), st.data())
def test_no_other_text_is_a_token(text: str, data: st.DataObject) -> None:
    tokens = Tokens(SECRET, clock=Clock())
    token = tokens.issue(User("anna", "reader"))
    assert tokens.user(text) is None
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("aZ0.-_=").filter(lambda sign: sign != token[at]))
    assert tokens.user(token[:at] + other + token[at + 1 :]) is None
    assert tokens.user(token) == User("anna", "reader")


def test_a_secret_must_be_long() -> None:
    with pytest.raises(ValueError, match="32"):
        Tokens(b"short")


def test_passwords() -> None:
    passwords = Passwords({"anna": ("admin", hash_password("correct horse"))})
    assert passwords.user("anna", "correct horse") == User("anna", "admin")
    for name, password in (("anna", "wrong"), ("nobody", ""), ("anna", ""), ("anna", "\ud800")):
        assert passwords.user(name, password) is None
    assert hash_password("a") != hash_password("a")  # each with a salt of its own
    longest = "x" * 200
    passwords = Passwords({"ivan": ("reader", hash_password(longest))})
    assert passwords.user("ivan", longest)
    assert passwords.user("ivan", longest + "y") is None
    with pytest.raises(ValueError, match="at most 200"):
        hash_password(longest + "y")


def test_a_bucket_fills_with_time_and_is_ones_own() -> None:
    clock = Clock()
    limit = RateLimiting(per_second=2, burst=3, clock=clock)
    assert [limit.take("a") > 0 for _ in range(4)] == [False, False, False, True]
    assert limit.take("b") == 0
    assert limit.take("a") == pytest.approx(0.5)
    clock.now += 0.5
    assert limit.take("a") == 0 < limit.take("a")
    clock.now += 1_000
    assert [limit.take("a") > 0 for _ in range(4)] == [False, False, False, True]


@given(st.lists(st.floats(0, 3), max_size=60))
def test_nobody_gets_more_than_burst_and_rate(pauses: list[float]) -> None:
    clock = Clock()
    limit, start, served = RateLimiting(per_second=2, burst=3, clock=clock), clock.now, 0
    for pause in pauses:
        clock.now += pause
        served += limit.take("a") == 0
        assert served <= 3 + 2 * (clock.now - start) + 1e-6


def test_buckets_are_bounded_and_threads_share_them() -> None:
    limit = RateLimiting(per_second=0.001, burst=100, clock=Clock(), most=10)
    for number in range(1_000):
        limit.take(str(number))
    assert len(limit.buckets) == 10
    served: list[bool] = []

    def hurry() -> None:
        served.extend(limit.take("all") == 0 for _ in range(50))

    threads = [threading.Thread(target=hurry) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(served) == 100
    with pytest.raises(ValueError, match="above 0"):
        RateLimiting(per_second=0, burst=1)


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("gzip", True), ("br, gzip;q=0.5", True), ("GZIP", True), ("*", True), ("", False),
        ("gzip;q=0", False), ("gzip; q=0.000", False), ("xgzip", False), ("identity", False),
        ("gzip;q=banana", False), (None, False), ("deflate,gzip , br", True),
    ],
)  # fmt: skip
def test_gzip_only_for_who_asks(header: str | None, allowed: bool) -> None:
    assert accepts(header) is allowed


def test_what_is_worth_packing() -> None:
    app = App()
    app.middleware("compression")(Compression(minimum=100))
    app.route("/text")(lambda: "a" * 1_000)
    app.route("/short")(lambda: "a")
    app.route("/photo")(lambda: Response(b"a" * 1_000, content_type="image/png"))
    app.route("/stream")(lambda: (word for word in ["one", "two"]))
    app.route("/varied")(lambda: Response(b"x", headers=[("Vary", "Accept")]))
    client = Client(app, {"Accept-Encoding": "gzip"})
    packed = {path: client.get(path).headers.get("content-encoding") for path in (
        "/text", "/short", "/photo", "/stream",
    )}  # fmt: skip
    assert packed == {"/text": "gzip", "/short": None, "/photo": None, "/stream": "gzip"}
    assert gzip.decompress(client.get("/stream").body) == b"onetwo"
    assert client.get("/text").headers["vary"] == "Accept-Encoding"
    assert client.get("/varied").headers["vary"] == "Accept, Accept-Encoding"
    head = client.request("HEAD", "/text")
    assert head.headers["content-length"] == client.get("/text").headers["content-length"]
    assert Client(app).get("/text").body == b"a" * 1_000


def cached_app(**settings: Any) -> tuple[Client, Clock, list[str]]:
    app, clock, calls = App(), Clock(), []
    app.middleware("authentication")(Authentication(Tokens(SECRET, clock=clock)))

    @app.route("/{word}", methods=["GET", "POST"])
    @cache(seconds=10, clock=clock, **settings)
    def handler(word: str, request: Request) -> str:
        calls.append(word)
        if word == "broken":
            raise HttpError(503)
        return f"{word} {request.query}"

    return Client(app), clock, calls


def test_the_cache_answers_for_a_while() -> None:
    client, clock, calls = cached_app()
    first = client.get("/a")
    clock.now += 9.9
    again = client.get("/a")
    assert (again.body, again.headers["age"], calls) == (first.body, "9", ["a"])
    assert client.request("HEAD", "/a").headers["etag"] == first.headers["etag"]
    client.get("/a?x=1")
    clock.now += 0.1
    client.get("/a")
    assert calls == ["a", "a", "a"]


def test_the_cache_keeps_no_error_no_post_and_nothing_private() -> None:
    client, clock, calls = cached_app()
    token = {"Authorization": f"Bearer {Tokens(SECRET, clock=clock).issue(User('a', 'b'))}"}
    for _ in range(2):
        client.get("/broken")
        client.post("/posted")
        client.get("/private", headers=token)
    assert sorted(calls) == sorted(["broken", "posted", "private"] * 2)


def test_the_cache_is_bounded_and_drops_what_was_used_longest_ago() -> None:
    client, _, calls = cached_app(entries=2)
    for word in ("a", "b", "a", "c", "a", "b"):
        client.get(f"/{word}")
    assert calls == ["a", "b", "c", "b"]


def not_modified(header: str) -> Answer:
    client, _, _ = cached_app()
    tag = client.get("/a").headers["etag"]
    return client.get("/a", headers={"If-None-Match": header.replace("TAG", tag)})


@pytest.mark.parametrize("header", ["TAG", '"other", TAG', "*", "  TAG  "])
def test_304_for_who_has_it(header: str) -> None:
    answer = not_modified(header)
    assert (answer.status, answer.body) == (304, b"")
    assert {"etag", "cache-control"} <= set(answer.headers)
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("header", ['"other"', "TA", "", 'W/"', "TAGx"[:2]])
def test_200_for_who_has_something_else(header: str) -> None:
    assert not_modified(header).status == 200


@dataclass
class Order:
    name: Annotated[str, Between(1, 5)]
    count: Annotated[int, Between(1, 10)] = 1
    price: float = 0.0
    gift: bool = False
    note: Annotated[str | None, Between(0, 3)] = None
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.name == "never":
            raise ValueError("not that name")


def ordering() -> Client:
    app = App()

    @app.route("/", methods=["POST"])
    @validate(Order)
    def handler(body: Order) -> dict:
        return vars(body)

    return Client(app)


@pytest.mark.parametrize(
    ("sent", "problems"),
    [
        ({"name": "a"}, None),
        ({"name": "a", "count": 10, "price": 3, "gift": True, "note": None, "tags": ["x"]}, None),
        ({}, {"name": "is missing"}),
        ({"name": "", "count": 11}, {
            "name": "its length must be between 1 and 5", "count": "it must be between 1 and 10",
        }),
        ({"name": 1, "count": True, "price": "1", "gift": 1}, {
            "name": "must be text", "count": "must be a whole number", "price": "must be a number",
            "gift": "must be true or false",
        }),
        ({"name": "a", "note": "long", "tags": ["x", 1]}, {
            "note": "its length must be between 0 and 3", "tags": "has an item that must be text",
        }),
        ({"name": "a", "tags": "x", "more": 1}, {"tags": "must be a list", "more": "is not known"}),
        ({"name": "never"}, {}),
        ([], {}),
        ("text", {}),
    ],
)  # fmt: skip
def test_bodies(sent: Any, problems: dict[str, str] | None) -> None:
    answer = ordering().post("/", json_body=sent)
    assert answer.status == (200 if problems is None else 422)
    if problems is not None:
        assert answer.json().get("problems", {}) == problems


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["name", "count", "price", "gift", "note", "tags", "other"])


@given(json_values | st.dictionaries(fields, json_values))
def test_any_json_is_taken_or_refused_in_order(sent: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = ordering().request("POST", "/", json.dumps(sent).encode(), headers)
    assert answer.status in (200, 400, 422)


def test_a_model_that_cannot_be_checked_is_refused_at_start() -> None:
    @dataclass
    class Wrong:
        when: complex

    for model in (Wrong, dict, Order("a")):
        with pytest.raises(SetupError):
            validate(model)  # type: ignore[arg-type]


def test_the_order_of_decorators_is_checked() -> None:
    app = App()
    with pytest.raises(SetupError, match="above the other decorators"):
        cache(60)(app.route("/")(lambda: "x"))
