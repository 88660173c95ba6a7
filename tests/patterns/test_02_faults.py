"""Real processes and real faults: races, kill -9 in the middle, lost connections, locked files."""

import os
import random
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Barrier

import pytest
from customer_service import (
    ConcurrentChange,
    Customer,
    CustomerService,
    ICustomerStore,
    RepositoryFactory,
    Settings,
    StoreError,
    StoreUnavailable,
    UnitOfWork,
)
from customer_service.classroom.corners import empty_corner, start
from customer_service.engines.duck import DuckDBCustomerRepository

from course import connect

open_store = RepositoryFactory.create_customer_repository
REGISTER = ("-m", "customer_service", "register")
# Merges for ever, and says so after each commit.
MERGES = """
import sys
from customer_service import bootstrap
service, work, store = bootstrap()
print("ready", flush=True)
sys.stdin.readline()
for number in range(1_000_000):
    with work:
        one = service.register_customer("One", f"one{number}@example.com")
        service.award_points(one.customer_id, 7)
    with work:
        two = service.register_customer("Two", f"two{number}@example.com")
        service.merge_customers(two.customer_id, one.customer_id)
    print(number, flush=True)
"""


@pytest.fixture
def mongo(service: Callable[[str], str]) -> str:
    return service("mongo")


def test_of_processes_that_register_one_address_one_succeeds(settings: Settings) -> None:
    with ExitStack() as stack:
        racers = [
            stack.enter_context(start(settings, *REGISTER, f"N {number}", "One@example.com"))
            for number in range(3)
        ]
        said = [racer.communicate(timeout=60) for racer in racers]
    assert sorted(racer.returncode for racer in racers) == [0, 1, 1], said
    refused = "one@example.com has an account already: sign in, or use another address\n"
    assert sorted(error for _, error in said) == ["", refused, refused]
    with closing(open_store(settings)) as store:
        winner = next(out for out, _ in said if out)
        assert [f"registered {c.name} <{c.email}>\n" for c in store.get_all()] == [winner]


@pytest.mark.faults
def test_kill_9_leaves_whole_units_of_work(settings: Settings, rng: random.Random) -> None:
    """Every committed merge is there. With transactions nothing else is; without, half may be."""
    with start(settings, "-c", MERGES) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n", process.communicate()
        process.stdin.write("go\n")
        process.stdin.flush()
        for _ in range(rng.randrange(1, 8)):
            last = process.stdout.readline()
        # Busy until a random moment within the next units of work.
        for _ in range(rng.randrange(200_000)):
            pass
        process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    with closing(open_store(settings)) as store:
        there = {customer.email: customer for customer in store.get_all()}
        whole = getattr(store, "has_transactions", True)
    for number in range(int(last) + 1):
        one, two = there[f"one{number}@example.com"], there[f"two{number}@example.com"]
        assert (one.points, one.closed, two.points) == (0, True, 7)
    if whole:
        merged = sum(customer.name == "Two" for customer in there.values())
        not_yet = len(there) - 2 * merged
        assert not_yet in (0, 1)
        assert sum(customer.points for customer in there.values()) == 7 * (merged + not_yet)


def test_a_lost_connection_is_said_in_our_words(service: Callable[[str], str]) -> None:
    service("postgres")
    with empty_corner("postgres", "patterns_lost_connection") as settings, ExitStack() as stack:
        store, other = (stack.enter_context(closing(open_store(settings))) for _ in range(2))
        lost = "the connection to PostgreSQL is lost"
        with pytest.raises(StoreUnavailable, match=lost), UnitOfWork(store) as work:
            work.customers.add(Customer(name="Anna", email="anna@example.com"))
            end_the_session_of(store)
            work.customers.get_all()
        with pytest.raises(StoreUnavailable, match=lost):
            store.get_all()
        assert other.get_all() == []


def end_the_session_of(store: ICustomerStore) -> None:
    """End a store's connection as an administrator would."""
    (pid,) = store._run("SELECT pg_backend_pid()")[0]
    with closing(connect.postgres()) as admin:
        admin.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


