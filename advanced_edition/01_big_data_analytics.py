"""Big data analytics: a file of any size in the memory of one page.

You will see a million sales counted while they stream by, in less memory than a photo takes: exact
means and variances that no order of the rows can change, sketches that answer with a known error,
bad rows put aside, two processes that share the work, and where DuckDB does better.

Run      python advanced_edition/01_big_data_analytics.py     (--rows 10000000 for ten million)
Needs    nothing (DuckDB and Dask are options)
Minutes  40
Next     02_financial_system.py
"""

import argparse
import csv
import math
import time
from functools import partial
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import config_advanced
from streaming_analytics import (
    DDSketch,
    Exact,
    Fixed,
    Floating,
    StreamingAnalytics,
    Welford,
    split,
    stream_csv,
)
from streaming_analytics.engines import (
    Missing,
    count_in_processes,
    count_section,
    count_with_dask,
    count_with_duckdb,
    told,
)
from streaming_analytics.sales import bad_rows, exact_answers, sales_file
from utils.performance import MB, Measurement, compare, in_new_process, table

from course.errors import UsageError
from course.lesson import Lesson, run

ENGINES = ("processes", "dask", "duckdb")
BILLION = 1_000_000_000
CLAIMED = Measurement("claimed elsewhere", 5.0, 1_000_000, 1_000_000)
WEEK = 7
OFFSETS = (0, 10**9, 10**15)
NUMBER = Fixed(places=2)
cents = NUMBER.shown
Summary = dict[str, Any]


def options(parser: argparse.ArgumentParser) -> None:
    """The module's options, and which engine shares the work."""
    config_advanced.options(parser)
    parser.add_argument("--engine", choices=ENGINES, help="show this one only (default: all)")
    parser.add_argument("--scheduler", default="", metavar="URL", help="of Dask: tcp://host:port")


def empty_pass(path: Path) -> int:
    """Read all rows below the header and do nothing else but count them: the floor."""
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def seen(summary: Summary) -> int:
    """How many rows were counted or put aside."""
    return summary["rows"] + summary["quarantined"]


def row_by_row(path: Path) -> StreamingAnalytics:
    """The loop that everything here is about."""
    rows = stream_csv(path)
    analytics = StreamingAnalytics(source=rows)
    for row in rows:
        analytics.process_row(row)
    return analytics


def in_batches(path: Path) -> StreamingAnalytics:
    """The same, some hundred rows at a time."""
    rows = stream_csv(path)
    analytics = StreamingAnalytics(source=rows)
    for batch in rows.batches():
        analytics.process_rows(batch)
    return analytics


def streaming(lesson: Lesson, path: Path) -> Summary:
    """One row at a time, and five numbers for each category.

    A row comes, changes five numbers of its category, and is forgotten: count, sum, sum of squares,
    least and greatest. Mean and variance follow from them. Ten thousand times as many rows take ten
    thousand times as long, and not one byte more.
    """
    summary = row_by_row(path).get_summary()
    lesson.table(
        [
            {"category": name, "count": group["count"], "mean": f"{group['mean']:.4f}",
             "deviation": f"{group['variance'].sqrt():.4f}", "min": group["min"],
             "max": group["max"]}
            for name, group in summary["groups"].items()
        ],
        title="Sales by category",
    )  # fmt: skip
    lesson.check("every row is counted or put aside", seen(summary) == empty_pass(path))
    return summary


def batches(lesson: Lesson, path: Path, summary: Summary) -> None:
    """A batch at a time: fewer steps of the interpreter.

    A call of a Python function costs more than an addition. `process_rows` takes some hundred rows
    apart at once, with functions that loop in C: `map`, `sum`, `min`. A chunk of the file that has
    no quotation mark needs no CSV parser either. More rows in a batch bring nothing: they fall out
    of the processor's cache.
    """
    lesson.check("the same summary, digit by digit", in_batches(path).get_summary() == summary)
    ways = {
        "csv.reader, empty": lambda: empty_pass(path),
        "process_row": lambda: row_by_row(path),
        "process_rows": lambda: in_batches(path),
    }
    measured = compare(ways, seen(summary), rounds=3)
    lesson.table(
        table({**measured, "claimed for 1M": CLAIMED}), title="Time for one pass", measured=True
    )


