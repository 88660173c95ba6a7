"""The HTTP side of the demo API: counts, applies the knobs, and sends the body in pieces."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakSet

from aiohttp import web

from course.demo_api.endpoints import ENDPOINTS, Answer, Endpoint, NotFoundError
from course.demo_api.knobs import LIMITS, BadRequestError, Fate, Fates, Knobs
from course.settings import HOST

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Stats:
    """What the server saw since its start or since DELETE /stats."""

    requests: int = 0
    connections: int = 0
    in_flight: int = 0
    peak: int = 0
    too_early: int = 0
    by_path: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _seen: WeakSet[asyncio.Transport] = field(default_factory=WeakSet)

    def begin(self, request: web.Request) -> None:
        """Count a request that comes in."""
        self.requests += 1
        self.by_path[request.path] += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        if request.transport is not None and request.transport not in self._seen:
            self._seen.add(request.transport)
            self.connections += 1

    def as_dict(self) -> dict[str, object]:
        """The counters, ready for JSON."""
        return {
            name: dict(sorted(value.items())) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
            if not name.startswith("_")
        }


class Server:
    """One demo API with its own counters."""

    def __init__(self, seed: int) -> None:
        self.seed, self.stats, self.fates = seed, Stats(), Fates()
        self.last_used = 0.0

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(middlewares=[errors_as_json])
        for endpoint in ENDPOINTS:
            handler = self._handler(endpoint)
            application.router.add_get(endpoint.path, handler, allow_head=False)
        application.router.add_get("/stats", self._show_stats, allow_head=False)
        application.router.add_delete("/stats", self._forget)
        return application

    def _handler(self, endpoint: Endpoint) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.last_used = asyncio.get_running_loop().time()
            stats = self.stats
            stats.begin(request)
            try:
                return await self._answer(endpoint, request)
            finally:
                stats.in_flight -= 1

        return handle

    async def _answer(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        knobs, fate = Knobs(), Fate()
        try:
            check_parameters(request, endpoint)
            knobs = Knobs.parse(request.query)
            fate = self.fates.decide(knobs, resource(request), asyncio.get_running_loop().time())
            self._count(fate)
            await asyncio.sleep(knobs.delay)
            answer = planned_error(fate) or await endpoint.answer(request, self.seed)
        except BadRequestError as error:
            answer = problem(400, "bad request", str(error))
        except NotFoundError as error:
            answer = problem(404, "not found", str(error))
        self.stats.by_status[str(answer.status)] += 1
        return await send(request, answer, knobs.stall, fate.fault)

    def _count(self, fate: Fate) -> None:
        if fate.fault:
            self.stats.faults[fate.fault] += 1
            self.stats.too_early += fate.too_early

    async def _show_stats(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.stats.as_dict())

    async def _forget(self, request: web.Request) -> web.StreamResponse:
        self.stats, self.fates = Stats(), Fates()
        return web.json_response(self.stats.as_dict())


def check_parameters(request: web.Request, endpoint: Endpoint) -> None:
    """BadRequestError when the query names something unknown, or one thing twice."""
    known = {*endpoint.parameters, *LIMITS}
    for name in request.query:
        if name not in known:
            raise BadRequestError(
                f"no parameter '{name}' here; there are {', '.join(sorted(known))}"
            )
        if len(request.query.getall(name)) > 1:
            raise BadRequestError(f"{name} is given more than once")


def resource(request: web.Request) -> str:
    """What is asked for, without the knobs: path and own parameters in a fixed order."""
    own = sorted((name, value) for name, value in request.query.items() if name not in LIMITS)
    return f"{request.path}?{own}"


def problem(status: int, error: str, reason: str, **headers: str) -> Answer:
    """An error as JSON: what kind it is, and the reason in words."""
    return Answer.from_json({"error": error, "reason": reason}, status, headers)


def planned_error(fate: Fate) -> Answer | None:
    """The answer instead of the data, where the fate is one of the errors with a status."""
    if fate.fault == "fail":
        return problem(503, "service unavailable", f"planned failure, attempt {fate.attempt}")
    if fate.fault == "throttle":
        wait = {"Retry-After": str(fate.retry_after)}
        return problem(429, "too many requests", f"come back in {fate.retry_after} s", **wait)
    return None


async def send(
    request: web.Request, answer: Answer, stall: float, fault: str | None
) -> web.StreamResponse:
    """Send the answer piece by piece; half-way it may stall, end early or lose its connection."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    half = answer.length // 2
    response.content_length = half if fault == "garble" else answer.length
    await response.prepare(request)
    sent = 0
    for piece in answer.pieces:
        if sent >= half:
            await asyncio.sleep(stall)
            stall = 0
            if fault == "drop" and request.transport is not None:
                request.transport.close()
            if fault in ("drop", "garble"):
                break
        await response.write(piece)
        sent += len(piece)
    return response


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Unknown paths and methods get a JSON reason too."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        reason = f"{request.method} {request.path} is not offered; see /"
        body = {"error": error.reason.lower(), "reason": reason}
        return web.json_response(body, status=error.status)


@asynccontextmanager
async def running(port: int = 0, seed: int = 2025) -> AsyncIterator[tuple[str, Server]]:
    """Serve until the block ends; yields the base URL and the server.

    OSError when the port is taken. Requests that are still running at the end are cancelled.
    """
    server = Server(seed)
    runner = web.AppRunner(
        server.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}", server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve(port: int = 0, seed: int = 2025) -> AsyncIterator[str]:
    """Serve the demo API on `port` (0: any free one) until the block ends; yields its base URL.

    `seed` changes the data, not the faults: these have a seed of their own in each request.
    """
    async with running(port, seed) as (base_url, _):
        yield base_url
