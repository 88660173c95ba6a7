"""What the lesson tells its story with: sources shown, tables asked, accounts told."""

import asyncio
import inspect
import sys
from textwrap import dedent, indent
from typing import Any

import asyncpg

from async_etl.metrics import Metrics
from course import connect
from course.lesson import Lesson

# What must be the same after one run and after a killed one and its rerun.
COMPARED = {
    "weather_readings": "city, observed_at, temperature_c, humidity, wind_kmh, conditions, as_of",
    "stock_quotes": "symbol, observed_at, open, high, low, price, volume, as_of",
    "source_clocks": "source, as_of",
    "dead_letters": "letter, kind, origin, payload, reason, as_of",
}


def show(*things: Any) -> None:
    """Print the source of something short, or a text, set apart from the story."""
    for thing in things:
        text = thing if isinstance(thing, str) else inspect.getsource(thing)
        print(indent(dedent(text).strip("\n").rstrip(), "    ") + "\n")


async def ask(schema: str, query: str, *values: object) -> list[tuple]:
    """The rows of a query about the tables of one schema."""
    path = {"search_path": schema}
    connection = await asyncpg.connect(connect.url("postgres"), server_settings=path)
    try:
        return [tuple(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


async def fingerprint(schema: str) -> list[tuple[str, int, str]]:
    """(table, number of rows, digest of all of them) for each table of the pipeline."""
    query = """SELECT count(*), md5(string_agg(one::text, ',' ORDER BY one::text))
               FROM (SELECT {} FROM {}) AS one"""
    return [
        (table, rows, digest)
        for table, columns in COMPARED.items()
        for rows, digest in await ask(schema, query.format(columns, table))
    ]


async def committed_batches(schema: str) -> int:
    """How many batches were committed there, 0 while there are no tables."""
    ((made,),) = await ask(schema, "SELECT to_regclass('batches') IS NOT NULL")
    return (await ask(schema, "SELECT count(*) FROM batches"))[0][0] if made else 0


async def start_run(schema: str, source: str, *options: str) -> asyncio.subprocess.Process:
    """The pipeline as a process of its own, with small batches."""
    command = [sys.executable, "-m", "async_etl", "run", "--schema", schema, "--source", source,
               "--batch-size", "300", "--trace", "off", *options]  # fmt: skip
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )


def tell_account(lesson: Lesson, runs: dict[str, Metrics]) -> None:
    """Show where the records of some runs went, and check that the sums are right."""
    rows = [
        (name, one.extracted, one.loaded, one.quarantined, one.deduplicated)
        for name, one in runs.items()
    ]
    lesson.table(rows, ["run", "extracted", "= loaded", "+ dead-lettered", "+ deduplicated"])
    lesson.check("the account balances", all(one.balanced for one in runs.values()))
