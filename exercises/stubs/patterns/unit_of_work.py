"""A unit of work: several changes, or none.

Write the class so that it is used like this:

    with UnitOfWork(connection) as work:
        work.execute("INSERT INTO …", (…))
        work.execute("UPDATE …", (…))
        work.commit()

What was done before `commit()` stays. Everything else is rolled back: when an error leaves the
block (the error must come out), and also when somebody forgot to commit. `connection` is one of
sqlite3; it begins a transaction by itself, and has `execute`, `commit` and `rollback`.
"""

import sqlite3
from types import TracebackType
from typing import Any


class UnitOfWork:
    """Several changes that become true together."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> "UnitOfWork":
        raise NotImplementedError("TODO: what `as work` gets")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedError("TODO: roll back what wasn't committed")

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Carry out one statement."""
        raise NotImplementedError("TODO: pass it on")

    def commit(self) -> None:
        """Make what was done so far true."""
        raise NotImplementedError("TODO: commit")
