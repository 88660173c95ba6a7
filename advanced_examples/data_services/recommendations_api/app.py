"""The routes: what the service offers over HTTP, and how errors become answers.

    GET /api/users/{user_id}/personalized-recommendations     the point of it all
    GET /api/users/{user_id}                                  who the user is
    GET /health   GET /ready   GET /metrics   GET /openapi.json
    GET /                                                     the page for people

`create_app` builds an app from settings. What it works with is made when it starts (`parts`) and
travels with each request, so nothing is global and two apps do not disturb each other.
"""

import gc
import json
import math
import reprlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import APIKeyHeader
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from recommendations_api.answers import (
    LARGEST_ID,
    Answer,
    Health,
    Problem,
    Readiness,
    UserCard,
    problems,
)
from recommendations_api.metrics import Measured, Metrics
from recommendations_api.parts import Parts, parts
from recommendations_api.service import NoSuchUser, StoreDown
from recommendations_api.settings import Settings

VERSION = "1.0.0"
PAGE = FilePath(__file__).parent / "page"
PLAIN_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}
COME_BACK = "5"  # seconds, for Retry-After while a database is down
TITLES = {
    401: "unauthorized",
    404: "not found",
    405: "method not allowed",
    429: "too many requests",
}
# The page may load from this service only: no other script can run in it.
PAGE_RULES = {"Content-Security-Policy": "default-src 'self'; img-src data:; base-uri 'none'"}
PAGE_RULES |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

UserId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="number of the user", examples=[123])]


async def parts_of(request: Request) -> Parts:
    """What the service is made of, for anybody."""
    return request.state.parts


class WithKey(APIKeyHeader):
    """The same for who has a key: 401 for an unknown one, 429 for one that asks too often.

    One dependency for all of it, where two or three would read nicer: each costs 20 µs, nearly a
    tenth of what a cached answer takes.
    """

    async def __call__(self, request: Request) -> Parts:
        the = await parts_of(request)
        holder = the.keys.holder(request.headers.get(self.model.name))
        if holder is None:
            raise self.make_not_authenticated_error()
        wait = the.limit.wait(holder)
        if wait:
            reason = f"the key of {holder} may ask {the.settings.rate} times a minute"
            later = {"Retry-After": str(math.ceil(wait))}
            raise HTTPException(429, f"{reason}; come back in {math.ceil(wait)} s", later)
        return the

    def make_not_authenticated_error(self) -> HTTPException:
        """401, with what to do."""
        reason = f"send a known key in the header {self.model.name}"
        return HTTPException(401, reason, {"WWW-Authenticate": "ApiKey"})


ForAnybody = Annotated[Parts, Depends(parts_of)]
ForCaller = Annotated[Parts, Depends(WithKey(name="X-API-Key", description="your API key"))]
ASKED = problems(
    _401="no key, or an unknown one", _404="no such user", _422="not a user number",
    _429="too many requests with this key", _503="a database does not answer",
)  # fmt: skip


