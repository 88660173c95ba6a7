"""The contract of a repository: the same tests for every engine, and no special case for any."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from customer_service import (
    AlreadyStored,
    ConcurrentChange,
    Customer,
    CustomerError,
    CustomerService,
    DuplicateEmail,
    Email,
    ICustomerStore,
    StoreUnavailable,
    UnitOfWork,
    UnknownCustomer,
    WorkFailed,
)

OpenStore = Callable[[], ICustomerStore]
STRANGE = ["Zoë Łuczak", "O'Brien; DROP TABLE customers", "%s ? $1 {x}", "名前", "x" * 100, "🙂"]


def anna(**changes: object) -> Customer:
    return replace(Customer(name="Anna Berg", email="anna@example.com"), **changes)


def ivan(**changes: object) -> Customer:
    return replace(Customer(name="Ivan Koval", email="ivan@example.com"), **changes)


@pytest.mark.parametrize("name", STRANGE)
def test_what_was_added_comes_back_equal(store: ICustomerStore, name: str) -> None:
    customer = anna(name=name, points=1_000_000_000, closed=True)
    assert store.add(customer) is None
    found = (store.get(customer.customer_id), store.find_by_email(Email("ANNA@example.com")))
    assert found == (customer, customer)
    assert store.get_all() == [customer]


def test_it_is_kept_for_others(open_store: OpenStore) -> None:
    writer, reader = open_store(), open_store()
    customer = anna()
    writer.add(customer)
    assert reader.get_all() == [customer]
    changed = writer.update(customer.changed(points=5))
    assert reader.get(customer.customer_id) == changed


def test_everyone_is_listed_by_email(store: ICustomerStore) -> None:
    addresses = ["b@x.org", "a_b@x.org", "a@x.org", "a.b@x.org", "ab@x.org", "a-b@x.org"]
    for address in addresses:
        store.add(anna(email=address, customer_id=f"id of {address}"))
    assert [customer.email for customer in store.get_all()] == sorted(addresses)


def test_nobody_is_found_where_nobody_is(store: ICustomerStore) -> None:
    assert store.get_all() == []
    assert store.find_by_email(Email("anna@example.com")) is None
    with pytest.raises(UnknownCustomer, match=r"^there is no customer 42$"):
        store.get("42")


def test_an_address_belongs_to_one(store: ICustomerStore) -> None:
    first = anna()
    store.add(first)
    with pytest.raises(DuplicateEmail) as refused:
        store.add(ivan(email=first.email))
    assert str(refused.value) == (
        "anna@example.com has an account already: sign in, or use another address"
    )
    assert store.get_all() == [first]


def test_nobody_is_added_twice(store: ICustomerStore) -> None:
    first = anna()
    store.add(first)
    for again in (first, first.changed(email="other@example.com")):
        with pytest.raises(AlreadyStored, match="was added before: update it instead"):
            store.add(again)
    assert store.get_all() == [first]


def test_an_update_is_kept_and_counted(store: ICustomerStore) -> None:
    customer = anna()
    store.add(customer)
    for number in range(2, 5):
        customer = store.update(customer.changed(email=f"a{number}@example.com", points=number))
        assert customer.version == number
        assert store.get_all() == [customer]
    assert store.find_by_email(Email("anna@example.com")) is None


def test_an_address_that_became_free_can_be_taken(store: ICustomerStore) -> None:
    store.add(first := anna())
    store.update(first.changed(email="new@example.com"))
    store.add(ivan(email="anna@example.com"))
    assert [customer.name for customer in store.get_all()] == ["Ivan Koval", "Anna Berg"]


@pytest.mark.parametrize("transaction", [False, True])
def test_a_refused_update_changes_nothing(open_store: OpenStore, transaction: bool) -> None:
    first, second = anna(), ivan()
    for customer in (first, second):
        open_store().add(customer)
    refused: list[tuple[Customer, type[CustomerError]]] = [
        (second.changed(email=first.email), DuplicateEmail),
        (replace(second, version=2), ConcurrentChange),
        (Customer(name="Nobody", email="nobody@example.com"), UnknownCustomer),
    ]
    for customer, error in refused:
        store = open_store()
        with pytest.raises(error):
            if transaction:
                with UnitOfWork(store):
                    store.update(customer)
            else:
                store.update(customer)
        assert store.get_all() == [first, second]


def test_of_two_who_change_the_same_version_one_is_told(open_store: OpenStore) -> None:
    one, other = open_store(), open_store()
    one.add(customer := anna())
    seen, same = one.get(customer.customer_id), other.get(customer.customer_id)
    one.update(seen.changed(closed=True))
    with pytest.raises(ConcurrentChange, match="somebody else changed the same customer"):
        other.update(same.changed(points=7))
    assert one.get(customer.customer_id).closed


def test_a_unit_of_work_is_kept_whole(open_store: OpenStore) -> None:
    store, reader = open_store(), open_store()
    with UnitOfWork(store) as work:
        work.customers.add(first := anna())
        second = work.customers.update(first.changed(points=3))
        work.customers.add(third := ivan())
        assert work.customers.get_all() == [second, third]
    assert reader.get_all() == [second, third]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_undoes_it_whole(open_store: OpenStore, error: type[BaseException]) -> None:
    store, reader = open_store(), open_store()
    store.add(before := anna())
    with pytest.raises(error), UnitOfWork(store) as work:
        work.customers.add(third := ivan())
        changed = work.customers.update(before.changed(email="a2@example.com", points=3))
        work.customers.update(changed.changed(email="a3@example.com", closed=True))
        work.customers.update(third.changed(email=before.email))
        raise error("in the middle")
    assert store.get_all() == reader.get_all() == [before]
    with UnitOfWork(store) as work:
        work.customers.add(third)
    assert reader.get_all() == [before, third]


def test_a_refused_write_ends_the_unit_of_work(open_store: OpenStore) -> None:
    store, reader = open_store(), open_store()
    store.add(before := anna())
    with pytest.raises(WorkFailed, match="begin a new one"), UnitOfWork(store) as work:
        work.customers.add(ivan())
        with pytest.raises(DuplicateEmail):
            work.customers.add(anna(customer_id="another"))
        for read in (work.customers.get_all, lambda: work.customers.get(before.customer_id)):
            with pytest.raises(WorkFailed):
                read()
    assert store.get_all() == reader.get_all() == [before]


def test_units_of_work_come_one_after_another(store: ICustomerStore) -> None:
    with pytest.raises(RuntimeError, match="open already"), UnitOfWork(store):
        store.begin()
    with pytest.raises(RuntimeError, match="begin comes first"):
        store.commit()
    store.rollback()
    with UnitOfWork(store) as work:
        work.customers.add(anna())
    assert len(store.get_all()) == 1


def test_looking_up_nobody_does_not_end_it(store: ICustomerStore) -> None:
    with UnitOfWork(store) as work:
        with pytest.raises(UnknownCustomer):
            work.customers.get("42")
        assert work.customers.find_by_email(Email("anna@example.com")) is None
        work.customers.add(anna())
    assert len(store.get_all()) == 1


def outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except (CustomerError, StoreUnavailable) as error:
        return type(error).__name__
    return "done"


def test_of_many_who_register_one_address_one_succeeds(open_store: OpenStore) -> None:
    """Each has a repository of its own, and half of them a unit of work around it."""
    many = 8
    together = threading.Barrier(many)

    def register(number: int, store: ICustomerStore) -> str:
        service = CustomerService(store)
        together.wait(30)
        if number % 2:
            return outcome(lambda: service.register_customer(f"N {number}", "one@example.com"))

        def work() -> None:
            with UnitOfWork(store):
                service.register_customer(f"N {number}", "one@example.com")

        return outcome(work)

    opened = [open_store() for _ in range(many)]
    with ThreadPoolExecutor(many) as threads:
        outcomes = sorted(threads.map(register, range(many), opened))
    assert outcomes.count("done") == 1, outcomes
    assert set(outcomes) <= {"done", "DuplicateEmail", "ConcurrentChange"}
    assert len(open_store().get_all()) == 1


@pytest.mark.parametrize("gives_up", [False, True])
def test_who_comes_second_waits_or_is_refused_but_never_gets_in_too(
    open_store: OpenStore, gives_up: bool
) -> None:
    """The first has added and not yet committed when the second comes."""
    first, second = open_store(), open_store()
    with ThreadPoolExecutor(1) as threads:
        first.begin()
        first.add(anna())
        later = threads.submit(outcome, lambda: second.add(anna(customer_id="second")))
        if gives_up:
            first.rollback()
            first_outcome = "gave up"
        else:
            first_outcome = outcome(first.commit)
            first.rollback()
        outcomes = (first_outcome, later.result(timeout=30))
    assert outcomes.count("done") == len(second.get_all()) <= 1, outcomes
    if not gives_up:
        assert "done" in outcomes


def test_points_are_neither_made_nor_lost_by_many_who_merge(open_store: OpenStore) -> None:
    """Everyone merges into the first account at once, and tries again when somebody was faster."""
    store = open_store()
    customers = [Customer(f"N {n}", f"n{n}@example.com", points=10**n) for n in range(5)]
    for customer in customers:
        store.add(customer)

    def merge(other: Customer, mine: ICustomerStore) -> int:
        for attempt in range(1, 500):
            try:
                with UnitOfWork(mine) as work:
                    service = CustomerService(work.customers)
                    service.merge_customers(customers[0].customer_id, other.customer_id)
                return attempt
            except ConcurrentChange:
                threading.Event().wait(0.002 * (attempt % 7))
        raise AssertionError("never got through")

    opened = [open_store() for _ in customers[1:]]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(merge, customers[1:], opened))
    kept = store.get_all()
    assert [customer.points for customer in kept] == [11_111, 0, 0, 0, 0]
    assert [customer.closed for customer in kept] == [False, True, True, True, True]
