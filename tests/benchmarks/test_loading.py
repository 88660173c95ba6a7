"""Loading and upserting rows: each way beside the fastest possible, in the same run.

The floor is COPY from a file that is ready. Every way starts from the same Python rows, loads the
table of lessons async/03 and db/05, and is measured several times in turn with the others.
"""

import asyncio
import csv
import io
import statistics
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import closing
from decimal import Decimal
from functools import partial
from itertools import islice

import asyncpg
import psycopg2
import pytest
from psycopg2 import extras
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from course.measure import seconds
from course.workspace import own_schema
from tests.support import load_lesson

Measure = Callable[..., None]
Rows = list[tuple[int, str, Decimal]]
Ways = dict[str, tuple[int, Callable[[], object]]]
Speeds = dict[str, list[float]]

SCHEMA = "bench_loading"
TABLE = """
    CREATE TABLE readings (number integer PRIMARY KEY, sensor text, value numeric(8, 2))
    WITH (autovacuum_enabled = false)
"""
ROWS, BATCH, FEWER = 1_000_000, 100_000, 4_000
ROUNDS = 7
UPSERT = """
    INSERT INTO readings VALUES {}
    ON CONFLICT (number) DO UPDATE SET sensor = excluded.sensor, value = excluded.value
"""
lesson = load_lesson("async_examples/03_async_database.py")


class CsvStream:
    """Rows as a CSV file that COPY reads while it is written, a thousand rows at a time."""

    def __init__(self, rows: Iterable[tuple]) -> None:
        self.rows = iter(rows)

    def read(self, _size: int) -> str:
        """The next rows as CSV, '' at the end."""
        part = io.StringIO(newline="")
        csv.writer(part).writerows(islice(self.rows, 1_000))
        return part.getvalue()


class Database:
    """The table, reached by both drivers; asyncpg has two connections."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.sync: Connection = psycopg2.connect(url, options=f"-c search_path={SCHEMA}")
        path = {"search_path": SCHEMA}

        async def open_pool() -> asyncpg.Pool:
            return await asyncpg.create_pool(url, min_size=2, max_size=2, server_settings=path)

        self.pool = runner.run(open_pool())

    def close(self) -> None:
        """End all connections."""
        self.sync.close()
        self.runner.run(self.pool.close())

    def run_async(self, work: Callable[[asyncpg.Pool], Coroutine]) -> None:
        """Run asyncpg's `work` to its end."""
        self.runner.run(work(self.pool))

    def run_sync(self, work: Callable[[Cursor], object]) -> None:
        """Run psycopg2's `work` in one transaction."""
        with self.sync, self.sync.cursor() as cursor:
            work(cursor)

    def fill(self, rows: Rows) -> None:
        """Make the table hold exactly `rows`."""
        self.run_sync(lambda cursor: cursor.execute("TRUNCATE readings"))
        self.run_sync(lambda cursor: copy_csv(cursor, CsvStream(rows)))

    def count(self) -> int:
        """How many rows the table has."""
        with self.sync, self.sync.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM readings")
            return cursor.fetchone()[0]


def copy_csv(cursor: Cursor, file: object) -> None:
    """COPY a CSV file into the table, in pieces of a megabyte where the file has them."""
    cursor.copy_expert("COPY readings FROM STDIN WITH (FORMAT csv)", file, size=2**20)


@pytest.fixture(scope="module")
def database(service: Callable[[str], str]) -> Iterator[Database]:
    url = service("postgres")
    with (
        own_schema(SCHEMA, TABLE),
        asyncio.Runner() as runner,
        closing(Database(url, runner)) as database,
    ):
        yield database


def make_rows(count: int) -> Rows:
    return [(i, f"sensor {i % 10}", Decimal(i * 37 % 10_000) / 100) for i in range(count)]


