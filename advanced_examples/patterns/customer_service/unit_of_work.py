"""The unit of work: several changes, kept together or not at all, then told to others."""

from collections.abc import Callable

from customer_service.domain import Event
from customer_service.ports import ICustomerStore, ignore


class UnitOfWork:
    """`with work:` commits at its end, and rolls back when an exception leaves the block.

    `publish` is called with each event, in order, when the commit is done and never before.
    """

    def __init__(
        self, customers: ICustomerStore, publish: Callable[[Event], None] = ignore
    ) -> None:
        self.customers = customers
        self._publish = publish
        self._events: list[Event] | None = None  # None outside of the block

    def record(self, event: Event) -> None:
        """Note an event until the commit; outside of the block the write is kept already."""
        if self._events is None:
            self._publish(event)
        else:
            self._events.append(event)

    def __enter__(self) -> "UnitOfWork":
        self.customers.begin()
        self._events = []
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        events, self._events = self._events or [], None
        if kind:
            self.customers.rollback()
            return
        try:
            self.customers.commit()
        except BaseException:
            self.customers.rollback()
            raise
        for event in events:
            self._publish(event)
