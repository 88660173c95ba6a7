"""Streaming analytics beside an empty `csv.reader` pass over the same file, and DuckDB beside bare.

The floor reads every row and does nothing with it. Ways take turns, and the order changes from
round to round; each ratio is between medians. Where one process only computes, its processor time
is compared, which other programs on the machine disturb less; the rest is wall time.
"""

import csv
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import pytest
from streaming_analytics import Floating, StreamingAnalytics, stream_csv
from streaming_analytics.engines import (
    count_in_processes,
    count_section,
    count_with_duckdb,
)
from streaming_analytics.moments import Number
from streaming_analytics.sales import sales_file
from utils.performance import MB, in_new_process

from course.measure import seconds
from course.settings import ROOT
from tests.support import environment_python

Measure = Callable[..., None]
Ways = dict[str, Callable[[], object]]
ROWS, MANY, SEED = 1_000_000, 10_000_000, 6
BILLION = 1_000_000_000
PEER = ROOT / "tests" / "benchmarks" / "dask_peer"
# What anybody would type first; bad rows are left out here, as they are in ours.
BARE = """
    SELECT category, count(*), avg(amount), var_samp(amount), min(amount), max(amount)
    FROM read_csv($path, types = {'amount': 'DECIMAL(18, 2)'}, ignore_errors = true)
    GROUP BY category
"""


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sales_file(tmp_path_factory.mktemp("sales"), ROWS, SEED)


@pytest.fixture(scope="module")
def more_sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sales_file(tmp_path_factory.mktemp("sales"), MANY, SEED)


def empty_pass(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        for _row in csv.reader(file):
            pass


def row_by_row(path: Path, number: Number | None = None) -> StreamingAnalytics:
    rows = stream_csv(path)
    analytics = StreamingAnalytics(number=number, source=rows)
    for row in rows:
        analytics.process_row(row)
    return analytics


def in_batches(path: Path, number: Number | None = None) -> StreamingAnalytics:
    rows = stream_csv(path)
    analytics = StreamingAnalytics(number=number, source=rows)
    for batch in rows.batches():
        analytics.process_rows(batch)
    return analytics


def count_rows(path: Path) -> int:
    return count_section(path, None, False).rows


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def medians(
    ways: Ways, rounds: int, clock: Callable[[Callable[[], object]], float] = seconds
) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    order = deque(ways.items())
    for _ in range(rounds):
        order.rotate()
        for name, way in order:
            found[name].append(clock(way))
    return {name: statistics.median(times) for name, times in found.items()}


def says(times: dict[str, float]) -> str:
    return ", ".join(f"{name} {time:.2f} s" for name, time in times.items())


@pytest.fixture(scope="module")
def passes(sales: Path) -> dict[str, float]:
    assert row_by_row(sales).get_summary() == in_batches(sales).get_summary()
    ways: Ways = {
        "csv.reader": partial(empty_pass, sales),
        "process_row": partial(row_by_row, sales),
        "process_rows": partial(in_batches, sales),
        "process_row, Welford": partial(row_by_row, sales, Floating()),
        "process_rows, Welford": partial(in_batches, sales, Floating()),
    }
    return medians(ways, rounds=9, clock=cpu_seconds)


@pytest.mark.parametrize(
    ("way", "target"),
    [
        ("process_row", 2.2),
        ("process_rows", 1.6),
        ("process_row, Welford", 2.2),
        ("process_rows, Welford", 1.6),
    ],
)
def test_statistics_cost_little_beside_reading(
    measured: Measure, passes: dict[str, float], way: str, target: float
) -> None:
    ratio = passes[way] / passes["csv.reader"]
    measured(f"stream 1M rows, {way}, over csv.reader", ratio, target, "lower", says(passes))


def test_memory_does_not_grow_with_the_rows(
    measured: Measure, sales: Path, more_sales: Path
) -> None:
    one = in_new_process(count_rows, sales, items=ROWS)
    ten = in_new_process(count_rows, more_sales, items=MANY)
    if one.growth is None or ten.growth is None:
        pytest.skip("this system does not tell the memory of a process")
    each = (ten.seconds - one.seconds) / (MANY - ROWS)
    text = f"{one}; {ten}; a billion in {each * BILLION / 60:.0f} min"
    measured("stream 1M rows, growth in MB", one.growth / MB, 1, "lower", text)
    measured("stream 10M rows, growth in MB", ten.growth / MB, 1, "lower", text)


def test_two_processes(measured: Measure, more_sales: Path) -> None:
    ways: Ways = {
        "one": partial(count_section, more_sales, None, False),
        "two": partial(count_in_processes, more_sales, 2),
    }
    times = medians(ways, rounds=3)
    ratio = times["two"] / times["one"]
    measured("stream 10M rows, two processes over one", ratio, 0.75, "lower", says(times))


def test_duckdb_beside_bare_duckdb(measured: Measure, sales: Path) -> None:
    def bare() -> object:
        with duckdb.connect() as connection:
            return connection.execute(BARE, {"path": str(sales)}).fetchall()

    assert count_with_duckdb(sales) == in_batches(sales).get_summary()["groups"]
    times = medians({"ours": partial(count_with_duckdb, sales), "bare": bare}, rounds=15)
    ratio = times["ours"] / times["bare"]
    measured("--engine duckdb over bare DuckDB", ratio, 1.2, "lower", says(times))


def test_dask_on_this_machine(sales: Path, tmp_path: Path) -> None:
    """The same answer; its time is told and gates nothing."""
    command = [sys.executable, str(ROOT / "learn.py"), "environment", str(PEER)]
    made = subprocess.run(command, capture_output=True, check=False, text=True, timeout=600)
    if made.returncode:
        pytest.skip(f"Dask can't be installed: {made.stderr}")
    command = [environment_python(PEER / ".venv"), PEER / "worker.py", sales]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