def variance_by_squares(values: list[float]) -> float:
    """The formula of the textbook, in floats: do not use it."""
    n, total = len(values), sum(values)
    return (sum(value * value for value in values) - total * total / n) / (n - 1)


def stability(lesson: Lesson, seed: int) -> None:
    """A large offset must not eat the digits.

    Cents beside a billion: the textbook's formula subtracts two huge numbers that are almost equal,
    and what is left is noise. Welford keeps distances from the mean instead of squares. Whole
    numbers of cents have no rounding at all, and here they are no slower. A float can't even hold a
    cent beside 10^15.
    """
    rng, rows = Random(seed), []
    small = [rng.randrange(10_000) for _ in range(1_000)]
    true = Exact()
    true.add_all(small)
    right = cents(true.variance, power=2)
    for offset in OFFSETS:
        exact, welford = Exact(), Welford()
        texts = [f"{offset + cent // 100}.{cent % 100:02d}" for cent in small]
        exact.add_all(NUMBER.parse_all(texts))
        floats = Floating().parse_all(texts)
        for value in floats:
            welford.add(value)
        found = cents(exact.variance, power=2)
        rows.append((f"{offset:,}", f"{variance_by_squares(floats):.6f}",
                     f"{welford.variance:.6f}", f"{found:.6f}"))  # fmt: skip
        lesson.check(f"exact at an offset of {offset:,}", found == right)
        if offset == 10**9:
            close = math.isclose(welford.variance, right, rel_tol=1e-6)
            lesson.check("Welford has six digits and more", close)
            wrong = not math.isclose(variance_by_squares(floats), right, rel_tol=0.01)
            lesson.check("the textbook's formula has not even two", wrong)
    names = ["offset", "squares in floats", "Welford", "whole cents"]
    lesson.table(rows, names, "Variance of the same cents")


def merging(lesson: Lesson, path: Path, summary: Summary, seed: int) -> None:
    """Any parts, in any order: the same result.

    `merge` adds what two have counted. Whole numbers add up to the same in any order, floats don't:
    so the parts of a file can go to whoever is free. A cut must not go through a row, and a
    newline within quotation marks ends none: `split` counts them.
    """
    rng = Random(seed)
    for parts in (2, 7, 30):
        done = [count_section(path, section, False) for section in split(path, parts)]
        rng.shuffle(done)
        whole = done.pop()
        while done:
            whole.merge(done.pop())
        lesson.check(f"{parts} parts, shuffled: every digit the same",
                     whole.get_summary() == summary)  # fmt: skip
    values = [rng.lognormvariate(3, 1) for _ in range(1_000)]
    sums = {sum(rng.sample(values, len(values))) for _ in range(20)}
    lesson.check("floats, added in 20 orders, give several sums", len(sums) > 1)


def processes(lesson: Lesson, path: Path, workers: int, summary: Summary) -> StreamingAnalytics:
    """Several processes, each with sections of the file.

    Python computes on one core per process. Each process counts sections, now with sketches and
    days as well, and sends back a few kilobytes: there is nothing else to exchange.
    """
    analytics = count_in_processes(
        path, workers, sketches=True, progress=partial(told, lesson.console)
    )
    found = analytics.get_summary()
    lesson.check("the same groups as one process", found["groups"] == summary["groups"])
    return analytics


