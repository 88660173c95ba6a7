"""The application: one object that a WSGI server can call, and that people add routes to."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from web_framework.conditional import unless_known
from web_framework.errors import HttpError, SetupError
from web_framework.injection import Injector
from web_framework.middleware.errors import ended, guarded
from web_framework.onion import Call, Handler, Layer, given_to, layers_of, wrap
from web_framework.request import Request
from web_framework.response import STATUS_LINES, WITHOUT_BODY, Response, Stream, answer
from web_framework.routing import Converter, Route, Router

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class App:
    """A WSGI application.

    `max_body` bounds what a client may send, in bytes; `converters` adds types for path parameters
    to int, float, uuid, str and path. Put it together first and serve it then: threads read it
    without a lock.
    """

    def __init__(
        self, max_body: int = 1_000_000, converters: Mapping[str, Converter] | None = None
    ) -> None:
        self.max_body = max_body
        self.router = Router(converters)
        self.injector = Injector()
        self.layers: dict[str, Layer] = {}
        self.answer: Call = guarded(self.dispatch)

    def route(
        self, pattern: str, methods: Iterable[str] = ("GET",)
    ) -> Callable[[Handler], Handler]:
        """Let the decorated function answer `pattern`; who answers GET answers HEAD too."""

        def register(handler: Handler) -> Handler:
            names = self.router.names(pattern)
            call = self.injector.bind(handler, {*names, *given_to(handler)})
            layers = layers_of(handler)
            plain: Call = lambda request: answer(call(request))  # noqa: E731
            route = Route(pattern, names, wrap(plain, layers, guarded) if layers else plain)
            wanted = {method.upper() for method in methods}
            for method in sorted(wanted | ({"HEAD"} if "GET" in wanted else set())):
                self.router.add(method, route)
            handler.routed = True  # type: ignore[attr-defined]
            return handler

        return register

    def middleware(self, name: str) -> Callable[[Layer], Layer]:
        """Put the decorated `layer(request, call_next)` around all; the first one is outermost."""

        def register(layer: Layer) -> Layer:
            if name in self.layers:
                raise SetupError(f"there is a layer {name!r} already")
            self.layers[name] = layer
            self.answer = wrap(self.dispatch, list(self.layers.values()), guarded)
            return layer

        return register

    def provide(self, provider: Handler) -> Handler:
        """Let the decorated function make the parameter of its own name."""
        self.injector.add(provider.__name__, provider)
        return provider

    def dispatch(self, request: Request) -> Response:
        """The core of the onion: find the route and call its handler."""
        request.check()
        try:
            route, values = self.router.find(request.method, request.path)
        except HttpError as error:
            if request.method == "OPTIONS" and error.status == 405:
                return Response(status=204, headers=error.headers)
            raise
        request.values = dict(zip(route.names, values, strict=True))
        response = route.call(request)
        return unless_known(request, response)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """What PEP 3333 asks for: announce status and headers, return the body as an iterable."""
        request = Request(environ, self.max_body)
        response = self.answer(request)
        if not isinstance(response.body, Stream):
            response = ended(request, response)
        body = response.body
        line = STATUS_LINES.get(response.status) or f"{response.status} Other"
        start_response(line, response.sent_headers())
        silent = request.method == "HEAD" or response.status in WITHOUT_BODY
        if isinstance(body, Stream):
            return self._streamed(request, body, silent)
        return [] if silent else [body]

    def _streamed(self, request: Request, body: Stream, silent: bool) -> Iterable[bytes]:
        def end() -> None:
            request.failure = request.failure or body.failure
            request.end()

        body.also_close(end)
        if not silent:
            return body
        body.close()
        return []
