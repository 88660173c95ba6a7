"""Which handler is meant: a tree with one level for each segment of the path.

Finding a route walks the path's segments through dictionaries, so that it takes as long among a
thousand routes as among ten.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from web_framework.converters import CONVERTERS, Converter, rest
from web_framework.errors import HttpError, SetupError

PARAMETER = re.compile(r"\{([a-z_][a-z0-9_]*)(?::([a-z]+))?\}")


class Route(NamedTuple):
    """A handler under a method and a pattern; `names` are the parameters in the path's order."""

    pattern: str
    names: tuple[str, ...]
    call: Callable[..., Any]


class Node:
    """One segment deep in the tree: what may follow, and what ends here."""

    __slots__ = ("literal", "rest", "routes", "typed")

    def __init__(self) -> None:
        self.literal: dict[str, Node] = {}
        self.typed: dict[str, tuple[Converter, Node]] = {}
        self.rest: Node | None = None
        self.routes: dict[str, Route] = {}


class Router:
    """Patterns such as `/shops/{shop:int}/files/{file:path}`; a type that isn't named is str."""

    def __init__(self, converters: Mapping[str, Converter] | None = None) -> None:
        self.root = Node()
        self.converters = {**(converters or {}), **CONVERTERS}

    def add(self, method: str, route: Route) -> None:
        """Put a route into the tree. SetupError if its place is taken."""
        node = self.root
        for segment in route.pattern.split("/")[1:]:
            node = self._child(node, segment)
        if method in node.routes:
            taken = node.routes[method].pattern
            raise SetupError(f"{method} {route.pattern} is already there, as {taken}")
        node.routes[method] = route

    def _child(self, node: Node, segment: str) -> Node:
        parameter = PARAMETER.fullmatch(segment)
        if not parameter:
            return node.literal.setdefault(segment, Node())
        kind = parameter[2] or "str"
        if kind == "path":
            node.rest = node.rest or Node()
            return node.rest
        if kind not in node.typed:
            node.typed[kind] = (self.converters[kind], Node())
            order = list(self.converters)
            node.typed = dict(sorted(node.typed.items(), key=lambda item: order.index(item[0])))
        return node.typed[kind][1]

    def names(self, pattern: str) -> tuple[str, ...]:
        """The parameters of a pattern. SetupError for one that can't be understood."""
        if not pattern.startswith("/"):
            raise SetupError(f"a pattern begins with a slash: {pattern!r}")
        segments = pattern.split("/")[1:]
        found = [(at, PARAMETER.fullmatch(segment)) for at, segment in enumerate(segments)]
        for at, match in found:
            if match is None and set("{}") & set(segments[at]):
                raise SetupError(f"{segments[at]!r} is no parameter: {{name}} or {{name:type}}")
            kind = match[2] if match else None
            if kind == "path" and at < len(segments) - 1:
                raise SetupError("a path takes all that is left, so it comes last")
            if kind not in (None, "path", *self.converters):
                raise SetupError(f"unknown type {kind!r} of {segments[at]}")
        names = tuple(match[1] for _, match in found if match)
        if len(set(names)) < len(names):
            raise SetupError(f"{pattern} names a parameter twice")
        return names

    def find(self, method: str, path: str) -> tuple[Route, tuple]:
        """The route and its parameters. Raises HttpError 404, or 405 with what is allowed."""
        allowed: set[str] = set()
        found = _walk(self.root, path.split("/"), 1, (), method, allowed)
        if found:
            return found
        if allowed:
            allow = ", ".join(sorted({*allowed, "OPTIONS"}))
            raise HttpError(405, headers=[("Allow", allow)])
        raise HttpError(404)


def _walk(
    node: Node, segments: list[str], depth: int, values: tuple, method: str, allowed: set[str]
) -> tuple[Route, tuple] | None:
    """Literal segments first, then typed ones, then the rest of the path; back if that fails.

    Each node lies at one depth, so it is visited at most once: no path makes this slow.
    """
    if depth == len(segments):
        return _at(node, values, method, allowed)
    segment = segments[depth]
    child = node.literal.get(segment)
    if child and (found := _walk(child, segments, depth + 1, values, method, allowed)):
        return found
    for convert, child in node.typed.values():
        value = convert(segment)
        if value is not None:
            deeper = (*values, value)
            if found := _walk(child, segments, depth + 1, deeper, method, allowed):
                return found
    if node.rest and (value := rest("/".join(segments[depth:]))):
        return _at(node.rest, (*values, value), method, allowed)
    return None


def _at(node: Node, values: tuple, method: str, allowed: set[str]) -> tuple[Route, tuple] | None:
    route = node.routes.get(method)
    if route is None:
        allowed.update(node.routes)
        return None
    return route, values
