"""What the patterns cost: one registration with more and more around it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count

from psycopg2.extensions import connection as Connection  # noqa: N812

from course import connect
from course.measure import seconds
from customer_service.classroom.anatomy import calls
from customer_service.domain import CustomerRegistered
from customer_service.engines.memory import InMemoryRepository
from customer_service.engines.postgres import PostgresCustomerRepository
from customer_service.engines.sql import INSERT
from customer_service.events import EventBus
from customer_service.ports import ICustomerStore
from customer_service.service import CustomerService
from customer_service.unit_of_work import UnitOfWork

Register = Callable[[], object]
BY_HAND = "PostgreSQL: INSERT by hand"
IN_MEMORY = "memory: service, events, unit of work"


def ways(connection: Connection) -> Iterator[tuple[str, Register]]:
    """Ways to register somebody new, by name; `connection` finds an empty table of customers."""
    numbers = count()

    def by_hand() -> None:
        number = next(numbers)
        values = ("Anna Berg", f"hand{number}@example.com", 0, False, f"hand {number}", 1)
        with connection.cursor() as cursor:
            cursor.execute(INSERT.replace("?", "%s"), values)

    def with_service(store: ICustomerStore) -> Register:
        service = CustomerService(store)
        return lambda: service.register_customer("Anna Berg", f"a{next(numbers)}@example.com")

    def with_all(store: ICustomerStore) -> Register:
        bus = EventBus({CustomerRegistered: [lambda event: None]})
        work = UnitOfWork(store, bus.publish)
        service = CustomerService(store, work.record)

        def register() -> None:
            with work:
                service.register_customer("Anna Berg", f"b{next(numbers)}@example.com")

        return register

    on_postgres = PostgresCustomerRepository(connection)
    yield "memory: service", with_service(InMemoryRepository())
    yield IN_MEMORY, with_all(InMemoryRepository())
    yield BY_HAND, by_hand
    yield "PostgreSQL: service", with_service(on_postgres)
    yield "PostgreSQL: service, events, unit of work", with_all(on_postgres)


def of_registering(schema: str, times: int, rounds: int = 5) -> dict[str, tuple[int, float]]:
    """By way: (functions of ours that one registration enters, its microseconds).

    The table of customers stands in `schema`. The ways take turns, and of each the best round
    counts, so that other programs disturb little.
    """
    with closing(connect.postgres(options=f"-c search_path={schema}")) as connection:
        everything = dict(ways(connection))
        best = dict.fromkeys(everything, float("inf"))
        for _ in range(rounds):
            for name, register in everything.items():
                best[name] = min(best[name], seconds(register, times) / times * 1e6)
        return {name: (calls(register), best[name]) for name, register in everything.items()}
