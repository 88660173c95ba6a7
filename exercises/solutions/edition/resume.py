"""Rows and note become true together: one commit for each batch."""

import sqlite3
from collections.abc import Callable, Iterable


def run(
    connection: sqlite3.Connection,
    batches: Iterable[list[int]],
    crash: Callable[[str], None] = lambda moment: None,
) -> None:
    """Load the batches that aren't there yet."""
    (done,) = connection.execute("SELECT done FROM progress").fetchone()
    for number, batch in enumerate(batches):
        if number < done:
            continue
        crash("before")
        connection.execute("UPDATE progress SET done = ?", (number + 1,))
        crash("between")
        connection.executemany("INSERT INTO rows VALUES (?)", [(value,) for value in batch])
        connection.commit()
        crash("after")
