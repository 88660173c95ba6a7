"""The worker: takes orders from the queue into the database, and goes on when a neighbour dies.

An order is acknowledged after its row is committed. When the broker or the database goes away,
what is unfinished goes back to the queue, the metrics and the log say who is missing, and the
worker tries again a little later each time. An order that comes twice is stored once.
"""

import random
import threading
import time
from contextlib import closing, suppress

import pika
import psycopg2
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError
from pika.spec import Basic
from psycopg2.extensions import connection as Connection  # noqa: N812
from structlog.contextvars import bound_contextvars

from observability import tracing
from observability.logs import log
from observability.metrics import SERVICES, WorkerMetrics
from observability.orders import PUBLISHED, BadOrder, Namespace, Order

STORE = "INSERT INTO orders_taken VALUES (%s, %s, %s) ON CONFLICT (order_id) DO NOTHING"
LOOK_UP, COUNT_EVERY = 0.1, 0.5  # seconds
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds before another try
PREFETCH = 20


class Worker:
    """One worker with its metrics and its tracer; `run` works until `stop` is set."""

    def __init__(
        self, broker_url: str, database_url: str, namespace: Namespace, tracing_to: TracerProvider
    ) -> None:
        self.broker_url, self.database_url, self.namespace = broker_url, database_url, namespace
        self.metrics = WorkerMetrics()
        self.tracer = tracing_to.get_tracer("shop.worker")
        self._counted = 0.0
        self._attempt = 0

    def run(self, stop: threading.Event) -> None:
        """Work; after a loss wait, a little longer each time, and connect again."""
        while not stop.is_set():
            try:
                self.work(stop)
            except psycopg2.Error as error:
                self.mourn("postgres", error)
            except (AMQPError, OSError) as error:
                self.mourn("rabbitmq", error)
            else:
                break
            longest = min(FIRST_WAIT * 2**self._attempt, LONGEST_WAIT)
            self._attempt += 1
            stop.wait(random.uniform(longest / 2, longest))

    def mourn(self, service: str, error: Exception) -> None:
        """Tell that a service is away."""
        self.metrics.lost.labels(service).inc()
        # Rolling back on a dead connection fails as well; what came first is the reason.
        first = error.__context__ if isinstance(error.__context__, psycopg2.Error) else error
        reason = str(first).strip() or repr(first)
        log.error("connection lost", neighbour=service, reason=reason.splitlines()[0])

    def work(self, stop: threading.Event) -> None:
        """Connect to both neighbours and settle orders until `stop` is set."""
        try:
            with closing(self.open_database()) as database:
                self.met("postgres")
                with pika.BlockingConnection(pika.URLParameters(self.broker_url)) as broker:
                    channel = self.open_channel(broker)
                    self.met("rabbitmq")
                    self.consume(channel, database, stop)
        finally:
            for service in SERVICES:
                self.metrics.connected.labels(service).set(0)

    def met(self, service: str) -> None:
        """Tell that a service is there."""
        self.metrics.connected.labels(service).set(1)
        log.info("connected", neighbour=service)

    def open_database(self) -> Connection:
        """A connection that finds the namespace's table."""
        return psycopg2.connect(
            self.database_url, connect_timeout=5, application_name=self.namespace.name,
            options=f"-c search_path={self.namespace.name}",
        )  # fmt: skip

    def open_channel(self, broker: pika.BlockingConnection) -> BlockingChannel:
        """A channel with confirms, and the two queues."""
        channel = broker.channel()
        channel.confirm_delivery()
        channel.basic_qos(prefetch_count=PREFETCH)
        for queue in (self.namespace.queue, self.namespace.dead):
            channel.queue_declare(queue, durable=True)
        return channel

    def consume(
        self, channel: BlockingChannel, database: Connection, stop: threading.Event
    ) -> None:
        """Settle one order after the other, and look how many wait."""
        for method, wire, body in channel.consume(self.namespace.queue, inactivity_timeout=LOOK_UP):
            if method is not None:
                self.process(channel, database, method, wire, body)
                self._attempt = 0
            self.count(channel)
            if stop.is_set():
                return
        raise AMQPError("the broker ended the subscription")

    def count(self, channel: BlockingChannel) -> None:
        """Now and then, ask the broker how many messages wait."""
        if time.monotonic() - self._counted >= COUNT_EVERY:
            self._counted = time.monotonic()
            for queue in (self.namespace.queue, self.namespace.dead):
                waiting = channel.queue_declare(queue, passive=True).method.message_count
                self.metrics.waiting.labels(queue.removeprefix(f"{self.namespace.name}.")).set(
                    waiting
                )

    def process(
        self, channel: BlockingChannel, database: Connection, method: Basic.Deliver,
        wire: pika.BasicProperties, body: bytes,
    ) -> None:  # fmt: skip
        """Store an order or bury it, in the trace that its message brings; then acknowledge."""
        headers, began = wire.headers or {}, time.perf_counter()
        name, sender = f"process {self.namespace.queue}", tracing.received(headers)
        with self.tracer.start_as_current_span(name, sender, SpanKind.CONSUMER) as span:
            try:
                outcome = self.store(database, Order.from_json(body))
            except (BadOrder, psycopg2.DataError) as error:
                outcome = "dead"
                span.set_status(Status(StatusCode.ERROR, str(error)))
                log.warning("order dead", reason=str(error).splitlines()[0])
                again = pika.BasicProperties(headers={**headers, "reason": str(error)},
                                             delivery_mode=2)  # fmt: skip
                channel.basic_publish("", self.namespace.dead, body, again, mandatory=True)
            channel.basic_ack(method.delivery_tag)
        self.tell(outcome, time.perf_counter() - began, headers.get(PUBLISHED))

    def store(self, database: Connection, order: Order) -> str:
        """The row, once: "stored", or "duplicate" when it was there. BadOrder by the rules."""
        with bound_contextvars(order_id=order.order_id):
            order.accept()
            span = self.tracer.start_as_current_span("INSERT orders_taken", kind=SpanKind.CLIENT)
            with span, database, database.cursor() as cursor:
                cursor.execute(STORE, (order.order_id, order.channel, order.total))
                outcome = "stored" if cursor.rowcount else "duplicate"
            log.info(f"order {outcome}")
            return outcome

    def tell(self, outcome: str, seconds: float, published: object) -> None:
        """Count a settled order."""
        now = time.time()
        self.metrics.processed.labels(outcome).inc()
        self.metrics.seconds.observe(seconds)
        self.metrics.last.set(now)
        with suppress(ValueError):  # a message of another sender doesn't say when it was published
            self.metrics.delay.observe(max(now - float(str(published)), 0.0))
