"""The ETL pipeline beside raw COPY of the same file into the same table, in the same run.

The pipeline reads each line, makes a typed record, checks every rule, copies it to staging,
upserts, and keeps the account; COPY only loads. A second measurement in a process of its own tells
how much memory a million records take.
"""

import asyncio
import csv
import gc
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from async_etl import ETLPipeline, Settings
from async_etl.pipeline import collect_seldom

from course.measure import seconds
from course.settings import ROOT
from course.workspace import own_schema

Measure = Callable[..., None]

SCHEMA = "bench_etl"
ROWS, CITIES, ROUNDS = 1_000_000, 40, 3
AS_OF = "2025-10-26T12:00:00Z"
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
SKY = ("clear", "rain", "fog", "snow")
MEMORY = """
import asyncio, json, sys
from pathlib import Path
import psutil
from async_etl import ETLPipeline, Settings
from async_etl.pipeline import collect_seldom
few, many = map(Path, sys.argv[2:4])
pipeline = ETLPipeline(Settings(schema=sys.argv[1]), trace_to="off")
collect_seldom()
process, peak = psutil.Process(), 0

async def watch():
    global peak
    while True:
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.005)

async def main():
    watcher = asyncio.create_task(watch())
    await pipeline.load_file(few)
    await asyncio.sleep(0.05)
    before = process.memory_info().rss
    await pipeline.load_file(many)
    watcher.cancel()
    print(json.dumps([before / 1e6, peak / 1e6, pipeline.metrics.extracted]))

asyncio.run(main())
"""


def write(file: Path, count: int) -> Path:
    """A CSV file of hourly readings in 40 cities, in the order of time."""
    with file.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        for i in range(count):
            at = (BEGIN + timedelta(hours=i // CITIES)).strftime("%Y-%m-%dT%H:%M:%SZ")
            degrees = (i * 37 % 700 - 300) / 10
            city = f"City {i % CITIES:02}"
            writer.writerow((city, at, degrees, i * 7 % 100, i * 3 % 120, SKY[i % 4], AS_OF))
    return file


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("etl") / "readings.csv", ROWS)


@pytest.fixture(autouse=True)
def as_the_command_does() -> Iterator[None]:
    """Look for cycles of objects as seldom as `python -m async_etl` does."""
    usual = gc.get_threshold()
    collect_seldom()
    yield
    gc.set_threshold(*usual)


def test_a_million_records_through_all_stages(
    measured: Measure, service: Callable[[str], str], file: Path
) -> None:
    with own_schema(SCHEMA):
        settings = replace(Settings(), schema=SCHEMA)
        pipeline = ETLPipeline(settings, trace_to="off")
        url = service("postgres")
        connection = psycopg2.connect(url, options=f"-c search_path={SCHEMA}")
        connection.autocommit = True
        cursor = connection.cursor()
        empty = file.with_name("empty.csv")
        empty.touch()
        asyncio.run(pipeline.load_file(empty))  # makes the tables
        cursor.execute("ALTER TABLE weather_readings SET (autovacuum_enabled = false)")

        def copy() -> None:
            with file.open("rb") as source:
                query = "COPY weather_readings FROM STDIN WITH (FORMAT csv)"
                cursor.copy_expert(query, source, size=2**20)

        def run() -> None:
            asyncio.run(pipeline.load_file(file))

        took: dict[str, list[float]] = {"raw COPY": [], "pipeline": []}
        for _ in range(ROUNDS):
            for name, work in (("raw COPY", copy), ("pipeline", run)):
                cursor.execute("TRUNCATE weather_readings")
                took[name].append(seconds(work))
                cursor.execute("SELECT count(*) FROM weather_readings")
                assert cursor.fetchone() == (ROWS,)
            assert pipeline.metrics.balanced and pipeline.metrics.loaded == ROWS
        connection.close()
    medians = {name: statistics.median(times) for name, times in took.items()}
    ratio = medians["pipeline"] / medians["raw COPY"]
    says = ", ".join(f"{name} {median:.2f} s" for name, median in medians.items())
    measured("ETL of 1M records over raw COPY", ratio, 3.5, "lower", f"{says}; {ROUNDS} rounds")


def test_memory_stays_flat(
    measured: Measure, service: Callable[[str], str], file: Path, tmp_path: Path
) -> None:
    service("postgres")
    few = write(tmp_path / "few.csv", 5_000)
    with own_schema(SCHEMA):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, SCHEMA, few, file],
            capture_output=True, check=True, cwd=ROOT, text=True,
        )  # fmt: skip
    before, peak, extracted = json.loads(done.stdout)
    assert extracted == ROWS
    says = f"{before:.0f} MB after 5,000 records, at most {peak:.0f} MB in a million"
    measured("ETL of 1M records, memory growth in MB", peak - before, 60, "lower", says)
