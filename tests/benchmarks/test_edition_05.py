"""A million rows through the batch pipeline, beside the least that loading them can cost.

The floor is `csv.reader` into `executemany` in one SQLite transaction: no rule, no key, no
checkpoint. Both read the same file, each time in a new process, in turn. A machine with other
work to do gives each run another share of itself, so the time on the processor is compared as well.
"""

import random
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_etl import generate
from batch_etl.classroom import load_csv, load_plain
from utils.performance import MB, Measurement, in_new_process

Measure = Callable[..., None]
ROWS, ROUNDS, CLAIMED = 1_000_000, 5, 30


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Measurement]]:
    """Each way in each round; the pipeline's account is checked."""
    folder = tmp_path_factory.mktemp("etl")
    file = folder / "orders.csv"
    with generate.whole(file) as out:
        out.writelines(generate.csv_lines(generate.orders(1, ROWS, random.Random(6))))
    found: dict[str, list[Measurement]] = {"floor": [], "pipeline": []}
    for _ in range(ROUNDS):
        for name, way in (("floor", load_plain), ("pipeline", load_csv)):
            target = Path(folder / f"{name}.db")
            target.unlink(missing_ok=True)
            found[name].append(in_new_process(way, target, file, items=ROWS))
    account = found["pipeline"][-1].result.total
    assert account.balances and account.rows_in == ROWS and account.deduplicated > ROWS / 100
    return found


def ratio(runs: dict[str, list[Measurement]], clock: str) -> tuple[float, str]:
    """How often the pipeline takes the floor's time, median of the rounds, and both in words."""
    ours, floor = ([getattr(run, clock) for run in runs[way]] for way in ("pipeline", "floor"))
    says = f"pipeline {statistics.median(ours):.1f} s, bare loop {statistics.median(floor):.1f} s"
    return statistics.median(a / b for a, b in zip(ours, floor, strict=True)), says


def test_etl_of_a_million_rows(measured: Measure, runs: dict[str, list[Measurement]]) -> None:
    found, says = ratio(runs, "seconds")
    says = f"{says} ({CLAIMED} s claimed)"
    measured("ETL 1M rows over csv.reader into executemany", found, 3, "lower", says)


def test_etl_of_a_million_rows_by_processor(
    measured: Measure, runs: dict[str, list[Measurement]]
) -> None:
    found, says = ratio(runs, "cpu")
    name = "ETL 1M rows over csv.reader into executemany, processor time"
    measured(name, found, 3, "lower", says)


def test_etl_memory_stays_flat(measured: Measure, runs: dict[str, list[Measurement]]) -> None:
    growth = [run.growth for run in runs["pipeline"]]
    if None in growth:
        pytest.skip("this system doesn't tell how much memory a process has")
    most = max(growth) / MB  # type: ignore[type-var]
    bare = max(run.growth or 0 for run in runs["floor"]) / MB
    says = f"the process grew by {most:.1f} MB at most, the bare loop by {bare:.1f} MB"
    measured("ETL 1M rows, growth in MB", most, 10, "lower", says)
