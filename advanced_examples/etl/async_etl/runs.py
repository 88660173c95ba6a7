"""The notes about runs: that one began, how it ended, and which of them died without a word."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from async_etl.store import Store, StoreUnavailable

# A run's lock: each connection of a run shares it for as long as the connection lives.
HOLD = "SELECT pg_advisory_lock_shared(hashtextextended($1::text, 0))"
ABANDON = """
    UPDATE runs SET status = 'abandoned', finished_at = now(),
           message = 'its process ended without a word; run the same again'
    WHERE status = 'running' AND pg_try_advisory_xact_lock(hashtextextended(run_id::text, 0))
"""
BEGIN = """
    INSERT INTO runs (run_id, what, status) VALUES ($1, $2, 'running') ON CONFLICT DO NOTHING
"""
END = "UPDATE runs SET status = $2, message = $3, finished_at = now() WHERE run_id = $1"


@asynccontextmanager
async def noting(store: Store, run_id: UUID, what: str, errors: list[str]) -> AsyncIterator[None]:
    """Note that the block began, and how it ended; and first, which earlier runs are dead.

    Who is killed notes nothing. But PostgreSQL frees the locks of a connection that is gone: a run
    that is 'running' and whose lock is free has no process any more.
    """

    async def note(query: str, *values: object) -> None:
        await store.patiently(lambda: store.pool.execute(query, *values))

    await note(ABANDON)
    await note(BEGIN, run_id, what)
    try:
        yield
    except StoreUnavailable:
        raise
    except BaseException as error:
        await note(END, run_id, "failed", str(error) or type(error).__name__)
        raise
    await note(END, run_id, "incomplete" if errors else "complete", "; ".join(errors))


async def hold(connection: asyncpg.Connection, run_id: UUID) -> None:
    """Share the lock of the run, until this connection is gone."""
    await connection.execute(HOLD, str(run_id))
