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


def inject(listener: Callable, helpers: Mapping[str, object]) -> Listener:
    """`listener` with every parameter but the first, the event, filled in by its name."""
    wanted = list(inspect.signature(listener).parameters.values())[1:]
    known = {p.name: helpers[p.name] for p in wanted if p.name in helpers}
    needed = {p.name for p in wanted if p.default is p.empty}
    if missing := sorted(needed - known.keys()):
        name = getattr(listener, "__name__", repr(listener))
        raise TypeError(f"{name} wants {missing}: no helper has that name")
    return partial(listener, **known)


class Application(NamedTuple):
    """What an entry point needs: use cases, transactions, and what it has to close."""

    service: CustomerService
    work: UnitOfWork
    store: ICustomerStore


def bootstrap(
    settings: Settings | None = None,
    listeners: Mapping[type[Event], Sequence[Callable]] | None = None,
    report: Report = log_failure,
    **helpers: object,
) -> Application:
    """Put the application together; `helpers` reach the listeners by parameter name."""
    ready: dict[type[Event], list[Listener]] = {
        kind: [inject(listener, helpers) for listener in several]
        for kind, several in (listeners or {}).items()
    }
    store = RepositoryFactory.create_customer_repository(settings)
    work = UnitOfWork(store, EventBus(ready, report).publish)
    return Application(CustomerService(store, work.record), work, store)
