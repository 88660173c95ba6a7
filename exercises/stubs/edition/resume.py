"""Killed in the middle, and nothing is lost.

`run` loads batches and notes how far it came, so that after a crash the next run goes on there.
It loses rows: when it is killed at the wrong moment, a batch is noted and its rows aren't there.
Repair it, so that after any crash the next run leaves every row there exactly once. Batches must
still be committed one by one: who is killed at the end must not begin from the start.

`connection` is one of sqlite3, with the tables rows(value) and progress(done), which has one row.
`batches` gives the batches from the first one on; `crash(moment)` is where the check kills it.
"""

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
        # TODO: two commits are one too many. (Leave the three crash(…) lines where they are:
        # before the work, between the two statements, after the work.)
        crash("before")
        connection.execute("UPDATE progress SET done = ?", (number + 1,))
        connection.commit()
        crash("between")
        connection.executemany("INSERT INTO rows VALUES (?)", [(value,) for value in batch])
        connection.commit()
        crash("after")
