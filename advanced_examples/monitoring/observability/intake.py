"""The front door: takes orders over HTTP, puts them on the queue, and can be observed.

POST /orders    202 the broker has it on disk · 400 no order · 503 the broker is away
GET  /metrics   for Prometheus
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError
from aiohttp import web
from aiormq.exceptions import ChannelInvalidStateError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from structlog.contextvars import bound_contextvars

from observability import tracing
from observability.logs import log
from observability.metrics import HOST, IntakeMetrics
from observability.orders import PUBLISHED, BadOrder, Namespace, Order

PATIENCE = 2.0  # seconds that a client waits for a broker that doesn't answer
NO_BROKER = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Intake:
    """The service: one connection to the broker, opened when it is needed and not there."""

    def __init__(self, broker_url: str, namespace: Namespace, tracing_to: TracerProvider) -> None:
        self.broker_url, self.namespace = broker_url, namespace
        self.metrics = IntakeMetrics()
        self.tracer = tracing_to.get_tracer("shop.intake")
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()

    def application(self) -> web.Application:
        """The routes; the middleware counts those of the business, not the scrapes."""
        application = web.Application(middlewares=[self.measured])
        application.router.add_post("/orders", self.take)
        application.router.add_get("/metrics", self.show_metrics)
        return application

    @web.middleware
    async def measured(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count and time requests under their route's pattern: a path may hold anything."""
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "(none)"
        if route == "/metrics":
            return await handler(request)
        began, status = time.perf_counter(), 500
        try:
            with self.metrics.in_progress.track_inprogress():
                response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - began)

    async def show_metrics(self, _: web.Request) -> web.Response:
        """The page that Prometheus scrapes."""
        body = generate_latest(self.metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def take(self, request: web.Request) -> web.Response:
        """Take an order: check its form, publish it, answer."""
        caller = tracing.received(request.headers)
        span = self.tracer.start_as_current_span("POST /orders", caller, SpanKind.SERVER)
        with span as current:
            try:
                order = Order.from_json(await request.read())
            except BadOrder as error:
                log.warning("order refused", reason=str(error))
                return web.json_response({"error": str(error)}, status=400)
            with bound_contextvars(order_id=order.order_id):
                current.set_attribute("shop.order_id", order.order_id)
                try:
                    await self.publish(order)
                except NO_BROKER as error:
                    log.error("order not taken", neighbour="rabbitmq", reason=repr(error))
                    current.set_status(Status(StatusCode.ERROR, "no broker"))
                    return web.json_response({"error": "try again later"}, status=503)
                log.info("order taken")
                return web.json_response({"order_id": order.order_id}, status=202)

    async def publish(self, order: Order) -> None:
        """Put the order on the queue, with the trace in its headers; returns once it is on disk."""
        name = f"send {self.namespace.queue}"
        with self.tracer.start_as_current_span(name, kind=SpanKind.PRODUCER):
            headers = {**tracing.headers(), PUBLISHED: str(time.time())}
            wire = aio_pika.Message(
                order.to_json(), content_type="application/json", delivery_mode=2, headers=headers
            )
            try:
                async with asyncio.timeout(PATIENCE):
                    channel = await self.channel()
                    await channel.default_exchange.publish(wire, self.namespace.queue)
            except NO_BROKER:
                await self.close()
                raise

    async def channel(self) -> AbstractChannel:
        """The open channel, or a new one; it confirms and returns what no queue wants."""
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                await self.close()
                self._connection = await aio_pika.connect(self.broker_url)
                channel = await self._connection.channel(on_return_raises=True)
                await channel.declare_queue(self.namespace.queue, durable=True)
                self._channel = channel
            return self._channel

    async def close(self) -> None:
        """Let go of the connection; the next order opens a new one."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(*NO_BROKER):  # it may be gone already
                await asyncio.wait_for(connection.close(), PATIENCE)


async def serve(
    intake: Intake, port: int, ready: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve until `stop` is set; `ready` gets the base URL. OSError when the port is taken."""
    runner = web.AppRunner(intake.application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        ready(f"http://{HOST}:{runner.addresses[0][1]}")
        await stop.wait()
    finally:
        await runner.cleanup()
        await intake.close()
