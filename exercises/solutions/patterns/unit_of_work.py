"""A unit of work: only commit() makes changes true, everything else is rolled back."""

import sqlite3
from types import TracebackType
from typing import Any


class UnitOfWork:
    """Several changes that become true together."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> "UnitOfWork":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After a commit there is nothing to roll back, so this needs no question.
        self.connection.rollback()

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Carry out one statement."""
        return self.connection.execute(sql, values)

    def commit(self) -> None:
        """Make what was done so far true."""
        self.connection.commit()
