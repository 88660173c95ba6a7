"""The routes: what the service offers over HTTP, and how errors become answers.

    POST /predict   POST /predict-batch   POST /explain        with a key in the header X-API-Key
    GET  /model-info
    GET  /health   GET /ready   GET /metrics   GET /openapi.json
    GET  /                                                     the page for people

`create_app` builds an app from settings. What it works with is made when it starts and travels
with each request, so nothing is global and two apps do not disturb each other.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.security import APIKeyHeader
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from src.bundle import Bundle
from src.service.access import Keys, RateLimit
from src.service.contract import (
    Explanation,
    Flight,
    Flights,
    Health,
    ModelInfo,
    Part,
    Prediction,
    Predictions,
    Problem,
    Readiness,
    complaint,
    impossible,
)
from src.service.guard import Guard, as_json, problem
from src.service.journal import Journal
from src.service.metrics import Metrics
from src.service.model import Models
from src.service.outcome import Outcome
from src.service.predictor import NoModelError, Predictor
from src.service.reasons import reasons
from src.service.settings import Settings
from src.service.store import Store

VERSION = "1.0.0"
PAGE = Path(__file__).parent / "page"
COME_BACK = "5"  # seconds, for Retry-After while there is no model
TITLES = {400: "bad request", 401: "unauthorized", 404: "not found", 405: "method not allowed"}
TITLES |= {429: "too many requests"}
# The page may load from this service only: no other script can run in it.
PAGE_RULES = {"Content-Security-Policy": "default-src 'self'; img-src data:; base-uri 'none'"}
PAGE_RULES |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True)
class Parts:
    """What the service is made of."""

    keys: Keys
    limit: RateLimit
    models: Models
    store: Store
    predictor: Predictor
    metrics: Metrics


async def parts_of(request: Request) -> Parts:
    """What the service is made of, for anybody."""
    return request.state.parts


class WithKey(APIKeyHeader):
    """The same for who has a key: 401 for an unknown one, 429 for one that asks too often."""

    async def __call__(self, request: Request) -> Parts:
        the = await parts_of(request)
        holder = the.keys.holder(request.headers.get(self.model.name))
        if holder is None:
            the.metrics.refused.labels("key").inc()
            raise self.make_not_authenticated_error()
        wait = the.limit.wait(holder)
        if wait:
            the.metrics.refused.labels("rate").inc()
            later = str(math.ceil(wait))
            reason = f"this key has made its requests of the minute; come back in {later} s"
            raise HTTPException(429, reason, {"Retry-After": later})
        return the

    def make_not_authenticated_error(self) -> HTTPException:
        """401, with what to do."""
        reason = f"send a known key in the header {self.model.name}"
        return HTTPException(401, reason, {"WWW-Authenticate": "ApiKey"})


ForAnybody = Annotated[Parts, Depends(parts_of)]
ForCaller = Annotated[Parts, Depends(WithKey(name="X-API-Key", description="your API key"))]
SAYS = {
    400: "not JSON, or a flight that can't be: unknown airport, airline or aircraft type",
    401: "no key, or an unknown one",
    422: "a field is missing or has another form; the reason names it and what to send",
    429: "too many requests with this key; Retry-After tells when to come back",
    500: "an error on our side, with a number under which it stands in the log",
    503: "no model is loaded",
    504: "no answer in time",
}
ASKED: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": says} for status, says in SAYS.items()
}


def create_app(settings: Settings) -> FastAPI:
    """The app; nothing is loaded or connected before it starts."""
    metrics = Metrics(VERSION, settings.build, settings.cost_per_hour)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        store = Store(settings.redis, settings.key_prefix, settings.redis_seconds, metrics)
        models = Models(settings.models, metrics)
        journal = Journal(store.redis, store.prefix, metrics)
        await models.look()
        await store.alive()
        in_background = models.watch(settings.look_seconds), journal.keep_writing()
        tasks = {asyncio.create_task(work) for work in in_background}
        yield {"parts": Parts(
            Keys(settings.api_keys), RateLimit(settings.requests_per_minute), models, store,
            Predictor(models, store, metrics, journal), metrics,
        )}  # fmt: skip
        # Again and again: a cancellation that meets a write just failing in Redis' client is lost.
        while tasks:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=0.5)
        await journal.write()  # the last answers' notes
        await store.close()

    app = FastAPI(
        title="Flight delays", version=VERSION, lifespan=lifespan,
        description="How late will this flight arrive, how sure is that, and why.",
        docs_url=None, redoc_url=None,  # these pages load scripts from the internet
    )  # fmt: skip
    app.add_middleware(Guard, metrics=metrics, timeout_seconds=settings.timeout_seconds)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_exception_handler(StarletteHTTPException, refused)
    app.add_exception_handler(NoModelError, no_model)
    add_flight_routes(app)
    add_service_routes(app)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def add_flight_routes(app: FastAPI) -> None:
    """The routes about flights, which need a key."""

    @app.post("/predict", response_model=Prediction, responses=ASKED, tags=["flights"])
    async def predict(flight: Flight, the: ForCaller) -> Response:
        """How late a flight will arrive."""
        began = time.perf_counter()
        refuse_impossible(flight)
        outcome = await the.predictor.one(flight)
        return json_response(answer(outcome) | {"inference_time_ms": since(began)})

    @app.post("/predict-batch", response_model=Predictions, responses=ASKED, tags=["flights"])
    async def predict_batch(asked: Flights, the: ForCaller) -> Response:
        """How late up to 1,000 flights will arrive; one request for the limit."""
        began = time.perf_counter()
        for place, flight in enumerate(asked.flights):
            refuse_impossible(flight, f"flights.{place}.")
        outcomes = await the.predictor.many(asked.flights)
        took = since(began)
        answers = [answer(outcome) | {"inference_time_ms": took} for outcome in outcomes]
        version = outcomes[0].version
        return json_response(
            {"predictions": answers, "model_version": version, "inference_time_ms": took}
        )

    @app.post("/explain", responses=ASKED, tags=["flights"])
    async def explain(flight: Flight, the: ForCaller) -> Explanation:
        """What moved the prediction, in minutes by subject."""
        refuse_impossible(flight)
        outcome, contributions = await the.predictor.why(flight)
        usual, parts = reasons(contributions, outcome.delay)
        return Explanation(
            delay_minutes=round(outcome.delay, 2), usual_minutes=round(usual, 2),
            parts=[Part(group=group, minutes=round(minutes, 2)) for group, minutes in parts],
            model_version=outcome.version, degraded=list(outcome.degraded),
        )  # fmt: skip

    @app.get("/model-info", responses=ASKED, tags=["flights"])
    async def model_info(the: ForCaller) -> ModelInfo:
        """Which model answers, since when, on what, and how good it was."""
        bundle: Bundle = the.predictor.champion()
        return ModelInfo(
            version=bundle.version, training_date=str(bundle.training_date),
            inputs=list(bundle.inputs), weights=dict(bundle.weights), metrics=dict(bundle.metrics),
        )  # fmt: skip


def add_service_routes(app: FastAPI) -> None:
    """The routes about the service itself, and the page; they need no key."""

    @app.get("/health", tags=["service"])
    async def health() -> Health:
        """The process runs. A failing answer means: restart it. It asks no neighbour, since
        restarting this process would not mend a dead Redis."""
        return Health(version=VERSION)

    @app.get("/ready", tags=["service"], responses={503: {"model": Readiness}})
    async def ready(the: ForAnybody, response: Response) -> Readiness:
        """Whether to send requests here: 503 without a model. Without the feature store there
        are still answers, from usual values, and they say so."""
        loaded = the.models.current is not None
        store = "up" if await the.store.alive() else "away"
        if not loaded:
            response.status_code = 503
            response.headers["Retry-After"] = COME_BACK
        return Readiness(ready=loaded, model_loaded=loaded, feature_store=store)

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def metrics(the: ForAnybody) -> Response:
        """Counters and timings for Prometheus."""
        return Response(the.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        """The page for people."""
        return FileResponse(PAGE / "index.html", headers=PAGE_RULES)


def refuse_impossible(flight: Flight, place: str = "") -> None:
    """400 for a flight that no model can know."""
    why = impossible(flight)
    if why is not None:
        raise HTTPException(400, place + why)


def answer(outcome: Outcome) -> dict[str, Any]:
    """An outcome as the fields of a Prediction, but for the time."""
    return {
        "delay_minutes": round(outcome.delay, 2),
        "confidence": round(outcome.confidence, 4),
        "low_minutes": round(outcome.low, 2),
        "high_minutes": round(outcome.high, 2),
        "model_version": outcome.version,
        "features_used": outcome.features_used,
        "degraded": outcome.degraded,
    }


def since(began: float) -> float:
    """Milliseconds since `began`."""
    return round((time.perf_counter() - began) * 1000, 3)


def json_response(body: dict[str, Any]) -> Response:
    """An answer that was made here and needs no second look: validation would cost as much."""
    return Response(as_json(body), media_type="application/json")


async def invalid_request(_: Request, error: Exception) -> Response:
    """400 for what isn't JSON, 422 for fields: what was sent, and what to send instead."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if errors and errors[0]["type"] == "json_invalid":
        why = errors[0].get("ctx", {}).get("error", "")
        return problem(400, TITLES[400], f"the body is not JSON ({why}): send a JSON object")
    return problem(422, "invalid request", complaint(errors))


async def refused(request: Request, error: Exception) -> Response:
    """What the framework or a route refused."""
    assert isinstance(error, StarletteHTTPException)
    reason = str(error.detail)
    if error.status_code == 404:
        reason = f"there is nothing at {request.url.path}; see /openapi.json"
    made = problem(error.status_code, TITLES.get(error.status_code, "refused"), reason)
    made.headers.update(error.headers or {})
    return made


async def no_model(_: Request, __: Exception) -> Response:
    """503: nothing to answer with."""
    reason = "no model is loaded yet; try again soon, and see /ready"
    return problem(503, "service unavailable", reason, Retry_After=COME_BACK)
