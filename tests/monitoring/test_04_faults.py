"""A neighbour or a service is gone: the signals say so, the pipeline goes on, nothing is lost."""

import random
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import psycopg2
import pytest
from observability import scrape
from observability.orders import TABLES
from observability.processes import Service, until
from observability.shop import Shop, open_shop
from recommendations_api.cable import Cable

from course.settings import URL_NAMES
from tests.monitoring.conftest import shop_of_a_test
from tests.stack.private import PrivateStack

pytestmark = pytest.mark.faults
ORDERS = 20


@dataclass
class Client:
    """Sends orders with new numbers, again and again until each is accepted."""

    shop: Shop
    next: int = 1

    def send(self, count: int, patient: bool = True) -> list[int]:
        """Send so many new orders; the statuses, 0 where nobody answered."""
        statuses = []
        for number in range(self.next, self.next + count):
            status = self.try_once(number)
            statuses.append(status)
            if patient and status != 202:
                until(lambda number=number: self.try_once(number) == 202)
        self.next += count
        return statuses

    def try_once(self, number: int) -> int:
        """The status of one attempt; 0 when nobody answered."""
        try:
            return self.shop.order(number)
        except (URLError, ConnectionError):
            return 0

    def all_rows(self) -> bool:
        """Whether every accepted order is in the database."""
        return self.shop.rows() == list(range(1, self.next))


def connected(shop: Shop, service: str) -> float:
    """What the worker's gauge says."""
    return scrape.get(shop.scrape(), "shop_worker_connected", service=service)


def lost(shop: Shop, service: str) -> float:
    """What the worker's counter says."""
    return scrape.get(shop.scrape(), "shop_worker_connections_lost_total", service=service)


def lines(shop: Shop, event: str, service: Service) -> list[dict]:
    return [line for line in shop.log(service) if line["event"] == event]


@pytest.fixture(scope="module")
def cut_off(service: Callable[[str], str]) -> Iterator[tuple[Client, Cable]]:
    """A pipeline that has its broker through a cable."""
    service("postgres")
    with (
        Cable(service("rabbitmq")) as cable,
        shop_of_a_test({"RABBITMQ_URL": cable.url}) as shop,
    ):
        yield Client(shop), cable


def test_without_its_broker_the_pipeline_says_so_and_comes_back(
    cut_off: tuple[Client, Cable], rng: random.Random
) -> None:
    client, cable = cut_off
    shop, before = client.shop, client.shop.scrape()
    client.send(rng.randrange(ORDERS))
    cable.pull()
    refused = client.send(2, patient=False)
    until(lambda: connected(shop, "rabbitmq") == 0)
    cable.plug_in()
    client.next -= 2
    client.send(rng.randrange(2, ORDERS))
    until(client.all_rows)
    until(lambda: connected(shop, "rabbitmq") == 1)

    assert refused == [503, 503]
    moved = scrape.changes(before, shop.scrape())
    counted = scrape.get(moved, "shop_intake_requests_total", route="/orders", status="503")
    assert counted >= 2
    told = {"neighbour": "rabbitmq", "level": "error"}.items()
    assert told <= lines(shop, "connection lost", shop.worker)[-1].items()
    assert told <= lines(shop, "order not taken", shop.intake)[-1].items()


@pytest.mark.parametrize("name", ["worker", "intake"])
def test_a_service_that_is_killed_loses_nothing(
    cut_off: tuple[Client, Cable], rng: random.Random, name: str
) -> None:
    client, _ = cut_off
    shop = client.shop
    victim: Service = getattr(shop, name)
    client.send(rng.randrange(1, ORDERS))
    victim.kill()
    with pytest.raises(OSError, match="refused"):
        scrape.page(victim.url)
    if name == "worker":
        client.send(rng.randrange(1, ORDERS))
        victim.start()
    else:
        victim.start()
        client.send(rng.randrange(1, ORDERS))
    until(client.all_rows)
    assert scrape.page(victim.url)


@contextmanager
def on_its_own_servers(stack: PrivateStack, *services: str) -> Iterator[Client]:
    """A pipeline that has these services from a stack which may be killed; the stack is closed."""
    try:
        found = stack.find(*services)
        for name, endpoint in found.items():
            if "url" not in endpoint:
                pytest.skip(f"no {name} of its own: {endpoint['text']}")
        given = {URL_NAMES[name]: endpoint["url"] for name, endpoint in found.items()}
        name = f"test_{uuid.uuid4().hex[:8]}"
        with (
            closing(psycopg2.connect(found["postgres"]["url"])) as database,
            database,
            database.cursor() as cursor,
        ):
            cursor.execute(f"CREATE SCHEMA {name}; SET search_path = {name}; {TABLES}")
        with open_shop(name, given) as shop:
            yield Client(shop)
    finally:
        stack.close()


@pytest.fixture(scope="module")
def private(service: Callable[[str], str]) -> Iterator[tuple[Client, PrivateStack]]:
    """A pipeline on a PostgreSQL of its own."""
    service("rabbitmq")
    stack = PrivateStack()
    with on_its_own_servers(stack, "postgres") as client:
        yield client, stack


@pytest.fixture(scope="module")
def own_broker() -> Iterator[tuple[Client, PrivateStack]]:
    """A pipeline on a PostgreSQL and a RabbitMQ of its own."""
    # RabbitMQ 3.10 has trouble with a folder whose path has letters beyond Latin-1.
    stack = PrivateStack(Path(tempfile.mkdtemp(prefix="stack of orders ")).resolve() / "course")
    with on_its_own_servers(stack, "postgres", "rabbitmq") as client:
        yield client, stack


def test_a_killed_postgres_is_told_and_every_order_is_stored_once(
    private: tuple[Client, PrivateStack], rng: random.Random
) -> None:
    client, stack = private
    shop, before = client.shop, lost(client.shop, "postgres")
    client.send(rng.randrange(ORDERS))
    stack.kill("postgres")
    accepted = client.send(rng.randrange(1, ORDERS))
    until(lambda: connected(shop, "postgres") == 0 and lost(shop, "postgres") > before)
    stack.find("postgres")
    until(client.all_rows)
    until(lambda: connected(shop, "postgres") == 1)
    assert set(accepted) == {202}, "the intake needs no database"
    assert lines(shop, "connection lost", shop.worker)[-1]["neighbour"] == "postgres"


@pytest.mark.long
def test_a_killed_broker_is_told_and_every_order_it_took_is_stored_once(
    own_broker: tuple[Client, PrivateStack], rng: random.Random
) -> None:
    """Only with --full: a broker takes its time to begin again."""
    client, stack = own_broker
    shop, before = client.shop, lost(client.shop, "rabbitmq")
    client.send(rng.randrange(1, ORDERS))
    stack.kill("rabbitmq")
    refused = client.send(2, patient=False)
    until(lambda: connected(shop, "rabbitmq") == 0 and lost(shop, "rabbitmq") > before)
    stack.find("rabbitmq")
    client.next -= 2
    client.send(rng.randrange(2, ORDERS))
    until(client.all_rows)
    until(lambda: connected(shop, "rabbitmq") == 1)
    assert refused == [503, 503]
    assert lines(shop, "connection lost", shop.worker)[-1]["neighbour"] == "rabbitmq"
