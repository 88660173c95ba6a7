"""What routing and dispatch cost: the tree of routes beside the simplest router there is."""

import random
import re
from collections.abc import Callable

from utils.performance import compare

from web_framework.app import App
from web_framework.routing import Route, Router


def one_after_another(patterns: list[str]) -> Callable[[str], int | None]:
    """The simplest router: try one regular expression after another."""
    compiled = [re.compile(pattern.replace("{n:int}", "([0-9]+)")) for pattern in patterns]

    def find(path: str) -> int | None:
        return next((at for at, one in enumerate(compiled) if one.fullmatch(path)), None)

    return find


def routing_times(count: int) -> tuple[float, float]:
    """Microseconds to find one of `count` routes: (in the tree, one after another)."""
    patterns, dice = [f"/api/things{n}/{{n:int}}" for n in range(count)], random.Random(6)
    router, simple = Router(), one_after_another(patterns)
    for pattern in patterns:
        router.add("GET", Route(pattern, ("n",), str))
    paths = [f"/api/things{dice.randrange(count)}/42" for _ in range(500)]
    ways = {
        "tree": lambda: [router.find("GET", path) for path in paths],
        "one after another": lambda: [simple(path) for path in paths],
    }
    tree, other = compare(ways, len(paths), rounds=5).values()
    return 1e6 / tree.per_second, 1e6 / other.per_second


def dispatch_time(calls: int) -> float:
    """Microseconds for a whole request without a network: route, handler, JSON, headers."""
    app, environ = App(), {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/things/42"}
    app.route("/api/things/{n:int}")(lambda n: {"n": n})

    def ask() -> None:
        for _ in range(calls):
            app(environ, lambda status, headers: None)

    return 1e6 / compare({"dispatch": ask}, calls)["dispatch"].per_second
