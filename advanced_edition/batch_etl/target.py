"""The target: one SQLite file with the orders, the quarantine and how far each run has come.

Rows and checkpoint are committed together, so after a crash the checkpoint tells the truth about
the rows. The file holds no clock time: a run that was killed and started again leaves what one
run would have left.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path

from batch_etl.records import Position, Refused
from batch_etl.schema import COLUMNS, Order

PATIENCE = 30.0  # seconds to wait for another writer

# `orders` has no NOT NULL: its rows come validated, and beside a trigger such a rule makes SQLite
# be ready to undo one row alone, and that makes each insert dearer.
TABLES = """
CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS checkpoints (
    run INTEGER NOT NULL REFERENCES runs, source TEXT NOT NULL, position TEXT NOT NULL,
    rows_in INTEGER NOT NULL, loaded INTEGER NOT NULL, quarantined INTEGER NOT NULL,
    deduplicated INTEGER NOT NULL, corrected INTEGER NOT NULL, PRIMARY KEY (run, source));
CREATE TABLE IF NOT EXISTS quarantine (
    run INTEGER NOT NULL REFERENCES runs, source TEXT NOT NULL, line INTEGER NOT NULL,
    reason TEXT NOT NULL, raw BLOB NOT NULL, PRIMARY KEY (run, source, line));
CREATE TABLE IF NOT EXISTS orders (
    order_id INTEGER PRIMARY KEY, revision INTEGER, ordered_on TEXT,
    email TEXT, country TEXT, product TEXT, quantity INTEGER,
    price INTEGER, region TEXT, category TEXT,
    cents_eur INTEGER, run INTEGER);
CREATE TABLE IF NOT EXISTS superseded (
    by_run INTEGER, order_id INTEGER, revision INTEGER, ordered_on TEXT, email TEXT,
    country TEXT, product TEXT, quantity INTEGER, price INTEGER, region TEXT, category TEXT,
    cents_eur INTEGER, run INTEGER);
CREATE INDEX IF NOT EXISTS superseded_by ON superseded (by_run);
CREATE TRIGGER IF NOT EXISTS keep_superseded BEFORE UPDATE ON orders BEGIN
    INSERT INTO superseded VALUES (new.run, old.order_id, old.revision, old.ordered_on, old.email,
        old.country, old.product, old.quantity, old.price, old.region, old.category,
        old.cents_eur, old.run);
END;
"""
_ALL = ", ".join((*COLUMNS, "run"))
_CHANGED = COLUMNS[1:]
# The database deduplicates: the key finds the twin, and the higher revision stays. Of two that
# differ under one revision the greater content stays, so that the order of arrival never matters.
UPSERT = f"""
    INSERT INTO orders ({_ALL}) VALUES ({", ".join("?" * len(COLUMNS))}, {{run}})
    ON CONFLICT (order_id) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in (*_CHANGED, "run"))}
    WHERE ({", ".join(f"excluded.{name}" for name in _CHANGED)})
        > ({", ".join(f"orders.{name}" for name in _CHANGED)})