def create_app(settings: Settings) -> FastAPI:
    """The app; nothing is connected before it starts."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with parts(settings, metrics) as made:
            # What is loaded by now stays. Frozen, the garbage collector never looks at it again:
            # its long looks are what makes the slowest answers slow.
            gc.collect()
            gc.freeze()
            yield {"parts": made}

    app = FastAPI(
        title="Recommendations", version=VERSION, lifespan=lifespan,
        description="Personalised recommendations for the users of the course's shop.",
        docs_url=None, redoc_url=None,  # these pages load scripts from the internet
    )  # fmt: skip
    app.add_middleware(Measured, metrics=metrics)
    add_error_answers(app)
    add_user_routes(app)
    add_service_routes(app)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def add_user_routes(app: FastAPI) -> None:
    """The routes about users, which need a key."""

    @app.get(
        "/api/users/{user_id}/personalized-recommendations",
        response_model=Answer, responses=ASKED, tags=["users"],
    )  # fmt: skip
    async def personalized_recommendations(user_id: UserId, the: ForCaller) -> Response:
        """Segment, churn risk, lifetime value, offer and recommendations for a user.

        From Redis where it is there, else from PostgreSQL, MongoDB and the engine, and then kept
        for an hour. `Server-Timing` says what each store took.
        """
        served = await the.recommender.for_user(user_id)
        the.metrics.answers.labels(served.tier).inc()
        complaint = the.events.note(user_id, served.tier)
        degraded = [*served.degraded, complaint] if complaint else served.degraded
        # The cached part is JSON already: add two fields to it instead of parsing it.
        made = f'"served_from":"{served.tier}","degraded":{json.dumps(degraded)}'
        return Response(
            f"{served.personal[:-1]},{made}}}", media_type="application/json",
            headers={"Server-Timing": server_timing(served.milliseconds)},
        )  # fmt: skip

    @app.get("/api/users/{user_id}", responses=ASKED, tags=["users"])
    async def user(user_id: UserId, the: ForCaller) -> UserCard:
        """Who a user is, from PostgreSQL."""
        found = await the.recommender.user(user_id)
        city = found.address.city
        return UserCard(
            user_id=found.user_id, name=found.name, city=city.name, country=city.country.name,
            registered_on=found.registered_on,
        )  # fmt: skip


def add_service_routes(app: FastAPI) -> None:
    """The routes about the service itself, and the page; they need no key."""

    @app.get("/health", tags=["service"])
    async def health() -> Health:
        """The process runs. A failing answer means: restart it. It asks no neighbour, since
        restarting this process would not mend a dead database."""
        return Health(version=VERSION)

    @app.get("/ready", tags=["service"], responses={503: {"model": Readiness}})
    async def ready(the: ForAnybody, response: Response) -> Readiness:
        """Whether to send requests here, and what each neighbour says. 503: not now."""
        services = await the.ask_neighbours()
        readiness = Readiness(ready=the.can_answer(services), services=services)
        if not readiness.ready:
            response.status_code = 503
            response.headers["Retry-After"] = COME_BACK
        return readiness

    @app.get("/metrics", tags=["service"], response_class=Response, responses={200: PLAIN_TEXT})
    async def metrics(the: ForAnybody) -> Response:
        """Counters and timings for Prometheus."""
        return Response(the.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        """The page for people."""
        return FileResponse(PAGE / "index.html", headers=PAGE_RULES)


def server_timing(milliseconds: dict[str, float]) -> str:
    """The header that browsers' tools draw as bars (W3C Server Timing)."""
    return ", ".join(f"{store};dur={value:.3f}" for store, value in milliseconds.items())


def problem(status: int, error: str, reason: str, **headers: str) -> JSONResponse:
    """An error as JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(Problem(error=error, reason=reason).model_dump(), status, named)


def add_error_answers(app: FastAPI) -> None:
    """Every error becomes a Problem with a reason in plain words."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        RequestValidationError: invalid_request,
        StarletteHTTPException: refused,
        NoSuchUser: no_such_user,
        StoreDown: store_down,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def invalid_request(_: Request, error: RequestValidationError) -> Response:
    """422: what was sent, and what is wrong with it."""
    # reprlib shortens what was sent, however long it is.
    found = [f"{e['loc'][-1]} {reprlib.repr(e['input'])}: {e['msg']}" for e in error.errors()]
    return problem(422, "invalid request", "; ".join(found))


async def refused(request: Request, error: StarletteHTTPException) -> Response:
    """What the framework or `caller` refused."""
    reason = str(error.detail)
    if error.status_code == 404:
        reason = f"there is nothing at {request.url.path}; see /openapi.json"
    title = TITLES.get(error.status_code, "refused")
    answer = problem(error.status_code, title, reason)
    answer.headers.update(error.headers or {})
    return answer


async def no_such_user(_: Request, error: NoSuchUser) -> Response:
    """404: nobody has this number."""
    return problem(404, "not found", str(error))


async def store_down(_: Request, error: StoreDown) -> Response:
    """503: without this store an answer would be wrong, so there is none."""
    reason = f"{error} does not answer, and without it an answer would be wrong; try again soon"
    return problem(503, "service unavailable", reason, Retry_After=COME_BACK)