def quarantine(lesson: Lesson, path: Path, analytics: StreamingAnalytics) -> None:
    """Bad rows are put aside, with line and reason.

    A row that can't be read must neither stop the night's run nor vanish. An amount with a third
    decimal is refused too, since to round it in silence would be to invent. The lines are right
    across sections and quoted newlines: each section knows on which line it begins.
    """
    bad = analytics.quarantine.rows
    lesson.table(
        [{"line": one.line, "reason": one.reason, "row": one.row[-30:]} for one in bad[:4]],
        title=f"The first of {sum(analytics.quarantine.reasons.values())} bad rows",
    )
    lesson.check("as many as were hidden", len(bad) == bad_rows(empty_pass(path)))
    wanted = {one.line for one in bad}
    with path.open(encoding="utf-8", newline="\n") as file:
        lines = {number: line for number, line in enumerate(file, 1) if number in wanted}
    found = all(one.row.startswith(lines[one.line][:20]) for one in bad)
    lesson.check("an editor finds each one on its line", found)


def sketches(lesson: Lesson, path: Path, analytics: StreamingAnalytics) -> None:
    """Sketches: nearly right, in a few kilobytes.

    A median needs all values in order, a count of different customers a set of all: memory that
    grows. A sketch has a fixed size and a known error. DDSketch keeps quantiles within 1 %,
    HyperLogLog counts different ones with a standard error of 0.8 %, Count-Min never counts too few
    and hardly too many. These three were chosen since they add up in any order.
    """
    amounts, customers, products = exact_answers(path)
    found, whole = analytics.sketches, DDSketch()
    for sketch in found.quantiles.values():
        whole.merge(sketch)
    rows: list[tuple[str, float, float]] = []
    for q in (0.5, 0.95, 0.99):
        true, told = amounts[int(q * (len(amounts) - 1))], whole.quantile(q)
        rows.append((f"quantile {q}", true / 100, told / 100))
        lesson.check(f"quantile {q} is within 1 %", abs(told - true) <= 0.01 * true + 1e-6)
    different, true = found.customers.estimate(), len(customers)
    rows.append(("different customers", true, round(different)))
    bound = 3 * found.customers.error * true
    lesson.check("customers within 3 standard errors", abs(different - true) < bound)
    heavy = dict(found.products.heavy())
    rows += [(f"sales of {name}", products[name], count) for name, count in heavy.items()]
    must = {name for name, count in products.items() if count >= 0.01 * products.total()}
    lesson.check("no product with 1 % of all sales is missed", must <= heavy.keys())
    too_many = [count - products[name] for name, count in heavy.items()]
    lesson.check("none is counted too low", min(too_many) >= 0)
    lesson.check("or too high by 0.1 % of all", max(too_many) <= 0.001 * products.total())
    lesson.table(rows, ["what", "exact", "sketch"], "Sketches beside the truth")


def windows(lesson: Lesson, analytics: StreamingAnalytics) -> None:
    """A window slides over the days on which things happened.

    Each day is a pane with its five numbers; a week is seven panes merged. Rows may come in any
    order, since their own date says where they belong. Panes beyond 400 days are dropped and
    their rows counted as late; a date in the future is a bad row.
    """
    weeks = list(analytics.sketches.panes.windows(WEEK))
    rows = [(f"{day}", week.count, f"{cents(week.mean):.2f}") for day, week in weeks[-4:]]
    lesson.table(rows, ["the week to", "sales", "mean"], "Sales in a sliding week")
    days = list(analytics.sketches.panes.windows(1))
    by_hand = sum(day.total for _, day in days[-WEEK:])
    lesson.check("the last week is the sum of its days", weeks[-1][1].total == by_hand)
    lesson.check("every sale is on a day", sum(day.count for _, day in days) == analytics.rows)


def dask(lesson: Lesson, path: Path, workers: int, groups: Summary) -> None:
    """More machines: the same accumulators on Dask.

    When one machine is too small, do not build a cluster by hand. Dask finds the workers, sends the
    work and repeats what was lost; the function that it runs is the one above. `--scheduler` names
    a cluster that is there already; its workers must see the file and have this package.
    """
    try:
        found = count_with_dask(path, workers, lesson.options.scheduler)
    except Missing as missing:
        lesson.console.say(f"  Skipped. {missing}")
        return
    lesson.check("Dask gives the same groups", found.get_summary()["groups"] == groups)


