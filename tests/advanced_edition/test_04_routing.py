"""Lesson edition/04: from a path to a handler, and what a handler gets by name."""

import re
import string
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_framework import App, HttpError, Request, Response, SetupError
from web_framework.converters import CONVERTERS, rest
from web_framework.routing import Route, Router
from web_framework.testing import Client

IDENTIFIER = "12345678-1234-5678-1234-567812345678"
segments = st.sampled_from(["a", "b", "{x:int}", "{x}", "{x:float}"])
patterns = st.lists(
    st.lists(segments, min_size=1, max_size=3).map(
        # Each parameter has a name of its own.
        lambda parts: "".join(f"/{part.replace('x', f'x{at}')}" for at, part in enumerate(parts))
    ),
    max_size=8,
    unique_by=lambda pattern: re.sub(r"x\d", "x", pattern),
)
paths = st.lists(st.sampled_from(["a", "b", "c", "7", "1.5", ""]), min_size=1, max_size=3)


def answers(pattern: str, path: str) -> dict[str, Any] | int:
    """What a handler gets for `path`, or the status."""
    app = App()
    app.route(pattern)(lambda request: {key: str(value) for key, value in request.values.items()})
    answer = Client(app).get(path)
    return answer.json() if answer.status == 200 else answer.status


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/", "/", {}),
        ("/a/{n:int}", "/a/42", {"n": "42"}),
        ("/a/{n:int}", "/a/-42", 404),
        ("/a/{n:int}", "/a/4_2", 404),
        ("/a/{n:int}", "/a/%D9%A3", 404),  # a digit, but not one of ours
        ("/a/{n:int}", "/a/" + "9" * 5_000, 404),
        ("/a/{n:int}", "/a/", 404),
        ("/a/{n:int}", "/a/42/", 404),
        ("/a/{n:float}", "/a/4.25", {"n": "4.25"}),
        ("/a/{n:float}", "/a/nan", 404),
        ("/a/{n:float}", "/a/1e9", 404),
        ("/a/{n:uuid}", f"/a/{IDENTIFIER}", {"n": IDENTIFIER}),
        ("/a/{n:uuid}", "/a/" + "x" * 36, 404),
        ("/a/{word}", "/a/gr%C3%BCn", {"word": "grün"}),
        ("/a/{word}", "/a/b/c", 404),
        ("/a/{word}", "/a/..", 404),
        ("/a/{word}", "/a/%FF", 400),
        ("/a/{word}", "/a/b%00", 400),
        ("/a/{file:path}", "/a/b/c.txt", {"file": "b/c.txt"}),
        ("/a/{file:path}", "/a/", 404),
        ("/a/{file:path}", "/a/b/../c", 404),
        ("/a/{file:path}", "/a/..%2Fc", 404),
        ("/a/{file:path}", "/a//etc/passwd", 404),
        ("/a/{file:path}", "/a/b%5C..%5Cc", 404),
        ("/grün", "/gr%C3%BCn", {}),
    ],
)
def test_a_parameter_matches_what_its_type_says(pattern: str, path: str, found: Any) -> None:
    assert answers(pattern, path) == found


def test_parameters_arrive_in_their_type() -> None:
    app, got = App(), []
    app.route("/{i:int}/{f:float}/{u:uuid}/{s}")(lambda i, f, u, s: got.extend([i, f, u, s]))
    assert Client(app).get(f"/1/2.5/{IDENTIFIER}/x").status == 204
    assert got == [1, 2.5, UUID(IDENTIFIER), "x"]


def test_own_types_come_before_the_general_ones() -> None:
    app = App(converters={"even": lambda text: int(text) if text[-1:] in tuple("02468") else None})
    app.route("/{n}")(lambda n: "any")
    app.route("/{n:int}")(lambda n: "odd")
    app.route("/{n:even}")(lambda n: "even")
    assert [Client(app).get(path).text for path in ("/4", "/5", "/x")] == ["even", "odd", "any"]


def slow_and_plain(routes: list[str], path: str) -> set[str]:
    """The patterns that match `path`, found by trying each one."""
    kinds = {"int": "[0-9]+", "float": r"[0-9]+\.[0-9]+", "str": "[^/]+"}

    def expression(pattern: str) -> str:
        return re.sub(r"\{\w+(?::(\w+))?\}", lambda found: kinds[found[1] or "str"], pattern)

    return {pattern for pattern in routes if re.fullmatch(expression(pattern), path)}


@given(patterns, paths)
def test_the_tree_finds_what_trying_each_finds(routes: list[str], parts: list[str]) -> None:
    router, path = Router(), "/" + "/".join(parts)
    for pattern in routes:
        router.add("GET", Route(pattern, router.names(pattern), str))
    expected = slow_and_plain(routes, path)
    try:
        route, values = router.find("GET", path)
    except HttpError as error:
        assert (error.status, expected) == (404, set())
        return
    assert route.pattern in expected
    assert len(values) == len(route.names)
    # Of several that match, one with a literal segment wins over one with a parameter there.
    first = {pattern.split("/")[1] for pattern in expected}
    if parts[0] in first:
        assert route.pattern.split("/")[1] == parts[0]


