"""An ETL pipeline in batches: every row is accounted for, whatever happens.

You will see a million orders from a CSV file, a JSON Lines file and a paged HTTP API that
misbehaves: validated, cleaned, enriched, deduplicated and loaded into SQLite. Then the pipeline is
killed, fed garbage and started twice, and the account balances each time. The parts stand in
`batch_etl`, beside this script: read `schema.py`, `target.py` and `pipeline.py`.

Run      python advanced_edition/05_etl_data_pipeline.py    (--step pauses, --rows N sets the size)
Needs    nothing
Minutes  60
Next     README_advanced.md
"""

import sqlite3
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path

import batch_etl as etl
import config_advanced
from batch_etl import alerts, generate, report, shop_api
from batch_etl.classroom import bytes_of, fingerprint, kill_after, load_all, load_csv, load_plain
from batch_etl.generate import Files
from batch_etl.pipeline import Metrics
from batch_etl.schema import NAMES, faults_of
from config_advanced import Config
from utils.performance import MB, in_new_process, measure

from course.errors import UsageError
from course.lesson import Lesson, run

LEAST = 10_000
SMALL = 10_000  # rows of the steps that break things
CLAIMED_SECONDS, MOST_GROWTH = 30, 10 * MB
FAULTS = {1: ["garbage"], 2: ["429"], 3: ["drop"], 4: ["half", "503"]}
DAY, NEXT_DAY = "2025-10-26", "2025-10-27"
ARRIVING = 200  # rows a second, for the comparison with streaming

GOOD = ["17", "1", "2025-10-20", "anna@example.com", "UA", "P001", "2", "999.00"]
UNTIDY = [" 17", "1", "20.10.2025", " Anna@Example.COM", "ukraine", "p001", "2", "999"]
BAD = ["17", "1", "03/04/2025", "anna@example.com", "UA", "P999", "-2", "999.00"]


def the_sources(lesson: Lesson, rows: int, seed: int) -> Files:
    """Extract: three sources with the same orders in three shapes.

    A shop exports CSV, the web site writes JSON Lines, a partner has an HTTP API with pages. They
    overlap, they repeat themselves, and about one row in a hundred is broken. The data is made
    once from a seed and used again.
    """
    files = generate.make(config_advanced.DATA_DIR, rows, seed)
    counts = dict(zip(("shop.csv", "web.jsonl", "partner-api"), generate.shares(rows), strict=True))
    lesson.table(list(counts.items()), ["source", "rows"])
    with files.json_lines.open(encoding="utf-8") as lines:
        print(f"\n  A line of web.jsonl:\n    {next(lines).strip()[:70]}...")
    return files


def the_schema(lesson: Lesson) -> None:
    """Validate, clean, enrich: take what is sure, refuse the rest.

    Each field has one rule, and its function cleans what is meant beyond doubt. A refusal names
    the field, the value and the rule, for all broken fields at once: who repairs the source wants
    one list, not one surprise a day. 03/04/2025 is April in Kyiv and March in Boston, so nobody
    may guess.
    """
    clean, tidied = etl.validate(GOOD), etl.validate(UNTIDY)
    lesson.table(zip(NAMES, UNTIDY, map(str, tidied), strict=True), ["field", "came as", "cleaned"])
    lesson.check("the untidy row means the same order", tidied == clean)
    with lesson.expected_error(etl.InvalidRowError):
        etl.validate([*GOOD[:3], "anna", *GOOD[4:]])
    faults = faults_of(BAD)
    lesson.table(faults, ["field", "value", "rule"], "A row with several faults")
    named = [field for field, _, _ in faults]
    wanted = ["ordered_on", "product", "quantity"]
    lesson.check("the refusal names every broken field", named == wanted)
    region, category, cents = etl.enrich(clean)[-3:]
    print(f"  enriched with: {region}, {category}, {cents / 100:.2f} EUR")
    lesson.check("2 x 999.00 at 0.0205 EUR are 40.96 EUR", cents == 4096)


