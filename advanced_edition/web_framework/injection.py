"""Dependency injection by parameter name: a handler says what it needs, and gets it.

    @app.provide
    def database(settings): ...         # a provider may need others, by name as well

    @app.route("/products/{number:int}")
    def product(number, database): ...

What a handler needs is looked up once, when it is registered. A missing provider is an error at
start, not in the first request at night.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from web_framework.errors import SetupError
from web_framework.request import Request


class Provider(NamedTuple):
    """How a parameter is made; `opens` says that it yields and wants to go on at the end."""

    make: Callable[..., Any]
    needs: tuple[str, ...]
    opens: bool


class Injector:
    """The providers by name; `request` and `user` are always there."""

    def __init__(self) -> None:
        self.providers: dict[str, Provider] = {}
        self.add("user", lambda request: request.user)

    def add(self, name: str, make: Callable[..., Any]) -> None:
        """Let `make` provide `name`, once for each request that needs it.

        A generator function yields the value and goes on when the answer is ready, or, of a
        stream, sent. An error of the request is raised where it yields.
        """
        if name == "request" or name in self.providers:
            raise SetupError(f"{name!r} is already provided")
        self.providers[name] = self._provider(make)

    def _provider(self, make: Callable[..., Any]) -> Provider:
        opens = inspect.isgeneratorfunction(make)
        return Provider(contextmanager(make) if opens else make, self.needs(make), opens)

    def needs(self, function: Callable[..., Any], given: Iterable[str] = ()) -> tuple[str, ...]:
        """The parameters of `function` that are to be filled.

        One that nobody provides keeps its default; SetupError if it has none.
        """
        parameters = inspect.signature(function).parameters
        known = {"request", *given, *self.providers}
        names = tuple(name for name in parameters if name in known)
        empty = inspect.Parameter.empty
        missing = [
            name
            for name, parameter in parameters.items()
            if name not in known and parameter.default is empty
        ]
        if missing:
            raise SetupError(
                f"{function.__name__}() needs {', '.join(missing)}, and nobody provides that\n"
                "Put it into the path, or register a provider before the route."
            )
        return names

    def value(self, name: str, request: Request) -> Any:
        """What the parameter `name` is in this request."""
        if name == "request":
            return request
        if name not in request.values:
            make, needs, opens = self.providers[name]
            made = make(**{other: self.value(other, request) for other in needs})
            request.values[name] = request.open(made) if opens else made
        return request.values[name]

    def bind(self, handler: Callable[..., Any], given: set[str]) -> Callable[[Request], Any]:
        """`handler` as a function of the request alone."""
        names = self.needs(handler, given)
        if set(names) == given:
            return lambda request: handler(**request.values)
        return lambda request: handler(**{name: self.value(name, request) for name in names})

    @contextmanager
    def replaced(self, name: str, make: Callable[..., Any]) -> Iterator[None]:
        """Within the block `make` provides `name` instead: for tests."""
        if name not in self.providers:
            raise SetupError(f"nobody provides {name!r}")
        before = self.providers[name]
        self.providers[name] = self._provider(make)
        try:
            yield
        finally:
            self.providers[name] = before
