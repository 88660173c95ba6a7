"""Projections: the same history, arranged for questions.

The log answers "what happened next". A statement asks "what happened to this account", so the
entries are written once more, in SQLite, by account. The read model remembers up to which byte of
the log it has read, in the same transaction as what it read: killed at any point, it goes on where
it was. It can be deleted and built again, or replaced by one for other questions.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path

from ledger.days import DAY, HOUR
from ledger.events import Event, decode
from ledger.journal import BANK_ACCOUNTS, entries
from ledger.log import read_lines
from ledger.money import PLACES, shown

TABLES = """
    CREATE TABLE IF NOT EXISTS position (number integer, next_byte integer);
    CREATE TABLE IF NOT EXISTS entries
        (account text, number integer, at integer, what text, amount integer);
    CREATE INDEX IF NOT EXISTS entries_of_account ON entries (account, number);
    CREATE TABLE IF NOT EXISTS days
        (day integer, what text, events integer, PRIMARY KEY (day, what));
    INSERT INTO position SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM position);
"""
BATCH = 20_000  # events in one transaction
UNITS = 10_000  # SQLite has no decimals: amounts are whole ten-thousandths, which it adds exactly
Line = tuple[int, int, str, Decimal]


@dataclass(frozen=True)
class Statement:
    """An account from `since` to `until`; `lines` are (event, time, what, amount)."""

    account: str
    opening: Decimal
    lines: list[Line]
    closing: Decimal


class ReadModel:
    """The projections in the SQLite file `path` of the log `log`."""

    def __init__(self, path: Path, log: Path) -> None:
        self.path, self.log = path, log
        with closing(self._connect()) as database:
            database.executescript(TABLES)

    def catch_up(self) -> int:
        """Read what is new in the log and say how many events that was."""
        read = 0
        with closing(self._connect()) as database:
            ((number, offset),) = database.execute("SELECT number, next_byte FROM position")
            lines = read_lines(self.log, offset)
            while batch := list(islice(lines, BATCH)):
                place, text = batch[-1]
                number, offset = (
                    number + len(batch),
                    place + len(text.encode()) + len("12345678 \n"),
                )
                with database:
                    self._project(database, [decode(text) for _, text in batch])
                    database.execute(
                        "UPDATE position SET number = ?, next_byte = ?", (number, offset)
                    )
                read += len(batch)
        return read

    def statement(self, account: str, since: int, until: int) -> Statement:
        """The statement of `account` for the times from `since` up to, without, `until`."""
        before = "SELECT coalesce(sum(amount), 0) FROM entries WHERE account = ? AND at < ?"
        between = """
            SELECT number, at, what, amount FROM entries
            WHERE account = ? AND at >= ? AND at < ? ORDER BY number, rowid
        """
        with closing(self._connect()) as database:
            ((opening,),) = database.execute(before, (account, since))
            rows = database.execute(between, (account, since, until)).fetchall()
        lines = [(number, at, what, as_amount(amount)) for number, at, what, amount in rows]
        total = opening + sum(row[3] for row in rows)
        return Statement(account, as_amount(opening), lines, as_amount(total))

    def balance(self, account: str) -> Decimal:
        """What the entries of an account add up to."""
        query = "SELECT coalesce(sum(amount), 0) FROM entries WHERE account = ?"
        with closing(self._connect()) as database:
            ((units,),) = database.execute(query, (account,))
        return as_amount(units)

    def days(self) -> list[tuple[int, str, int]]:
        """(day since 1970, kind of event, how many)."""
        with closing(self._connect()) as database:
            return database.execute("SELECT * FROM days ORDER BY day, what").fetchall()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)

    def _project(self, database: sqlite3.Connection, events: list[Event]) -> None:
        database.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?)",
            (row for event in events for row in entry_rows(event)),
        )
        counted = Counter((event.at // DAY, type(event).__name__) for event in events)
        database.executemany(
            "INSERT INTO days VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET events = events + excluded.events",
            ((day, what, count) for (day, what), count in counted.items()),
        )


def entry_rows(event: Event) -> Iterator[tuple[str, int, int, str, int]]:
    """A row for each customer's account that an entry of `event` changes."""
    for place, (debit, credit, amount) in enumerate(entries(event)):
        what = describe(event) if place == 0 else "fee"
        units = int(amount * UNITS)
        if debit not in BANK_ACCOUNTS:
            yield debit, event.number, event.at, what, -units
        if credit not in BANK_ACCOUNTS:
            yield credit, event.number, event.at, what, units


def describe(event: Event) -> str:
    """What a statement says about an event."""
    kind = {"HoldPosted": "Payment", "InterestPaid": "Interest", "FeeCharged": "Fee"}
    name = type(event).__name__
    said = getattr(event, "name", "") or getattr(event, "reason", "")
    return f"{kind.get(name, name)} {said}".rstrip()


def as_amount(units: int) -> Decimal:
    """Whole ten-thousandths as an amount."""
    return units * PLACES


def as_rows(statement: Statement, most: int) -> list[tuple[str, str, str]]:
    """The statement of a day for people: (time, what, amount), at most so many lines of it."""
    lines = [
        (f"{at % DAY // HOUR:02}:{at % HOUR // 60:02}", what, shown(amount))
        for _, at, what, amount in statement.lines[:most]
    ]
    more = len(statement.lines) - len(lines)
    return [
        ("", "opening balance", shown(statement.opening)),
        *lines,
        *([("", f"and {more:,} more", "")] if more else []),
        ("", "closing balance", shown(statement.closing)),
    ]