def load_everything(lesson: Lesson, target: Path, files: Files, config: Config) -> Metrics:
    """Load it all, and balance the account.

    Rows and checkpoint are committed together, a chunk at a time (`chunk_size` of the tier, 10,000
    rows by default), so only one chunk is in memory.
    Twins are found by the key of the table, not by a set of all keys that would grow with the
    data. Of two the higher revision stays, whichever came first. The API answers with garbage,
    429 and half a page: the client waits as long as it is told, and asks again.
    """
    with shop_api.serving(files.api, FAULTS, waits=round(lesson.delay(1))) as api:
        taken = in_new_process(load_all, target, DAY, files, api.url, config.chunk_size)
    metrics, rows = taken.result, config.rows
    lesson.table(report.account_rows(metrics), title=f"The run {DAY}")
    account = metrics.total
    lesson.check("every row came in", account.rows_in == rows, f"{rows:,}")
    lesson.check("rows in = loaded + quarantined + deduplicated, exactly", account.balances)
    with etl.opened(target) as there:
        (count,) = there.connection.execute("SELECT count(*) FROM orders").fetchone()
    lesson.check("the table holds what the account says", count == account.loaded, f"{count:,}")
    troubles = ", ".join(sorted(metrics.troubles)) or "none, there were too few pages"
    lesson.console.paragraphs(f"The API was asked again after: {troubles}.")
    growth = f"{taken.growth / MB:.1f} MB" if taken.growth is not None else "unknown here"
    figures = [("claimed for 1M rows", f"{CLAIMED_SECONDS}", "under 10 MB"),
               (f"{rows:,} rows", f"{taken.seconds:.1f}", growth)]  # fmt: skip
    lesson.table(figures, ["", "seconds", "growth"], "Time and memory", measured=True)
    flat = taken.growth is None or taken.growth < MOST_GROWTH
    lesson.check("the process grew by less than 10 MB", flat)
    return metrics


def the_quarantine(lesson: Lesson, target: Path, files: Files) -> None:
    """The quarantine: nothing is thrown away.

    A refused row keeps its raw bytes, its source and line, the run and the reason. So the owner of
    the source can repair it, and a repaired rule can be tried on what it had refused.
    """
    with etl.opened(target) as there:
        lesson.table(report.reasons(there, DAY), ["reason", "rows"], "Commonest reasons")
        line, raw, reason = there.connection.execute(
            "SELECT line, raw, reason FROM quarantine WHERE source = 'shop.csv' ORDER BY line"
        ).fetchone()
    print(f"  shop.csv, line {line}: {raw.decode().strip()}\n    {reason}")
    with files.csv.open("rb") as file:
        (original,) = islice(file, line - 1, line)
    lesson.check("the raw bytes are those of the file", raw == original)


def twice(lesson: Lesson, folder: Path, files: Files) -> Path:
    """Idempotent: the same run twice changes nothing.

    A run has a name, such as the day it is for. The same run again finds that its checkpoints
    stand at the end of each source, and the file stays the same to the byte. Another run over the
    same files finds only twins.
    """
    target = folder / "twice.db"
    with shop_api.serving(files.api) as api:
        load_all(target, DAY, files, api.url)
        before = bytes_of(target)
        again = load_all(target, DAY, files, api.url)
        lesson.check("the same run again took no row", again.rows_now == 0)
        lesson.check("and left the file as it was, to the byte", bytes_of(target) == before)
        content = fingerprint(target)
        other = load_all(target, NEXT_DAY, files, api.url).total
    lesson.check("under another name it loads nothing", other.loaded == other.corrected == 0)
    lesson.check("and the account balances", other.balances, f"{other.deduplicated:,} twins")
    with etl.opened(target) as there:
        there.undo(NEXT_DAY)
    lesson.check("undone, all tables are as before", fingerprint(target) == content)
    return target


def killed(lesson: Lesson, folder: Path, files: Files) -> None:
    """Killed with -9: the next run goes on where the last commit was.

    No handler runs, nothing is tidied up. What was not committed is not there, and the checkpoint
    says exactly what is, because both were one transaction. Had the checkpoint been a file of its
    own, a kill between the two would lose rows or load them twice.
    """
    whole, broken = folder / "whole.db", folder / "killed.db"
    options = ["--csv", files.csv, "--commit-rows", "250", "--api"]
    with shop_api.serving(files.api) as api, etl.opened(whole) as there:
        sources = [etl.CsvFile(files.csv), etl.ApiSource(api.url)]
        etl.run_etl(there, DAY, sources, 250)
        # Page 2 is kept back, so that it can't end before it is killed.
        with shop_api.serving(files.api, {2: ["429"]}, waits=600) as slow:
            reached = kill_after(broken, 500, DAY, *options, slow.url)
        with etl.opened(broken) as again:
            etl.run_etl(again, DAY, sources, 250)
    rows = len(files.csv.read_bytes().splitlines()) - 1
    lesson.check("it was killed on its way", 500 <= reached <= rows + shop_api.PAGE_ROWS)
    lesson.check("a rerun equals one run", fingerprint(broken) == fingerprint(whole))


