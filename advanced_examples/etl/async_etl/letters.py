"""The dead-letter table: what is in it, and another try for what today's rules accept."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import asyncpg

from async_etl.flow import Flow
from async_etl.metrics import SHOWN
from async_etl.records import KINDS, Record
from async_etl.rules import Rejected, Validator
from async_etl.store import Batch

PORTION = 1_000
WAITING = """
    SELECT letter, kind, origin, format, payload, as_of FROM dead_letters
    WHERE resolved_by IS NULL AND letter > $1
    ORDER BY letter LIMIT $2 FOR UPDATE SKIP LOCKED
"""
LISTED = """
    SELECT origin, format, field, reason, convert_from(payload, 'LATIN1') AS payload,
           run_id::text AS run_id
    FROM dead_letters WHERE resolved_by IS NULL ORDER BY origin, field, letter LIMIT $1
"""


def record_of(letter: Mapping[str, Any], validator: Validator) -> Record:
    """The record in a letter, if the rules accept it today; Rejected.

    An answer that could not be read has no records. Only the source can say them again.
    """
    kind = KINDS[letter["kind"]]
    if letter["format"] == "answer":
        said = letter["payload"].decode(errors="replace")
        raise Rejected("answer", said, "one that can be read: run its window again")
    if letter["format"] == "json":
        return validator.from_json(kind, json.loads(letter["payload"]), letter["as_of"])
    text = letter["payload"].decode(errors="surrogateescape")
    return validator.from_text(kind, next(csv.reader([text]), []))


async def replay(flow: Flow) -> None:
    """Try every letter once, a portion in a transaction: loaded and resolved together, or neither.

    What is refused again stays, and the metrics name it with its reason. So does a letter that
    another replay is busy with. A record that was replaced by a newer one meanwhile changes
    nothing.
    """
    after, numbers = "", count(1)

    async def portion() -> Portion | None:
        # A new number for each attempt: when only the answer to a commit was lost, other letters
        # wait now.
        async with flow.store.pool.acquire() as connection, connection.transaction():
            return await _portion(flow, connection, after, next(numbers))

    while True:
        with flow.tracer.start_as_current_span("replay", attributes={"after": after}):
            tried = await flow.store.patiently(portion)
        if tried is None:
            return
        for name, number in tried.figures.items():
            flow.metrics.count(name, number)
        room = SHOWN - len(flow.metrics.still_refused)
        flow.metrics.still_refused += tried.refused[:room]
        after = tried.last


@dataclass(frozen=True)
class Portion:
    """Letters that were tried in one transaction: the account, the refusals, the last letter."""

    figures: dict[str, int]
    refused: list[str]
    last: str


async def _portion(
    flow: Flow, connection: asyncpg.Connection, after: str, number: int
) -> Portion | None:
    """Replay the letters behind `after`; None when there are none."""
    letters = await connection.fetch(WAITING, after, PORTION)
    if not letters:
        return None
    batch = Batch(number, extracted=len(letters))
    solved, reasons = [], []
    for letter in letters:
        try:
            record = record_of(letter, flow.validator)
        except Rejected as error:
            reasons.append(f"{letter['origin']}: {error}")
            continue
        batch.records.setdefault(letter["kind"], []).append(record)
        solved.append(letter["letter"])
    resolve = "UPDATE dead_letters SET resolved_by = $1 WHERE letter = ANY($2)"
    await connection.execute(resolve, flow.run_id, solved)
    outcome = await flow.store.load_in(connection, flow.run_id, batch, still_dead=len(reasons))
    figures = {
        "extracted": len(letters), "transformed": len(solved), "loaded": outcome.loaded,
        "quarantined": outcome.dead_lettered, "deduplicated": outcome.deduplicated,
    }  # fmt: skip
    return Portion(figures, reasons, letters[-1]["letter"])


async def waiting(pool: asyncpg.Pool, limit: int = 50) -> list[asyncpg.Record]:
    """The letters that wait, with what came and why it was refused."""
    return await pool.fetch(LISTED, limit)
