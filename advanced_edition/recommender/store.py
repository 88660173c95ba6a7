"""The similarities on disk: one SQLite table, clustered by its key, so that a look-up is one walk.

`WITHOUT ROWID` makes the table the index: the neighbours of a product lie side by side, best first.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

from recommender.similarity import Neighbours

TABLE = """
    CREATE TABLE similar (
        product INTEGER, other INTEGER, score REAL,
        PRIMARY KEY (product, score DESC, other)
    ) WITHOUT ROWID
"""
FIND = "SELECT other, score FROM similar WHERE product = ? ORDER BY score DESC, other"


def write(path: Path, rows: Iterable[tuple[int, int, float]]) -> int:
    """Make the store at `path` from (product, other, score); how many rows that were.

    It gets its name when it is whole: who finds the file finds all of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    database = sqlite3.connect(unfinished)
    try:
        # Nobody reads an unfinished file, so it needs no journal to be repaired from.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(TABLE)
        written = database.executemany("INSERT INTO similar VALUES (?, ?, ?)", rows).rowcount
        database.commit()
        database.close()
        unfinished.replace(path)
    finally:
        database.close()
        unfinished.unlink(missing_ok=True)
    return written


class SimilarityStore:
    """The third tier: the table itself, which has all answers. Threads may share it."""

    name = "SQLite"

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
        )
        self._lock = threading.Lock()

    def get(self, product: int) -> Neighbours:
        """The neighbours of `product`, best first; () for one that has none or doesn't exist."""
        with self._lock:
            return tuple(self._database.execute(FIND, (product,)).fetchall())

    def close(self) -> None:
        """Close the file."""
        self._database.close()
