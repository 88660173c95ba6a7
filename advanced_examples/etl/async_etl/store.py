"""Loading: a batch goes into PostgreSQL as a whole, once, with its account."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from async_etl.records import KINDS, Kind, Record
from async_etl.rules import Rejected
from async_etl.tables import LOCK, TABLES, TABLES_ARE_THERE

T = TypeVar("T")
Turn = Callable[[], Awaitable[None]]
OnConnection = Callable[[asyncpg.Connection], Awaitable[None]]
# The database is away, or it asks to do the whole transaction again.
AWAY = (
    OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError, asyncpg.TransactionRollbackError,
    asyncpg.TooManyConnectionsError, asyncpg.exceptions.InternalClientError,
)  # fmt: skip
# Said by the server, or by the driver before it sends.
REFUSED = (
    asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError, TypeError,
    OverflowError,
)  # fmt: skip


class StoreUnavailable(Exception):  # noqa: N818
    """PostgreSQL was away for longer than we wait; the text says what was kept and what to do."""


@dataclass(slots=True)
class Letter:
    """What was refused: the raw bytes, and why."""

    kind: str
    origin: str
    format: str
    payload: bytes
    field: str
    reason: str
    as_of: datetime | None

    @property
    def digest(self) -> str:
        """The letter's identity: the same payload of the same time is the same letter."""
        about = f"{self.kind}|{self.origin}|{self.format}|{self.as_of and self.as_of.timestamp()}|"
        return hashlib.sha256(about.encode() + self.payload).hexdigest()

    def row(self, run_id: UUID) -> tuple:
        """The columns of dead_letters."""
        return (self.digest, self.kind, self.origin, self.format, self.payload, self.field,
                self.reason, self.as_of, run_id)  # fmt: skip


@dataclass
class Batch:
    """Records and letters that are committed together; `extracted` raw records made them."""

    number: int
    records: dict[str, list[Record]] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    extracted: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a batch."""

    loaded: int
    dead_lettered: int
    deduplicated: int


def upsert_statement(kind: Kind) -> str:
    """Take over what was staged; an older observation never overwrites a newer one.

    One row a key: the newest word, of equals the first that came (`ctid` is the place in staging).
    In the order of the keys, so that two runs at once can't wait for each other.
    """
    key = ", ".join(kind.key_columns)
    changes = ", ".join(
        f"{column} = excluded.{column}" for column in kind.columns if column not in kind.key_columns
    )
    return f"""
        INSERT INTO {kind.table} ({", ".join(kind.columns)})
        SELECT DISTINCT ON ({key}) {", ".join(kind.columns)}
        FROM staged_{kind.table} ORDER BY {key}, as_of DESC, ctid
        ON CONFLICT ({key}) DO UPDATE SET {changes}
        WHERE excluded.as_of > {kind.table}.as_of
    """


# The database was restarted, which freed our lock, and another run took us for dead meanwhile.
ALIVE = """
    UPDATE runs SET status = 'running', message = '', finished_at = NULL
    WHERE run_id = $1 AND status = 'abandoned'
"""
KEEP_LETTERS = """
    INSERT INTO dead_letters (letter, kind, origin, format, payload, field, reason, as_of, run_id)
    SELECT DISTINCT ON (letter) * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[],
        $8::timestamptz[], $9::uuid[])
        AS given (letter, kind, origin, format, payload, field, reason, as_of, run_id)
    ORDER BY letter
    ON CONFLICT (letter) DO UPDATE SET resolved_by = NULL, reason = excluded.reason
    WHERE dead_letters.resolved_by IS NOT NULL