def rollback(lesson: Lesson, target: Path) -> None:
    """Rollback: a transaction that fails leaves the file as it was.

    An error in the middle, and not one byte is different. So a chunk is in the target with its
    checkpoint and its quarantine, or nothing of it is.
    """
    before = bytes_of(target)
    with lesson.expected_error(sqlite3.Error), etl.opened(target) as there:
        number = there.run_number(DAY)
        with there.transaction():
            loaded = there.load(number, [etl.enrich(etl.validate(["999999", *GOOD[1:]]))]).loaded
            there.connection.execute("INSERT INTO no_such_table VALUES (1)")
    lesson.check("one order was loaded before the error", loaded == 1)
    lesson.check("the file is as it was, byte for byte", bytes_of(target) == before)


def take_back(lesson: Lesson, folder: Path, target: Path) -> None:
    """Undo: a whole run can be taken back.

    A run is many transactions, so undoing it is work of its own. It can be done because every row
    knows its run, and what a correction replaced is kept in `superseded`. A file that changed
    under a run is refused, and a run with a flood of bad rows is taken back by itself.
    """
    content, header = fingerprint(target), ",".join(NAMES)
    corrections, shifted = folder / "fixes.csv", folder / "shifted.csv"
    new, corrected = ",".join(["999999", *GOOD[1:]]), ",".join(["1", "9", *GOOD[2:]])
    corrections.write_text(f"{header}\n{new}\n{corrected}\n", encoding="utf-8")
    with etl.opened(target) as there:
        account = etl.run_etl(there, NEXT_DAY, [etl.CsvFile(corrections)]).total
        found = (account.loaded, account.corrected)
        lesson.check("a run adds one order and corrects one", found == (1, 1))
        corrections.write_text(f"{header}\n{new}\n", encoding="utf-8")
        with lesson.expected_error(etl.SourceError):
            etl.run_etl(there, NEXT_DAY, [etl.CsvFile(corrections)])
        there.undo(NEXT_DAY)
    lesson.check("undone, the old revision is back", fingerprint(target) == content)
    lines = [header, *(",".join([str(n), *GOOD[2:], "1"]) for n in range(1, 2_001))]
    shifted.write_text("\n".join(lines), encoding="utf-8")
    with lesson.expected_error(etl.TooManyBadRowsError), etl.opened(target) as there:
        etl.run_etl(there, NEXT_DAY, [etl.CsvFile(shifted)], stop_above=0.2)
    lesson.check("a flood of bad rows is taken back", fingerprint(target) == content)


def batch_or_stream(lesson: Lesson, folder: Path, files: Files) -> None:
    """Batch or streaming: rows a second against seconds of age.

    The same code with smaller transactions is streaming: a row is visible as soon as it comes.
    But each commit has its price. In a batch it is shared, and a row waits until its batch is full.
    The speed is measured; the age is computed, as if 200 rows came in a second. Take batches for
    reports of yesterday, small ones where someone waits, single rows only where a second counts.
    """
    sample = folder / "sample.csv"
    with files.csv.open(encoding="utf-8") as lines:
        sample.write_text("".join(islice(lines, 2_001)), encoding="utf-8")
    speeds: dict[int, float] = {}
    contents = set()
    for turn in range(3):  # of each size the best of three counts: other programs disturb little
        for size, piece in ((1, 64), (100, 6_400), (2_000, 256 * 1024)):
            with etl.opened(folder / f"stream_{size}_{turn}.db") as there:
                metrics = etl.run_etl(there, DAY, [etl.CsvFile(sample, piece=piece)], size)
                contents.add(there.fingerprint())
            speeds[size] = max(speeds.get(size, 0.0), metrics.rows_per_second)
    rows = [(f"{size:,}", f"{speed:,.0f}", f"{size / ARRIVING:,.3f} s")
            for size, speed in speeds.items()]  # fmt: skip
    columns = ["rows a commit", "rows/s", "until a row is visible, computed"]
    lesson.table(rows, columns, "2,000 rows", measured=True)
    lesson.check("all leave the same content", len(contents) == 1)
    lesson.check("batches are at least 2x as fast", speeds[2_000] > 2 * speeds[1])


