"""Stage props: a morning in the shop, and two repositories that are not as good as they look."""

from contextlib import closing

from pymongo.errors import OperationFailure

from course import connect
from customer_service.classroom.corners import empty_corner, start
from customer_service.domain import Customer, CustomerError, Email
from customer_service.engines.memory import InMemoryRepository
from customer_service.factory import RepositoryFactory, Settings
from customer_service.ports import ICustomerRepository, StoreUnavailable
from customer_service.service import CustomerService

DIES_IN_THE_MIDDLE = """
import os
from customer_service import Customer, RepositoryFactory, UnitOfWork
with UnitOfWork(RepositoryFactory.create_customer_repository()) as work:
    work.customers.add(Customer(name="Half Done", email="half@example.com"))
    os._exit(9)
"""


def morning(service: CustomerService) -> list[tuple[str, str]]:
    """The same morning in any shop: what each use case answered, and who has what at noon."""
    anna = service.register_customer("Anna Berg", "anna@example.com").customer_id
    ivan = service.register_customer("Ivan Koval", "ivan@example.com").customer_id
    said = []
    for use_case, values in (
        (service.register_customer, ("Anna Berg", " ANNA@example.com")),
        (service.register_customer, ("Olha", "olha.example.com")),
        (service.change_email, (ivan, "anna@example.com")),
        (service.award_points, (ivan, 100)),
        (service.close_account, (ivan,)),
        (service.merge_customers, (anna, ivan)),
        (service.change_email, (ivan, "new@example.com")),
        (service.find, ("nobody@example.com",)),
    ):
        try:
            use_case(*values)
            said.append((use_case.__name__, "done"))
        except CustomerError as error:
            said.append((use_case.__name__, str(error)))
    at_noon = service.repository.get_all()
    return [*said, *((one.name, f"{one.points} points") for one in at_noon)]


class CarelessRepository(InMemoryRepository):
    """Has every method, and lets the last one who comes have the address."""

    def add(self, customer: Customer) -> None:
        taken = self.find_by_email(Email(customer.email))
        if taken:
            self.update(taken.changed(name=customer.name))
        else:
            super().add(customer)


class FailingRepository(InMemoryRepository):
    """Loses its connection at the second update."""

    updates = 0

    def update(self, customer: Customer) -> Customer:
        self.updates += 1
        if self.updates == 2:
            raise StoreUnavailable("the line is dead")
        return super().update(customer)


def two_accounts(repository: ICustomerRepository, points: int) -> tuple[str, str]:
    """Add one account without points and one with `points`; their identities."""
    poor = Customer(name="Anna Berg", email="anna@example.com")
    rich = Customer(name="Ivan Koval", email="ivan@example.com", points=points)
    repository.add(poor)
    repository.add(rich)
    return poor.customer_id, rich.customer_id


def kept_promises(settings: Settings) -> tuple[bool, bool, bool]:
    """Is a unit of work undone after an error, unseen before its end, gone after a crash?"""
    open_store = RepositoryFactory.create_customer_repository
    with closing(open_store(settings)) as store, closing(open_store(settings)) as other:
        store.begin()
        store.add(Customer(name="Anna Berg", email="anna@example.com"))
        unseen = not other.get_all()
        store.rollback()
        undone = not other.get_all()
    with start(settings, "-c", DIES_IN_THE_MIDDLE) as process:
        process.communicate(timeout=60)
    with closing(open_store(settings)) as store:
        return undone, unseen, not store.get_all()


def mongo_refuses(namespace: str) -> str:
    """What MongoDB says when it is asked for a transaction; an empty text if it does it."""
    with empty_corner("mongo", namespace), closing(connect.mongo().client) as client:
        collection = client.get_default_database("learning_db")[f"{namespace}_customers"]
        try:
            with client.start_session() as session, session.start_transaction():
                collection.insert_one({"email": "anna@example.com"}, session=session)
        except OperationFailure as error:
            return str((error.details or {}).get("errmsg", error))
    return ""
