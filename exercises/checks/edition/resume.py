"""Killed at every moment of every batch, then run again."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from course.exercises import expect, require

BATCHES = [[1, 2], [3, 4], [5]]


class Killed(BaseException):
    """Stands for kill -9: nobody catches it, and the connection is gone."""


def story(their, deadly: int | None) -> tuple[list[int], int]:
    """(rows in the end, batches committed when it was killed) if the crash(…) number is deadly."""
    passed = 0

    def crash(moment: str) -> None:
        nonlocal passed
        passed += 1
        if passed == deadly:
            raise Killed(moment)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "warehouse.db"
        with closing(sqlite3.connect(file)) as first:
            first.execute("CREATE TABLE rows (value INTEGER)")
            first.execute("CREATE TABLE progress (done INTEGER)")
            first.execute("INSERT INTO progress VALUES (0)")
            first.commit()
            try:
                their.run(first, iter(BATCHES), crash)
            except Killed:
                pass
            finally:
                first.rollback()
        with closing(sqlite3.connect(file)) as second:
            (done,) = second.execute("SELECT done FROM progress").fetchone()
            their.run(second, iter(BATCHES))
            second.rollback()
            return [v for (v,) in second.execute("SELECT value FROM rows ORDER BY 1")], done


def check_twice(their):
    """Run twice without a crash: every row once"""
    expect(story(their, None), ([1, 2, 3, 4, 5], 3), "(rows, batches noted)")


def check_crashes(their):
    """Killed at any moment, every row is there once after the next run"""
    moments = ("before", "between", "after")
    for deadly in range(1, 10):
        batch, moment = divmod(deadly - 1, 3)
        rows, _ = story(their, deadly)
        lost = sorted({1, 2, 3, 4, 5} - set(rows))
        where = f'killed at crash("{moments[moment]}") of batch {batch + 1}'
        require(
            not lost,
            f"{where}: rows {lost} are lost",
            "The note was committed, the rows were not. What must be true together belongs "
            "into one transaction.",
        )
        require(
            len(rows) == 5,
            f"{where}: rows are there twice: {rows}",
            "The rows were committed, the note was not.",
        )


def check_batches(their):
    """Each batch is committed by itself"""
    expect(story(their, 9)[1], 3, "Killed after the last batch: three are noted.")
    expect(
        story(their, 7)[1],
        2,
        "Killed before the third batch: two are noted. One transaction "
        "around everything would lose them.",
    )
