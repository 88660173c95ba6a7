"""A middleware: layers of an onion.

A handler makes a response of a request. A layer stands around it: it gets the request and
`call_next`, which is everything further inside. It may look at the request, change the response, or
answer by itself without calling `call_next`.

1. Write `wrap`: one handler that goes through all layers, the first one in the list outermost.
2. Write `keys_required`: it makes a layer that lets only those in whose header "x-api-key" is one
   of `keys`. All others get a 401, and the handler isn't called.
3. Write `crashes_become_500`, a layer: an error further inside becomes a 500 with the text
   "internal error" (nothing of the error: that is for the log). `log` gets the error.
"""

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
    raise NotImplementedError("TODO: the onion")


def keys_required(keys: set[str]) -> Layer:
    """A layer that answers 401 to those without one of `keys`."""
    raise NotImplementedError("TODO: who may come in?")


def crashes_become_500(log: Callable[[Exception], None]) -> Layer:
    """A layer that makes a 500 of an error."""
    raise NotImplementedError("TODO: catch, log, answer")
