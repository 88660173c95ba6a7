"""The dead-letter table: what is in it, and another try for what today's rules accept."""

import csv
import json
from collections.abc import Mapping
from typing import Any

import asyncpg

from async_etl.flow import Flow
from async_etl.records import KINDS, Record
from async_etl.rules import Rejected, Validator
from async_etl.store import Batch

PORTION = 1_000
WAITING = """
    SELECT letter, kind, format, payload, field, reason, as_of FROM dead_letters
    WHERE resolved_by IS NULL AND format <> 'answer' AND letter > $1
    ORDER BY letter LIMIT $2 FOR UPDATE SKIP LOCKED
"""
LISTED = """
    SELECT origin, format, field, reason, convert_from(payload, 'LATIN1') AS payload,
           run_id::text AS run_id
    FROM dead_letters WHERE resolved_by IS NULL ORDER BY origin, field, letter LIMIT $1
"""


def record_of(letter: Mapping[str, Any], validator: Validator) -> Record:
    """The record in a letter, if the rules accept it today; Rejected."""
    kind = KINDS[letter["kind"]]
    if letter["format"] == "json":
        return validator.from_json(kind, json.loads(letter["payload"]), letter["as_of"])
    text = letter["payload"].decode(errors="surrogateescape")
    return validator.from_text(kind, next(csv.reader([text]), []))


async def replay(flow: Flow) -> None:
    """Try every letter once, a portion in a transaction: loaded and resolved together, or neither.

    What is refused again stays, and so does a letter that another replay is busy with. A record
    that was replaced by a newer one meanwhile changes nothing. An answer that could not be read
    has no records: run the same window again instead.
    """
    after, number = "", 0
    while after is not None:
        number += 1

        async def portion(after: str = after, number: int = number) -> str | None:
            async with flow.store.pool.acquire() as connection, connection.transaction():
                return await _portion(flow, connection, after, number)

        with flow.tracer.start_as_current_span("replay", attributes={"portion": number}):
            after = await flow.store.patiently(portion)


async def _portion(
    flow: Flow, connection: asyncpg.Connection, after: str, number: int
) -> str | None:
    """Replay the letters behind `after`; the last one tried, None when there were none."""
    letters = await connection.fetch(WAITING, after, PORTION)
    if not letters:
        return None
    batch, stays = Batch(number, extracted=len(letters)), []
    solved = []
    for letter in letters:
        try:
            record = record_of(letter, flow.validator)
        except Rejected:
            stays.append(letter["letter"])
            continue
        batch.records.setdefault(letter["kind"], []).append(record)
        solved.append(letter["letter"])
    resolve = "UPDATE dead_letters SET resolved_by = $1 WHERE letter = ANY($2)"
    await connection.execute(resolve, flow.run_id, solved)
    outcome = await flow.store.load_in(connection, flow.run_id, batch, still_dead=len(stays))
    for name, count in (
        ("extracted", len(letters)), ("transformed", len(solved)), ("loaded", outcome.loaded),
        ("quarantined", outcome.dead_lettered), ("deduplicated", outcome.deduplicated),
    ):  # fmt: skip
        flow.metrics.count(name, count)
    return str(letters[-1]["letter"])


async def waiting(pool: asyncpg.Pool, limit: int = 50) -> list[asyncpg.Record]:
    """The letters that wait, with what came and why it was refused."""
    return await pool.fetch(LISTED, limit)