"""


class RunError(Exception):
    """A run that can't go on or can't be undone: says why and what to do."""


@dataclass
class Account:
    """Where the rows of one source went; `balances` is the law of this pipeline.

    `corrected` counts those of the deduplicated that replaced an older revision.
    """

    rows_in: int = 0
    loaded: int = 0
    quarantined: int = 0
    deduplicated: int = 0
    corrected: int = 0

    @property
    def balances(self) -> bool:
        """Every row that came in went to exactly one place."""
        return self.rows_in == self.loaded + self.quarantined + self.deduplicated

    def __add__(self, other: "Account") -> "Account":
        return Account(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass
class Checkpoint:
    """How far a source was read in a run, and the account up to there."""

    position: Position | None = None
    account: Account = field(default_factory=Account)


class Target:
    """An open target; `transaction()` surrounds all that writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Autocommit: transactions begin where this file says BEGIN, and nowhere else.
        self.connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        # A killed process loses nothing that was committed. After a power cut the last commits may
        # be missing, rows and checkpoint together, so the next run simply does them again. Waiting
        # for the disk at each commit would buy nothing here.
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        # What is committed moves into the file every 10,000 pages, which are 40 MB: each move
        # waits for the disk, and SQLite's own choice would do it ten times as often.
        self.connection.execute("PRAGMA wal_autocheckpoint = 10000")
        self.connection.executescript(f"BEGIN IMMEDIATE; {TABLES} COMMIT;")

    def close(self) -> None:
        """Close the file; an open transaction is rolled back."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block writes, or nothing of it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def run_number(self, name: str) -> int:
        """The number of the run `name`; a new name gets the next one."""
        find = "SELECT run FROM runs WHERE name = ?"
        if found := self.connection.execute(find, [name]).fetchone():
            return found[0]
        with self.transaction():
            self.connection.execute("INSERT OR IGNORE INTO runs (name) VALUES (?)", [name])
            return self.connection.execute(find, [name]).fetchone()[0]

    def checkpoint(self, run: int, source: str) -> Checkpoint:
        """The last checkpoint of `source` in `run`; an empty one at the beginning."""
        row = self.connection.execute(
            "SELECT position, rows_in, loaded, quarantined, deduplicated, corrected "
            "FROM checkpoints WHERE run = ? AND source = ?", [run, source],
        ).fetchone()  # fmt: skip
        return Checkpoint(json.loads(row[0]), Account(*row[1:])) if row else Checkpoint()

    def save_checkpoint(self, run: int, source: str, position: Position, account: Account) -> None:
        """Note how far `source` is; within the transaction that holds its rows."""
        self.connection.execute(
            "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [run, source, json.dumps(position), *(vars(account).values())],
        )

    def load(self, run: int, orders: Sequence[Order]) -> Account:
        """Upsert `orders`: their part of the account."""
        before = self.connection.total_changes
        cursor = self.connection.executemany(UPSERT.format(run=run), orders)
        # rowcount has what was inserted or replaced; total_changes also what the trigger kept.
        corrected = self.connection.total_changes - before - cursor.rowcount
        loaded = cursor.rowcount - corrected
        return Account(0, loaded, 0, len(orders) - loaded, corrected)

    def quarantine(self, run: int, source: str, refused: Iterable[Refused]) -> None:
        """Keep what was refused, with its raw bytes."""
        self.connection.executemany(
            "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?)",
            ((run, source, line, reason, raw) for line, raw, reason in refused),
        )

    def accounts(self, run: int) -> dict[str, Account]:
        """The account of each source in `run`."""
        names = [name for (name,) in self.connection.execute(
            "SELECT source FROM checkpoints WHERE run = ? ORDER BY rowid", [run])]  # fmt: skip
        return {name: self.checkpoint(run, name).account for name in names}

    def undo(self, name: str) -> None:
        """Take the run `name` back: the tables are as they were before it.

        Raises RunError when there is no such run, or when a later one built upon it.
        """
        with self.transaction():
            runs = dict(self.connection.execute("SELECT name, run FROM runs"))
            if name not in runs:
                raise RunError(f"There is no run {name!r}. Runs: {', '.join(runs) or 'none'}.")
            later = [other for other, number in runs.items() if number > runs[name]]
            if later:
                raise RunError(f"{later[-1]!r} came after {name!r}: undo it first.")
            run = [runs[name]]
            self.connection.execute("DELETE FROM orders WHERE run = ?", run)
            # What an older run had loaded. Within the undone run a row may have been replaced
            # several times: only the first replacement found the older run's content.
            self.connection.execute(
                f"INSERT INTO orders ({_ALL}) SELECT {_ALL} FROM superseded "
                "WHERE by_run = ? AND run < by_run", run,
            )  # fmt: skip
            for table, column in (("superseded", "by_run"), ("quarantine", "run"),
                                  ("checkpoints", "run"), ("runs", "run")):  # fmt: skip
                self.connection.execute(f"DELETE FROM {table} WHERE {column} = ?", run)

    def fingerprint(self) -> str:
        """A checksum of the whole content, for comparing two targets."""
        content = sha256()
        for statement in self.connection.iterdump():
            content.update(statement.encode())
        return content.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[Target]:
    """The target at `path`, closed at the end."""
    with closing(Target(path)) as target:
        yield target