@given(st.text(string.printable, max_size=40))
def test_any_path_is_found_or_is_404(path: str) -> None:
    router = Router()
    for pattern in ("/a/{x:int}", "/a/{x}/b", "/{x:float}/{y:path}"):
        router.add("GET", Route(pattern, router.names(pattern), str))
    try:
        route, values = router.find("GET", path)
        assert len(values) == len(route.names)
    except HttpError as error:
        assert error.status == 404


@given(st.text(alphabet="./\\ab", max_size=12))
def test_the_rest_of_a_path_never_leads_out(text: str) -> None:
    value = rest(text)
    if value is not None:
        assert not {"", ".", ".."} & set(value.split("/"))
        assert "\\" not in value


def test_405_tells_all_methods_of_all_routes_that_match() -> None:
    app = App()
    app.route("/a/new", methods=["POST"])(lambda: "made")
    app.route("/a/{word}", methods=["PUT", "GET"])(lambda word: word)
    client = Client(app)
    assert client.get("/a/new").text == "new"  # the other route takes it
    refused = client.request("PATCH", "/a/new")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST, PUT")
    options = client.request("OPTIONS", "/a/new")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST, PUT")
    assert client.request("OPTIONS", "/b").status == 404


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("a", "begins with a slash"),
        ("/{n:whole}", "unknown type 'whole'"),
        ("/{n", "is no parameter"),
        ("/x{n}", "is no parameter"),
        ("/{n}/{n}", "twice"),
        ("/{n:path}/b", "comes last"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_refused_at_start(pattern: str, says: str) -> None:
    with pytest.raises(SetupError, match=says):
        App().route(pattern)(lambda n: n)


def test_a_place_is_taken_once() -> None:
    app = App()
    app.route("/{a:int}")(lambda a: "a")
    with pytest.raises(SetupError, match="already there"):
        app.route("/{b:int}")(lambda b: "b")
    app.middleware("own")(lambda request, call_next: call_next(request))
    with pytest.raises(SetupError, match="already"):
        app.middleware("own")(lambda request, call_next: call_next(request))


def test_every_type_has_a_converter_that_never_raises() -> None:
    for text in ("", "x" * 10_000, "\udcff", "١", "0", "-", "1.", ".1", "1.1.1", "{" * 36):
        for convert in CONVERTERS.values():
            convert(text)


def test_providers_are_found_by_name_and_made_once_a_request() -> None:
    app, made = App(), []

    @app.provide
    def settings() -> dict:
        made.append("settings")
        return {"size": 3}

    @app.provide
    def numbers(settings: dict, request: Request) -> list[int]:
        return list(range(settings["size"] + len(request.query)))

    @app.route("/{n:int}")
    def handler(numbers: list, settings: dict, n: int, user: object, spare: int = 5) -> dict:
        return {"numbers": numbers, "n": n, "user": user, "spare": spare}

    client = Client(app)
    expected = {"numbers": [0, 1, 2, 3], "n": 7, "user": None, "spare": 5}
    assert client.get("/7?x=1").json() == expected
    assert made == ["settings"]
    with app.injector.replaced("settings", lambda: {"size": 0}):
        assert client.get("/7").json()["numbers"] == []
    assert client.get("/7").json()["numbers"] == [0, 1, 2]


def test_a_provider_goes_on_when_the_answer_is_ready_and_learns_of_an_error() -> None:
    app, story = App(), []

    @app.provide
    def transaction() -> Iterator[str]:
        story.append("begin")
        try:
            yield "open"
        except Exception as error:
            story.append(f"rollback: {type(error).__name__}")
            raise
        story.append("commit")

    app.route("/good")(lambda transaction: transaction)
    app.route("/bad")(lambda transaction: 1 / 0)
    app.route("/stream")(lambda transaction: (word for word in ("a", "b")))

    @app.route("/refused")
    def refused(transaction: str) -> None:
        raise HttpError(409)

    client = Client(app)
    for path, status, end in (
        ("/good", 200, "commit"), ("/bad", 500, "rollback: ZeroDivisionError"),
        ("/refused", 409, "rollback: HttpError"), ("/stream", 200, "commit"),
    ):  # fmt: skip
        story.clear()
        assert client.get(path).status == status
        assert story == ["begin", end]


def test_a_commit_that_fails_is_a_500() -> None:
    app = App()

    @app.provide
    def transaction() -> Iterator[None]:
        yield
        raise OSError("the disk is full")

    app.route("/")(lambda transaction: "done")
    answer = Client(app).get("/")
    assert answer.status == 500
    assert "the disk is full" in answer.log
    assert "disk" not in answer.text


def test_what_nobody_provides_is_an_error_at_start() -> None:
    app = App()
    with pytest.raises(SetupError, match="needs lost"):
        app.route("/")(lambda lost: lost)
    app.provide(lambda_named("settings"))
    with pytest.raises(SetupError, match="already provided"):
        app.provide(lambda_named("settings"))
    with pytest.raises(SetupError, match="nobody provides"), app.injector.replaced("x", dict):
        pass


def lambda_named(name: str) -> Any:
    def provider() -> Response:
        return Response()

    provider.__name__ = name
    return provider
