"""The pipeline for a lesson or a test: intake and worker as processes, orders, and their rows."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pika
import psycopg2

from course import connect
from observability import scrape, tracing
from observability.orders import Namespace
from observability.processes import Service, running, until
from observability.scrape import Series

RUN_ID = "run-04"


@dataclass
class Shop:
    """A running pipeline; `folder` has the logs and the spans of its services."""

    namespace: Namespace
    folder: Path
    intake: Service
    worker: Service
    database_url: str

    def order(self, order_id: int, total: str = "12.50", channel: str = "web") -> int:
        """Send an order; the HTTP status."""
        return self.post({"order_id": order_id, "channel": channel, "total": total})

    def post(self, body: Any) -> int:
        """Send a body as JSON, in the current trace; the HTTP status."""
        request = Request(f"{self.intake.url}/orders", json.dumps(body).encode(), tracing.headers())
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status
        except HTTPError as error:
            with error:
                return error.code

    def scrape(self) -> dict[Series, float]:
        """Both services' pages, as Prometheus would have them."""
        pages = [scrape.page(service.url) for service in (self.intake, self.worker)]
        return {key: value for text in pages for key, value in scrape.parse(text).items()}

    def settled(self) -> float:
        """Orders that the worker has settled since it began."""
        page = scrape.parse(scrape.page(self.worker.url))
        return sum(v for (name, _), v in page.items() if name == "shop_orders_processed_total")

    def settle(self, count: int) -> None:
        """Wait until the worker has settled so many; TimeoutError."""
        until(lambda: self.settled() >= count)

    def rows(self) -> list[int]:
        """The numbers of the orders in the database."""
        with closing(psycopg2.connect(self.database_url)) as database, database.cursor() as cursor:
            cursor.execute(f"SELECT order_id FROM {self.namespace.name}.orders_taken ORDER BY 1")
            return [number for (number,) in cursor.fetchall()]

    def log(self, service: Service) -> list[dict[str, Any]]:
        """What a service has logged, line by line; ValueError when a line is no JSON."""
        text = service.log.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def spans(self, *more: Path) -> list[tracing.Span]:
        """The finished spans of both services, and those in other files."""
        return tracing.read(self.intake.spans, self.worker.spans, *more)


def remove_queues(namespace: Namespace, broker_url: str) -> None:
    """Delete both queues with what is in them."""
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as broker:
        for queue in (namespace.queue, namespace.dead):
            broker.channel().queue_delete(queue)


@contextmanager
def open_shop(name: str, environment: dict[str, str] | None = None) -> Iterator[Shop]:
    """The pipeline while the block runs, its queues empty at the start and gone at the end.

    The schema `name` with `orders.TABLES` must be there, see `course.workspace.own_schema`.
    `environment` may name other servers than the course's.
    """
    given = environment or {}
    broker_url = given.get("RABBITMQ_URL") or connect.url("rabbitmq")
    database_url = given.get("DATABASE_URL") or connect.url("postgres")
    namespace = Namespace(name)
    options = ("--namespace", name, "--run-id", RUN_ID)
    remove_queues(namespace, broker_url)
    with tempfile.TemporaryDirectory() as folder:
        both = [Service(each, Path(folder), options, given) for each in ("intake", "worker")]
        try:
            with running(*both):
                shop = Shop(namespace, Path(folder), *both, database_url)
                until(lambda: scrape.get(shop.scrape(), "shop_worker_connected",
                                         service="rabbitmq") == 1)  # fmt: skip
                yield shop
        finally:
            remove_queues(namespace, broker_url)