"""


async def at_once() -> None:
    """The turn of a batch that has none before it."""


async def nothing(_: asyncpg.Connection) -> None:
    """Leave the connection as it is."""


class Store:
    """The tables of one schema, through a pool of connections."""

    def __init__(self, url: str, schema: str, patience: float) -> None:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
            raise ValueError(f"schema {schema!r}: use small letters, digits and _")
        self.url, self.schema, self.patience = url, schema, patience
        self.pool: asyncpg.Pool

    @asynccontextmanager
    async def open(self, first: OnConnection = nothing) -> AsyncIterator["Store"]:
        """Connect, and make the tables where they are missing; StoreUnavailable.

        `first` is done on each new connection. What it locks stays locked while that lives: the
        connection isn't reset between two uses, nor closed because it was idle.
        """
        path = {"search_path": self.schema}

        async def connect() -> asyncpg.Pool:
            return await asyncpg.create_pool(
                self.url, min_size=0, max_size=2, server_settings=path, timeout=10, init=first,
                reset=nothing, max_inactive_connection_lifetime=0,
            )  # fmt: skip

        self.pool = await self.patiently(connect)
        try:
            await self.patiently(self._make_tables)
            yield self
        finally:
            await self._close()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(5):
                await self.pool.close()
        except AWAY:
            pass
        finally:
            self.pool.terminate()

    async def patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """`work()`, again and again while the database is away; StoreUnavailable in the end."""

        async def attempt() -> T:
            return await work()

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(AWAY),
            wait=wait_random_exponential(0.1, max=2),
            stop=stop_after_delay(self.patience),
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except AWAY as error:
            raise StoreUnavailable(
                f"PostgreSQL is away ({str(error).strip() or type(error).__name__}). Waited "
                f"{self.patience:g} s. Whole batches are kept, parts of one are not; run the same "
                "again when it is back, nothing will be there twice."
            ) from None

    async def _make_tables(self) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            if await connection.fetchval(TABLES_ARE_THERE):
                return
            await connection.execute("SET LOCAL client_min_messages = warning")
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
            await connection.execute(TABLES)

    async def load(self, run_id: UUID, batch: Batch, turn: Turn = at_once) -> Outcome:
        """Commit the batch, once, however often the connection is lost meanwhile.

        It is copied to staging at once; when `turn()` returns, it is upserted.
        """

        async def transaction() -> Outcome:
            async with self.pool.acquire() as connection, connection.transaction():
                return await self.load_in(connection, run_id, batch, turn=turn)

        try:
            return await transaction()
        except AWAY:  # our patience with the database begins when it is our turn
            await turn()
            return await self.patiently(transaction)

    async def load_in(
        self, connection: asyncpg.Connection, run_id: UUID, batch: Batch, still_dead: int = 0,
        turn: Turn = at_once,
    ) -> Outcome:  # fmt: skip
        """Load within the caller's transaction: records, letters and account, or nothing.

        `still_dead` of the extracted are dead letters already and stay so.
        """
        known = await connection.fetchrow(
            "SELECT loaded, dead_lettered, deduplicated FROM batches "
            "WHERE run_id = $1 AND number = $2", run_id, batch.number,
        )  # fmt: skip
        if known:  # it was committed, and only the answer was lost
            return Outcome(*known)
        letters = list(batch.letters)
        loaded = 0
        for kind in KINDS.values():
            records = batch.records.get(kind.name, [])
            loaded += await self._upsert(connection, kind, records, letters, turn)
        await turn()
        kept = still_dead + await self._keep(connection, run_id, letters)
        outcome = Outcome(loaded, kept, batch.extracted - loaded - kept)
        await connection.execute(
            "INSERT INTO batches VALUES ($1, $2, $3, $4, $5, $6)", run_id, batch.number,
            batch.extracted, outcome.loaded, outcome.dead_lettered, outcome.deduplicated,
        )  # fmt: skip
        await connection.execute(ALIVE, run_id)
        return outcome

    async def _upsert(
        self, connection: asyncpg.Connection, kind: Kind, records: list[Any], letters: list[Letter],
        turn: Turn,
    ) -> int:  # fmt: skip
        """How many rows were added or changed. What the database itself refuses becomes a letter.

        A batch with one poisoned record is halved until the record stands alone.
        """
        if not records:
            return 0
        staged = f"staged_{kind.table}"
        try:
            async with connection.transaction():
                await connection.execute(
                    f"CREATE TEMP TABLE IF NOT EXISTS {staged} (LIKE {kind.table}) "
                    f"ON COMMIT DELETE ROWS; TRUNCATE {staged}"
                )
                await connection.copy_records_to_table(
                    staged, records=map(kind.row, records), columns=kind.columns
                )
                await turn()
                done = await connection.execute(upsert_statement(kind))
                return int(done.split()[-1])
        except REFUSED as error:
            if len(records) == 1:
                letters.append(letter_of(kind, records[0], str(error)))
                return 0
        half = len(records) // 2
        first = await self._upsert(connection, kind, records[:half], letters, turn)
        return first + await self._upsert(connection, kind, records[half:], letters, turn)

    async def _keep(
        self, connection: asyncpg.Connection, run_id: UUID, letters: list[Letter]
    ) -> int:
        """How many letters are new in the dead-letter table."""
        if not letters:
            return 0
        columns = zip(*(letter.row(run_id) for letter in letters), strict=True)
        done = await connection.execute(KEEP_LETTERS, *map(list, columns))
        return int(done.split()[-1])


def letter_of(kind: Kind, record: Record, reason: str) -> Letter:
    """The letter of a record that passed our rules and that the database refuses."""
    values = dict(zip(kind.given, kind.row(record), strict=False))
    payload = json.dumps(values, default=_as_json).encode()
    refusal = Rejected("row", payload.decode(), "what the database accepts")
    said = f"{refusal}: {reason}"
    return Letter(kind.name, "the database", "json", payload, refusal.field, said, record.as_of)


def _as_json(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else float(str(value))
