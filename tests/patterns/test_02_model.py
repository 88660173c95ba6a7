"""Any sequence of calls: each engine answers as a dictionary would."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from customer_service import (
    AlreadyStored,
    ConcurrentChange,
    Customer,
    CustomerError,
    DuplicateEmail,
    Email,
    UnknownCustomer,
    WorkFailed,
)
from customer_service.classroom.corners import SHARED
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

few = settings(
    max_examples=10,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
IDS = st.sampled_from([f"id {number}" for number in range(4)])
EMAILS = st.sampled_from([f"{letter}@example.com" for letter in "abcd"])
NAMES = st.text(min_size=1, max_size=5).filter(lambda name: name.isprintable() and name.strip())
CUSTOMERS = st.builds(
    Customer,
    name=NAMES,
    email=EMAILS,
    points=st.integers(0, 1_000_000_000),
    closed=st.booleans(),
    customer_id=IDS,
    version=st.integers(1, 3),
)


class Model:
    """What a repository promises, over a dictionary; a refused write ends its transaction."""

    def __init__(self) -> None:
        self.kept: dict[str, Customer] = {}
        self.before: dict[str, Customer] | None = None
        self.failed = False

    def add(self, customer: Customer) -> None:
        self._write(customer, AlreadyStored if customer.customer_id in self.kept else None)

    def update(self, customer: Customer) -> Customer:
        stored = self.kept.get(customer.customer_id)
        wrong = None
        if stored is None:
            wrong = UnknownCustomer
        elif stored.version != customer.version:
            wrong = ConcurrentChange
        changed = replace(customer, version=customer.version + 1)
        self._write(changed, wrong)
        return changed

    def get(self, customer_id: str) -> Customer:
        self._check()
        if customer_id not in self.kept:
            raise UnknownCustomer(customer_id)
        return self.kept[customer_id]

    def find_by_email(self, email: Email) -> Customer | None:
        self._check()
        return next((one for one in self.kept.values() if one.email == email), None)

    def get_all(self) -> list[Customer]:
        self._check()
        return sorted(self.kept.values(), key=lambda customer: customer.email)

    def begin(self) -> None:
        self.before = dict(self.kept)

    def commit(self) -> None:
        self._check()
        self.before = None

    def rollback(self) -> None:
        self.kept = self.kept if self.before is None else self.before
        self.before, self.failed = None, False

    def _check(self) -> None:
        if self.failed:
            raise WorkFailed

    def _write(self, customer: Customer, wrong: type[CustomerError] | None) -> None:
        self._check()
        others = [one for key, one in self.kept.items() if key != customer.customer_id]
        if wrong is None and customer.email in {one.email for one in others}:
            wrong = DuplicateEmail
        if wrong:
            self.failed = self.before is not None
            raise wrong(customer.customer_id)
        self.kept[customer.customer_id] = customer


def answer(call: Callable[..., object], *values: object) -> object:
    """What the call returns, or the kind of its refusal."""
    try:
        return call(*values)
    except (CustomerError, WorkFailed) as error:
        return type(error)


@pytest.mark.parametrize("engine", ["memory", *SHARED])
def test_every_engine_behaves_like_a_dictionary(engine: str, all_stores: Callable) -> None:
    class Comparison(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.corner = all_stores(engine)
            open_store = self.corner.__enter__()
            self.store, self.reader, self.model = open_store(), open_store(), Model()

        def teardown(self) -> None:
            self.corner.__exit__(None, None, None)

        def both(self, name: str, *values: object) -> None:
            real = answer(getattr(self.store, name), *values)
            assert real == answer(getattr(self.model, name), *values), name

        @rule(customer=CUSTOMERS)
        def add(self, customer: Customer) -> None:
            self.both("add", customer)

        @rule(customer=CUSTOMERS)
        def update(self, customer: Customer) -> None:
            self.both("update", customer)

        @precondition(lambda self: self.model.kept)
        @rule(data=st.data(), email=EMAILS, points=st.integers(0, 9))
        def update_what_is_there(self, data: st.DataObject, email: str, points: int) -> None:
            customer = data.draw(st.sampled_from(sorted(self.model.kept)))
            self.both("update", replace(self.model.kept[customer], email=email, points=points))

        @rule(customer_id=IDS, email=EMAILS)
        def look(self, customer_id: str, email: str) -> None:
            self.both("get", customer_id)
            self.both("find_by_email", Email(email))

        @precondition(lambda self: self.model.before is None)
        @rule()
        def begin(self) -> None:
            self.both("begin")

        @precondition(lambda self: self.model.before is not None)
        @rule()
        def commit(self) -> None:
            self.both("commit")

        @precondition(lambda self: self.model.before is not None)
        @rule()
        def rollback(self) -> None:
            self.both("rollback")

        @invariant()
        def all_are_the_same(self) -> None:
            self.both("get_all")
            if self.model.before is None:
                assert self.reader.get_all() == self.model.get_all()

    run_state_machine_as_test(Comparison, settings=few)
