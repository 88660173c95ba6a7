"""A middleware: each layer becomes a handler around the one further inside."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """What somebody asks for; the names of headers are in lower case."""

    path: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Response:
    """What they get."""

    status: int
    text: str = ""


Handler = Callable[[Request], Response]
Layer = Callable[[Request, Handler], Response]


def wrap(handler: Handler, layers: list[Layer]) -> Handler:
    """A handler that goes through all layers, the first one outermost."""
    for layer in reversed(layers):
        handler = around(layer, handler)
    return handler


def around(layer: Layer, inside: Handler) -> Handler:
    """One layer around a handler; a function of its own, so that each keeps its own names."""
    return lambda request: layer(request, inside)


def keys_required(keys: set[str]) -> Layer:
    """A layer that answers 401 to those without one of `keys`."""

    def layer(request: Request, call_next: Handler) -> Response:
        if request.headers.get("x-api-key") not in keys:
            return Response(401, "a key is needed")
        return call_next(request)

    return layer


def crashes_become_500(log: Callable[[Exception], None]) -> Layer:
    """A layer that makes a 500 of an error."""

    def layer(request: Request, call_next: Handler) -> Response:
        try:
            return call_next(request)
        except Exception as error:
            log(error)
            return Response(500, "internal error")

    return layer
