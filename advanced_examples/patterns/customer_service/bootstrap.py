"""The composition root: the one place that knows everyone and puts them together.

After the "bootstrap" of Percival and Gregory, Architecture Patterns with Python, chapter 13.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from customer_service.domain import Event
from customer_service.events import EventBus, Listener, Report, log_failure
from customer_service.factory import RepositoryFactory, Settings
from customer_service.ports import ICustomerStore
from customer_service.service import CustomerService
from customer_service.unit_of_work import UnitOfWork


def inject(function: Callable, dependencies: Mapping[str, object]) -> Callable:
    """`function` with every parameter but the first filled in by its name."""
    wanted = list(inspect.signature(function).parameters.values())[1:]
    missing = [p.name for p in wanted if p.name not in dependencies and p.default is p.empty]
    if missing:
        needs = ", ".join(missing)
        raise TypeError(f"{function.__name__} needs {needs}, which nobody provides")
    chosen = {p.name: dependencies[p.name] for p in wanted if p.name in dependencies}
    return partial(function, **chosen)


class Application(NamedTuple):
    """What an entry point needs: use cases, transactions, and what it has to close."""

    service: CustomerService
    work: UnitOfWork
    store: ICustomerStore


def bootstrap(
    settings: Settings | None = None,
    listeners: Mapping[type[Event], Sequence[Callable]] | None = None,
    report: Report = log_failure,
    **dependencies: object,
) -> Application:
    """Put the application together; `dependencies` reach the listeners by parameter name."""
    ready: dict[type[Event], list[Listener]] = {
        kind: [inject(listener, dependencies) for listener in several]
        for kind, several in (listeners or {}).items()
    }
    store = RepositoryFactory.create_customer_repository(settings)
    work = UnitOfWork(store, EventBus(ready, report).publish)
    return Application(CustomerService(store, work.record), work, store)
