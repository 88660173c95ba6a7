"""Layers around a core: each one sees the request on its way in and the response on its way out.

    def layer(request, call_next):
        ...                             # before
        response = call_next(request)   # all that lies further inside
        ...                             # after
        return response

Around the whole application they are called middleware. Around one handler they are what `@cache`,
`@validate` and `@require` put there: the same thing, smaller.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from web_framework.errors import SetupError
from web_framework.request import Request
from web_framework.response import Response

Call = Callable[[Request], Response]
Layer = Callable[[Request, Call], Response]
Handler = TypeVar("Handler", bound=Callable[..., Any])


def wrap(core: Call, layers: Sequence[Layer], guard: Callable[[Call], Call]) -> Call:
    """`core` inside the layers, the first of them outermost.

    `guard` turns what a ring raises into a response, so the next ring outside sees a response,
    whatever happened inside.
    """
    call = guard(core)
    for layer in reversed(layers):
        call = guard(_ring(layer, call))
    return call


def _ring(layer: Layer, inner: Call) -> Call:
    return lambda request: layer(request, inner)


def around(layer: Layer, gives: Iterable[str] = ()) -> Callable[[Handler], Handler]:
    """A decorator that puts `layer` around one handler; it stays the plain function it was.

    `gives` names the parameters that the layer provides for the handler.
    """

    def decorate(handler: Handler) -> Handler:
        if getattr(handler, "routed", False):
            raise SetupError(f"put @app.route above the other decorators of {handler.__name__}")
        handler.layers = [layer, *layers_of(handler)]  # type: ignore[attr-defined]
        handler.gives = {*gives, *given_to(handler)}  # type: ignore[attr-defined]
        return handler

    return decorate


def layers_of(handler: Callable[..., Any]) -> list[Layer]:
    """The layers around one handler, outermost first."""
    return getattr(handler, "layers", [])


def given_to(handler: Callable[..., Any]) -> set[str]:
    """The parameters that its layers provide."""
    return getattr(handler, "gives", set())