def duckdb(lesson: Lesson, path: Path, groups: Summary) -> None:
    """What you would use: DuckDB.

    One query, all cores, compiled loops over columns. On one machine, for what SQL can say, nothing
    you write by hand comes near. Whole cents are asked for here too, so that the digits can be
    compared.
    """
    try:
        start = time.perf_counter()
        found = count_with_duckdb(path)
        seconds = time.perf_counter() - start
    except Missing as missing:
        lesson.console.say(f"  Skipped. {missing}")
        return
    lesson.check("DuckDB gives the same digits", found == groups, f"{seconds:.2f} s")


def flat(lesson: Lesson, config: config_advanced.Config) -> None:
    """Ten times the rows, the same memory.

    Two files, each counted by a new process that has counted nothing before. Memory is the growth
    of that process. From the two times follows what a row costs, and what a billion would.
    """
    sizes = (config.rows // 10, config.rows)
    runs = []
    for rows in sizes:
        path = sales_file(config_advanced.DATA_DIR, rows, config.seed)
        runs.append(in_new_process(_only_the_count, path, items=rows))
    small, large = runs
    rows = list(table({f"{run.items:,} rows": run for run in runs}))
    lesson.table(rows, title="Two sizes, each in a new process", measured=True)
    each = (large.seconds - small.seconds) / (large.items - small.items)
    lesson.console.say(f"  A billion rows: about {BILLION * each / 60:,.0f} min by these two.")
    if large.growth is not None:
        lesson.check("memory grew by less than 1 MB", large.growth < MB)


def _only_the_count(path: Path) -> int:
    return count_section(path, None, False).rows


def when_not(lesson: Lesson) -> None:
    """When not to do this.

    If the data fits into memory, load it: pandas or polars answer the next question too, a stream
    must be read again for each. If SQL can say it, use DuckDB. A median that must be exact needs
    the values. Write accumulators of your own when rows come one by one and have no end, or when
    the answer is no query: and keep them mergeable.

    At a thousand times the size a single disk is the limit: store columns (Parquet) instead of
    text, cut by day, and let Dask, Spark or a warehouse read the parts that a question needs.
    """
    with lesson.expected_error(UsageError):
        stream_csv("no_such_file.csv")
    amounts = NUMBER.parse_all(["1.10", "2.20", "3.30"])
    lesson.check("for three numbers `statistics.fmean` will do", fmean(amounts) == 220)


def main(lesson: Lesson) -> None:
    """Every part as a step, over one file."""
    config = config_advanced.chosen(lesson.options, "rows")
    wanted = lesson.options.engine
    path = sales_file(config_advanced.DATA_DIR, config.rows, config.seed)
    lesson.console.say(f"{config.rows:,} sales, {path.stat().st_size / MB:.0f} MB of CSV")
    summary = lesson.step(streaming, lesson, path)
    lesson.step(batches, lesson, path, summary)
    lesson.step(stability, lesson, config.seed)
    lesson.step(merging, lesson, path, summary, config.seed)
    analytics = lesson.step(processes, lesson, path, config.workers, summary)
    lesson.step(quarantine, lesson, path, analytics)
    lesson.step(sketches, lesson, path, analytics)
    lesson.step(windows, lesson, analytics)
    if wanted in (None, "dask"):
        lesson.step(dask, lesson, path, config.workers, summary["groups"])
    if wanted in (None, "duckdb"):
        lesson.step(duckdb, lesson, path, summary["groups"])
    lesson.step(flat, lesson, config)
    lesson.step(when_not, lesson)


if __name__ == "__main__":
    run(main, options)