def rows_per_second(database: Database, before: Rows, ways: Ways) -> Speeds:
    """The speed of every way in every round; the table holds `before` whenever one begins."""
    speeds: Speeds = {name: [] for name in ways}
    order = deque(ways.items())
    for _ in range(ROUNDS):
        order.rotate()
        for name, (count, way) in order:
            database.fill(before)
            speeds[name].append(count / seconds(way))
    return speeds


def ratio(speeds: Speeds, way: str, peer: str) -> float:
    return statistics.median(speeds[way]) / statistics.median(speeds[peer])


def says(speeds: Speeds) -> str:
    medians = {name: statistics.median(every) for name, every in speeds.items()}
    return ", ".join(f"{name} {speed:,.0f}" for name, speed in medians.items()) + " rows/s"


@pytest.fixture(scope="module")
def loads(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Speeds:
    """A million rows into an empty table with a primary key."""
    rows, file = make_rows(ROWS), tmp_path_factory.mktemp("loading") / "readings.csv"
    with file.open("w", newline="") as target:
        csv.writer(target).writerows(rows)

    def copy_file(cursor: Cursor) -> None:
        with file.open("rb") as source:
            copy_csv(cursor, source)

    def copy_rows(cursor: Cursor) -> None:
        copy_csv(cursor, CsvStream(rows))

    async def copy_records(pool: asyncpg.Pool) -> None:
        await pool.copy_records_to_table("readings", records=rows)

    ways: Ways = {
        "file COPY": (ROWS, partial(database.run_sync, copy_file)),
        "psycopg2 COPY": (ROWS, partial(database.run_sync, copy_rows)),
        "asyncpg COPY": (ROWS, partial(database.run_async, copy_records)),
    }
    speeds = rows_per_second(database, [], ways)
    assert database.count() == ROWS
    return speeds


def test_psycopg2_copies_rows_almost_as_fast_as_a_file(measured: Measure, loads: Speeds) -> None:
    value = ratio(loads, "psycopg2 COPY", "file COPY")
    measured("psycopg2 COPY from rows over file COPY", value, 0.85, "higher", says(loads))


def test_asyncpg_copies_rows_half_as_fast_as_a_file(measured: Measure, loads: Speeds) -> None:
    value = ratio(loads, "asyncpg COPY", "file COPY")
    measured("asyncpg COPY from rows over file COPY", value, 0.55, "higher", says(loads))


def test_upsert_through_staging(measured: Measure, database: Database) -> None:
    """Half of the rows are there already and are replaced, the other half is new."""
    rows, half = make_rows(BATCH), BATCH // 2
    old = [(number, "old", Decimal(0)) for number in range(half)]
    few = rows[half - FEWER // 2 : half + FEWER // 2]

    def executemany(cursor: Cursor) -> None:
        cursor.executemany(UPSERT.format("(%s, %s, %s)"), few)

    def execute_values(cursor: Cursor) -> None:
        extras.execute_values(cursor, UPSERT.format("%s"), rows, page_size=1_000)

    async def executemany_async(pool: asyncpg.Pool) -> None:
        await pool.executemany(UPSERT.format("($1, $2, $3)"), rows)

    async def staging(pool: asyncpg.Pool) -> None:
        await lesson.upsert(pool, rows)

    async def two_portions(pool: asyncpg.Pool) -> None:
        await asyncio.gather(lesson.upsert(pool, rows[:half]), lesson.upsert(pool, rows[half:]))

    ways: Ways = {
        "psycopg2 executemany": (FEWER, partial(database.run_sync, executemany)),
        "psycopg2 execute_values": (BATCH, partial(database.run_sync, execute_values)),
        "asyncpg executemany": (BATCH, partial(database.run_async, executemany_async)),
        "staging": (BATCH, partial(database.run_async, staging)),
        "staging, two portions": (BATCH, partial(database.run_async, two_portions)),
    }
    speeds = rows_per_second(database, old, ways)
    assert database.count() == BATCH
    value = ratio(speeds, "staging, two portions", "psycopg2 executemany")
    measured("upsert through staging over executemany", value, 15, "higher", says(speeds))
