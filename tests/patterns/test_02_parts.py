"""The inside, without any server: domain, service, unit of work, events, injection, settings."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import customer_service
import pytest
from customer_service import (
    ConfigurationError,
    Customer,
    CustomerError,
    CustomerRegistered,
    CustomerService,
    CustomersMerged,
    DuplicateEmail,
    Email,
    EmailChanged,
    Event,
    EventBus,
    ForbiddenChange,
    ICustomerReader,
    InMemoryCustomerRepository,
    InMemoryRepository,
    InvalidEmail,
    InvalidName,
    RepositoryFactory,
    Settings,
    StoreUnavailable,
    UnitOfWork,
    UnknownCustomer,
    bootstrap,
    inject,
)
from customer_service.classroom import anatomy
from customer_service.engines.shop import ShopCustomers
from hypothesis import given
from hypothesis import strategies as st

from course import connect
from course.settings import ROOT
from tests.support import run_python

ANNA, IVAN = ("Anna Berg", "anna@example.com"), ("Ivan Koval", "ivan@example.com")


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def customers(events: list[Event]) -> CustomerService:
    return CustomerService(InMemoryRepository(), events.append)


def test_the_promised_names_work_as_promised() -> None:
    repository = RepositoryFactory.create_customer_repository(Settings())
    assert isinstance(repository, InMemoryCustomerRepository)
    service = CustomerService(repository)
    customer = service.register_customer("Anna Berg", "anna@example.com")
    assert service.repository is repository
    assert repository.get_all() == [customer]
    other = Customer(name="Ivan Koval", email="ivan@example.com")
    service.repository.add(other)
    assert service.repository.get_all() == [customer, other]
    assert all(hasattr(customer_service, name) for name in customer_service.__all__)


@pytest.mark.parametrize("text", [
    "", "anna", "anna@", "@example.com", "anna@example", "a b@example.com", "anna@exa mple.com",
    "anna@@example.com", "anna@example.com\nivan@example.com", "änna@example.com", None, 5,
    "\u212aate@example.com", "a" * 250 + "@x.com", "anna@example..com", "anna@.com",
])  # fmt: skip
def test_what_is_no_address_is_refused(text: object) -> None:
    with pytest.raises(InvalidEmail, match="is no e-mail address"):
        Customer(name="Anna", email=text)


@pytest.mark.parametrize("text", ["", " \t\n", "x" * 101, "a\0b", "\ud800", "a\u202eb", None])
def test_what_is_no_name_is_refused(text: object) -> None:
    with pytest.raises(InvalidName, match="is no name"):
        Customer(name=text, email="anna@example.com")


@given(st.emails() | st.text())
def test_an_address_is_put_in_order_once(text: str) -> None:
    try:
        address = Email(text)
    except InvalidEmail:
        return
    assert Email(address) == address == text.strip().lower()


def test_customers_are_not_changed_behind_your_back() -> None:
    anna = Customer(*ANNA)
    with pytest.raises(FrozenInstanceError):
        anna.points = 5
    assert anna.changed(points=5).customer_id == anna.customer_id
    assert Customer(*ANNA).customer_id != anna.customer_id


@pytest.mark.parametrize("points", [-1, 1_000_000_001])
def test_points_have_limits(points: int) -> None:
    with pytest.raises(ForbiddenChange, match="points go from 0 to"):
        Customer(*ANNA, points=points)


def test_registering_tells_of_it(customers: CustomerService, events: list[Event]) -> None:
    customer = customers.register_customer(" Anna  Berg ", " ANNA@Example.com")
    assert (customer.name, customer.email) == ANNA
    with pytest.raises(DuplicateEmail):
        customers.register_customer(*ANNA)
    assert events == [CustomerRegistered(customer)]


def test_the_same_address_again_is_no_change(
    customers: CustomerService, events: list[Event]
) -> None:
    anna = customers.register_customer(*ANNA)
    assert customers.change_email(anna.customer_id, "Anna@Example.com") == anna
    changed = customers.change_email(anna.customer_id, "new@example.com")
    assert events[1:] == [EmailChanged(changed, old="anna@example.com")]
    assert customers.find("NEW@example.com") == changed
    with pytest.raises(UnknownCustomer, match=r"^there is no customer anna@example\.com$"):
        customers.find("anna@example.com")


@pytest.mark.parametrize("points", [0, -5])
def test_only_points_above_nothing_are_awarded(customers: CustomerService, points: int) -> None:
    anna = customers.register_customer(*ANNA)
    with pytest.raises(ForbiddenChange, match="above 0"):
        customers.award_points(anna.customer_id, points)


def test_a_closed_account_stays_as_it_is(customers: CustomerService) -> None:
    anna, ivan = customers.register_customer(*ANNA), customers.register_customer(*IVAN)
    customers.award_points(anna.customer_id, 10)
    with pytest.raises(ForbiddenChange, match="still has points"):
        customers.close_account(anna.customer_id)
    customers.close_account(ivan.customer_id)
    before = customers.repository.get_all()
    forbidden: list[tuple[Callable, tuple]] = [
        (customers.change_email, (ivan.customer_id, "new@example.com")),
        (customers.change_email, (ivan.customer_id, ivan.email)),
        (customers.award_points, (ivan.customer_id, 1)),
        (customers.close_account, (ivan.customer_id,)),
        (customers.merge_customers, (ivan.customer_id, anna.customer_id)),
        (customers.merge_customers, (anna.customer_id, ivan.customer_id)),
        (customers.merge_customers, (anna.customer_id, anna.customer_id)),
    ]
    for use_case, values in forbidden:
        with pytest.raises(ForbiddenChange), UnitOfWork(customers.repository):
            use_case(*values)
        assert customers.repository.get_all() == before


def test_merging_moves_all_points(customers: CustomerService, events: list[Event]) -> None:
    anna, ivan = customers.register_customer(*ANNA), customers.register_customer(*IVAN)
    customers.award_points(anna.customer_id, 10)
    customers.award_points(ivan.customer_id, 5)
    merged = customers.merge_customers(anna.customer_id, ivan.customer_id)
    closed = customers.repository.get(ivan.customer_id)
    assert (merged.points, closed.points, closed.closed) == (15, 0, True)
    assert events[-1] == CustomersMerged(merged, closed)


def test_events_wait_for_the_commit_and_keep_their_order() -> None:
    told: list[str] = []
    work = UnitOfWork(InMemoryRepository(), lambda event: told.append(event.customer.name))
    service = CustomerService(work.customers, work.record)
    with work:
        service.register_customer(*ANNA)
        service.register_customer(*IVAN)
        assert told == []
    assert told == ["Anna Berg", "Ivan Koval"]
    with pytest.raises(KeyError), work:
        service.register_customer("Olha", "olha@example.com")
        raise KeyError
    assert len(told) == 2
    service.register_customer("Olha", "olha@example.com")
    assert told[2:] == ["Olha"], "outside of a unit of work the write is kept already"


class FailsToCommit(InMemoryRepository):
    def _commit(self) -> None:
        raise StoreUnavailable("in the last moment")


def test_a_commit_that_fails_is_not_told() -> None:
    told: list[Event] = []
    store = FailsToCommit()
    work = UnitOfWork(store, told.append)
    with pytest.raises(StoreUnavailable), work:
        CustomerService(store, work.record).register_customer(*ANNA)
    assert told == [] == store.get_all()


def test_a_listener_may_begin_a_unit_of_work_of_its_own() -> None:
    work: UnitOfWork

    def give_points(event: CustomerRegistered) -> None:
        with work:
            CustomerService(work.customers).award_points(event.customer.customer_id, 5)

    work = UnitOfWork(InMemoryRepository(), EventBus({CustomerRegistered: [give_points]}).publish)
    with work:
        CustomerService(work.customers, work.record).register_customer(*ANNA)
    assert [customer.points for customer in work.customers.get_all()] == [5]


def test_a_failed_listener_is_logged_and_the_others_hear(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[Event] = []
    event = CustomerRegistered(Customer(*ANNA))
    bus = EventBus({CustomerRegistered: [lambda event: 1 / 0, heard.append]})
    with caplog.at_level(logging.ERROR):
        bus.publish(event)
    assert heard == [event]
    assert "a listener failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture
def shop_is_up(service: Callable[[str], str]) -> str:
    return service("postgres")


def listener(event: Event, mailer: Callable, times: int = 2) -> tuple:
    return event, mailer, times


def test_helpers_are_given_by_name() -> None:
    event = CustomerRegistered(Customer(*ANNA))
    assert inject(listener, {"mailer": print, "unused": 1})(event) == (event, print, 2)
    assert inject(listener, {"mailer": print, "times": 3})(event) == (event, print, 3)
    with pytest.raises(TypeError, match=r"listener wants \['mailer'\]"):
        inject(listener, {"mail": print})


def test_bootstrap_finds_a_missing_helper_before_anything_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "customers.duckdb"
    with pytest.raises(TypeError, match="no helper"):
        bootstrap(Settings("duckdb", str(file)), {CustomerRegistered: [listener]})
    assert not file.exists()


def test_the_environment_chooses_the_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen = Settings("duckdb", str(tmp_path / "customers.duckdb"), "here")
    for name, value in chosen.as_environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == chosen
    with closing(RepositoryFactory.create_customer_repository()) as store:
        assert type(store).__name__ == "DuckDBCustomerRepository"
    assert Settings.from_environment({}) == Settings("memory", "", "customer_service")


@pytest.mark.parametrize("engine, says", [
    ("oracle", "no engine 'oracle'; there are: duckdb, memory, mongo, postgres"),
    ("postgres", "the engine postgres needs CUSTOMER_URL"), ("mongo", "needs CUSTOMER_URL"),
])  # fmt: skip
def test_a_wrong_configuration_is_named(engine: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        RepositoryFactory.create_customer_repository(Settings(engine))
    result = run_python("-m", "customer_service", "list", **Settings(engine).as_environment())
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_shop_can_be_read(shop_is_up: str) -> None:
    with closing(connect.postgres()) as connection:
        shop: ICustomerReader = ShopCustomers(connection)
        everyone = shop.get_all()
        first = everyone[0]
        assert len(everyone) == 2_000
        assert shop.get(first.customer_id) == first == shop.find_by_email(Email(first.email))
        assert shop.find_by_email(Email("nobody@example.org")) is None
        for unknown in ("0", "x"):
            with pytest.raises(UnknownCustomer):
                shop.get(unknown)


def test_imports_point_inwards_and_each_driver_has_one_file() -> None:
    assert anatomy.knows("domain.py") == set()
    assert anatomy.knows("ports.py") == {"domain"}
    assert anatomy.knows("service.py") == {"domain", "ports"}
    for place in anatomy.files():
        if place.startswith("engines/"):
            inside = {"domain", "ports", "base", "sql"}
            assert anatomy.knows(place) <= inside, place
    assert all("course" not in anatomy.imports(place) for place in anatomy.files())
    for driver in ("duckdb", "pymongo"):
        assert len([place for place in anatomy.files() if driver in anatomy.imports(place)]) == 1


def test_every_principle_is_pointed_at_once() -> None:
    assert [letter for letter, *_ in anatomy.principles()] == list("SOLID")
    folder = ROOT / "advanced_examples/patterns/customer_service"
    for _, principle, place, name in anatomy.principles():
        assert f"class {name}" in (folder / place).read_text(), principle


def test_errors_survive_a_queue() -> None:
    import pickle

    for error in (DuplicateEmail("a{0}@x.org"), UnknownCustomer("{}"), ForbiddenChange("no {x}")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
        assert isinstance(again, CustomerError)


def test_a_stored_customer_keeps_every_field() -> None:
    anna = Customer(*ANNA, points=3, closed=True, version=7)
    store = InMemoryRepository()
    store.add(anna)
    assert store.get_all() == [replace(anna)]
