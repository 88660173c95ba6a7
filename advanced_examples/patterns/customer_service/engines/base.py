"""What every engine does alike: one unit of work at a time, and one language for errors."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from customer_service.domain import ConcurrentChange, Customer, CustomerError
from customer_service.ports import ICustomerStore, WorkFailed

PATIENCE = 10.0  # seconds that one waits for another's unit of work, or for a server


# L (Liskov substitution): code that works with one engine works with all of them, so they keep the
# same order, refuse the same things and raise the same errors. tests/patterns holds them to it.
class Store(ICustomerStore):
    """Keeps the order of begin, commit and rollback; the engine fills in what they do."""

    _open = _failed = False

    def begin(self) -> None:
        if self._open:
            raise RuntimeError("a unit of work is open already: end it, or open another store")
        with self._talking():
            self._begin()
        self._open = True

    def commit(self) -> None:
        if not self._open:
            raise RuntimeError("there is no unit of work to commit: begin comes first")
        with self._talking():
            self._commit()
        self._open = False

    def rollback(self) -> None:
        was_open, self._open, self._failed = self._open, False, False
        if was_open:
            with self._talking():
                self._rollback()

    @contextmanager
    def _talking(self, customer: Customer | None = None) -> Iterator[None]:
        """Translate the engine's errors; a write that is refused ends the unit of work.

        PostgreSQL and DuckDB end their transaction after an error anyway; so must the others.
        """
        if self._failed:
            raise WorkFailed
        try:
            yield
        except Exception as error:
            self._failed = self._open
            ours = isinstance(error, CustomerError)
            translated = None if ours else self._translated(error, customer)
            if translated is None:
                raise
            raise translated from error

    def _refuse_update(self, customer: Customer) -> NoReturn:
        """Say why no stored customer had this identity and version."""
        self.get(customer.customer_id)
        raise ConcurrentChange

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _rollback(self) -> None: ...

    @abstractmethod
    def _translated(self, error: Exception, customer: Customer | None) -> Exception | None:
        """The engine's error in our words; None if we have none for it."""