@pytest.mark.parametrize("engine, url", [
    ("postgres", "postgresql://a:b@127.0.0.1:9/nowhere"),
    ("mongo", "mongodb://127.0.0.1:9/nowhere?serverSelectionTimeoutMS=100"),
    ("duckdb", "/nowhere/at/all/customers.duckdb"),
])  # fmt: skip
def test_nobody_at_home_is_said_in_our_words(
    engine: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("duck", "mongo", "postgres"):
        monkeypatch.setattr(f"customer_service.engines.{module}.PATIENCE", 1.0)
    with pytest.raises(StoreUnavailable, match=r"does not answer|can't open"):
        open_store(Settings(engine, url))


def test_a_file_that_another_process_has_open_is_waited_for(tmp_path: os.PathLike) -> None:
    file = f"{tmp_path}/customers.duckdb"
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    with start(Settings("duckdb", file), "-c", code, file) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == "1\n"
        with pytest.raises(StoreUnavailable, match="DuckDB can't open"):
            DuckDBCustomerRepository.open(file, patience=0.2)
        holder.stdin.write("\n")
        holder.stdin.flush()
        with closing(DuckDBCustomerRepository.open(file)) as store:
            assert store.get_all() == []


def test_a_unit_of_work_that_is_held_too_long_is_given_up(
    service: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service("postgres")
    monkeypatch.setattr("customer_service.engines.postgres.PATIENCE", 1.0)
    anna = Customer(name="Anna", email="anna@example.com")
    with empty_corner("postgres", "patterns_held_too_long") as settings, ExitStack() as stack:
        first, second = (stack.enter_context(closing(open_store(settings))) for _ in range(2))
        first.begin()
        first.add(anna)
        with pytest.raises(StoreUnavailable, match="for too long"):
            second.add(Customer(name="Second", email="anna@example.com"))
        first.commit()
        assert second.get_all() == [anna]


def test_a_deadlock_is_a_concurrent_change(service: Callable[[str], str]) -> None:
    """Two units of work change the same two customers in opposite order."""
    service("postgres")
    both_hold_one = Barrier(2)

    def change(store: ICustomerStore, customers: list[Customer]) -> str:
        try:
            with UnitOfWork(store) as work:
                work.customers.update(customers[0].changed(points=1))
                both_hold_one.wait(30)
                work.customers.update(customers[1].changed(points=1))
        except ConcurrentChange:
            return "refused"
        return "done"

    with empty_corner("postgres", "patterns_deadlock") as settings, ExitStack() as stack:
        stores = [stack.enter_context(closing(open_store(settings))) for _ in range(2)]
        pair = [Customer(name="N", email=f"n{n}@example.com") for n in range(2)]
        for customer in pair:
            stores[0].add(customer)
        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(change, stores, [pair, pair[::-1]]))
        assert sorted(outcomes) == ["done", "refused"]
        assert [customer.points for customer in stores[0].get_all()] == [1, 1]


def test_without_transactions_others_may_be_in_the_way_of_an_undo(mongo: str) -> None:
    """What somebody changed in the meantime is theirs; that it could not be undone is said."""
    with empty_corner("mongo", "patterns_undo") as settings, ExitStack() as stack:
        store, other = (stack.enter_context(closing(open_store(settings))) for _ in range(2))
        if store.has_transactions:
            pytest.skip("this MongoDB has transactions: nobody can see what is not committed")
        store.begin()
        store.add(Customer(name="Anna", email="anna@example.com"))
        store.add(Customer(name="Ivan", email="ivan@example.com"))
        seen = CustomerService(other).find("anna@example.com")
        CustomerService(other).award_points(seen.customer_id, 5)
        with pytest.raises(StoreError, match="1 writes were changed by others"):
            store.rollback()
        assert [customer.points for customer in other.get_all()] == [5]


def test_the_command_line_speaks_plainly(tmp_path: os.PathLike) -> None:
    settings = Settings("duckdb", f"{tmp_path}/customers.duckdb")

    def run(*arguments: str) -> tuple[int, str, str]:
        with start(settings, "-m", "customer_service", *arguments) as process:
            out, error = process.communicate(timeout=60)
        return process.returncode, out, error

    registered = "registered Zoë <zoe@example.com>\n"
    assert run("register", "Zoë", "zoe@example.com") == (0, registered, "")
    assert run("list") == (0, "Zoë <zoe@example.com>\n", "")
    refused = "'zoe' is no e-mail address: it needs a form like anna@example.com\n"
    assert run("register", "Zoë", "zoe") == (1, "", refused)