def watch_it(lesson: Lesson, target: Path, metrics: Metrics) -> None:
    """Metrics, alert rules and the run report.

    A pipeline that fails loudly is easy. One that succeeds with half of the rows is found by the
    customer, so rules look at rates, volume and freshness after each run. Each alert has a limit
    and a next step. The balance is a rule as well: it must never fire.
    """
    with etl.opened(target) as there:
        facts = alerts.gather(there, metrics)
        fired = alerts.evaluate(facts)
        made = report.as_dict(there, metrics, fired)
    lesson.table([(r.name, r.severity, r.next_step) for r in alerts.RULES],
                 ["rule", "severity", "next step"])  # fmt: skip
    lesson.check("nothing fires for the normal run", fired == [])
    flood = alerts.Facts(alerts.Account(100, 80, 20), 9, 1_000.0, ["web.jsonl"])
    names = [alert.rule for alert in alerts.evaluate(flood)]
    wanted = ["quarantine rate", "quarantine flood", "volume", "freshness", "silent source"]
    lesson.check("a bad day is seen by five rules", names == wanted)
    lesson.table(made["stages"].items(), ["stage", "seconds"], "Where the time went", measured=True)
    lesson.console.paragraphs(f"As JSON for machines it has {', '.join(made)}.")
    print("\n  For people:")
    for line in report.as_text(made).splitlines():
        if "rows/s" not in line:  # differs from run to run
            print(f"    {line}")
    chart(lesson, made["quarantine"])


def chart(lesson: Lesson, quarantine: dict[str, int]) -> None:
    """Draw the quarantine by field, where matplotlib is there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("  (no chart: `pip install matplotlib` draws one)")
        return
    from course.charts import bars

    lesson.chart(bars(quarantine, "Which fields are refused most", "rows"), "quarantine")


def warehouse(lesson: Lesson, target: Path, folder: Path) -> None:
    """The warehouse option: DuckDB.

    SQLite stores rows and is good at one order at a time. Analysts sum columns, and DuckDB stores
    columns. A run goes over in one load, and the same run again changes nothing.
    """
    try:
        import duckdb
    except ImportError:
        print("  Skipped: DuckDB is not here. `pip install duckdb` brings it.")
        return
    from batch_etl.warehouse import REVENUE, publish

    with etl.opened(target) as there, duckdb.connect(folder / "warehouse.duckdb") as house:
        counts = [publish(there, DAY, house) for _ in range(2)]
        ours = there.connection.execute(REVENUE).fetchall()
        theirs = house.execute(REVENUE).fetchall()
        (count,) = house.execute("SELECT count(*) FROM orders").fetchone()
    lesson.check("published twice, there once", counts == [count, count], f"{count:,} orders")
    lesson.check("both give the same revenue, to the cent", ours == theirs)


def the_price(lesson: Lesson, folder: Path, files: Files) -> None:
    """What care costs, and when to use something else.

    The least is `csv.reader` into `executemany`, one transaction: no rule, no key, and after a
    crash it begins again. Don't build this for a file that you load once: use DuckDB, or that
    loop. In a job take Airflow or Dagster for the schedule, dbt for SQL after the load, Great
    Expectations or Soda for the rules. At 1000 times the size one SQLite file is too small:
    partition by day, load each partition on its own machine into a warehouse, and keep what you
    saw here: the checkpoint beside the rows, the quarantine, the account.
    """
    ways = {"bare loop": load_plain, "this pipeline": load_csv}
    taken = {name: measure(partial(way, folder / f"{way.__name__}.db", files.csv))
             for name, way in ways.items()}  # fmt: skip
    rows = [(name, f"{one.seconds:.2f}") for name, one in taken.items()]
    lesson.table(rows, ["way", "seconds"], "The CSV file alone", measured=True)
    ratio = taken["this pipeline"].seconds / taken["bare loop"].seconds
    lesson.check("care costs less than 9 times the bare loop", ratio < 9)


def main(lesson: Lesson) -> None:
    """The table of contents."""
    config = config_advanced.chosen(lesson.options, "rows")
    if config.rows < LEAST:
        raise UsageError(f"--rows must be {LEAST:,} or more, so that each source has its faults.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target, small = folder / "orders.db", generate.make(folder, SMALL, config.seed)
        files = lesson.step(the_sources, lesson, config.rows, config.seed)
        lesson.step(the_schema, lesson)
        metrics = lesson.step(load_everything, lesson, target, files, config)
        lesson.step(the_quarantine, lesson, target, files)
        broken = lesson.step(twice, lesson, folder, small)
        lesson.step(killed, lesson, folder, small)
        lesson.step(rollback, lesson, broken)
        lesson.step(take_back, lesson, folder, broken)
        lesson.step(batch_or_stream, lesson, folder, small)
        lesson.step(watch_it, lesson, target, metrics)
        lesson.step(warehouse, lesson, target, folder)
        lesson.step(the_price, lesson, folder, files)


if __name__ == "__main__":
    run(main, config_advanced.options)
