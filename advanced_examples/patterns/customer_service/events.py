"""The event bus: who wants to know about what."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from customer_service.domain import Event

Listener = Callable[[Any], None]
Report = Callable[[Event, Exception], None]


def log_failure(event: Event, error: Exception) -> None:
    """Write a failed listener to the log, with its traceback."""
    logger = logging.getLogger(__name__)
    logger.error("a listener failed on %s", event, exc_info=error)


class EventBus:
    """Calls the listeners of an event's type, one after another.

    A listener that fails undoes nothing and keeps nobody else from hearing: the change is
    committed. `report` is told. All this happens in memory: what must not be lost when the process
    dies belongs in an outbox table, written in the same transaction.
    """

    def __init__(
        self, listeners: Mapping[type[Event], Sequence[Listener]], report: Report = log_failure
    ) -> None:
        self._listeners = listeners
        self._report = report

    def publish(self, event: Event) -> None:
        """Tell everyone who listens to events of this type."""
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception as error:
                self._report(event, error)
