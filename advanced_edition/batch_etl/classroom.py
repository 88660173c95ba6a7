"""What the lesson and the benchmark do in processes of their own, and how they compare files."""

import csv
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from batch_etl.api import ApiSource
from batch_etl.files import CsvFile, JsonLinesFile
from batch_etl.generate import Files
from batch_etl.pipeline import COMMIT_ROWS, Metrics, run_etl
from batch_etl.records import Source
from batch_etl.schema import NAMES
from batch_etl.target import opened

PATIENCE = 60.0  # seconds


def sources(files: Files, url: str) -> list[Source]:
    """The three sources of the lesson under names that don't change with their size."""
    return [CsvFile(files.csv, "shop.csv"), JsonLinesFile(files.json_lines, "web.jsonl"),
            ApiSource(url)]  # fmt: skip


def load_all(
    target: Path, run: str, files: Files, url: str, commit_rows: int = COMMIT_ROWS
) -> Metrics:
    """Load the three sources in the run `run`."""
    with opened(target) as opened_target:
        return run_etl(opened_target, run, sources(files, url), commit_rows)


def load_csv(target: Path, file: Path, commit_rows: int = COMMIT_ROWS) -> Metrics:
    """Load one CSV file, with all that this pipeline does for it."""
    with opened(target) as opened_target:
        return run_etl(opened_target, "day", [CsvFile(file)], commit_rows)


def load_plain(target: Path, file: Path) -> int:
    """The least that loading a CSV file can cost: no rule, no key, one transaction."""
    marks = ", ".join("?" * len(NAMES))
    with closing(sqlite3.connect(target)) as connection, file.open(newline="") as source:
        connection.execute(f"CREATE TABLE orders ({', '.join(NAMES)})")
        rows = csv.reader(source)
        next(rows)
        with connection:
            return connection.executemany(f"INSERT INTO orders VALUES ({marks})", rows).rowcount


def bytes_of(path: Path) -> str:
    """A checksum of a file."""
    return sha256(path.read_bytes()).hexdigest()


def fingerprint(path: Path) -> str:
    """A checksum of what a target holds."""
    with opened(path) as target:
        return target.fingerprint()


def command(target: Path, run: str, *options: str | Path) -> list[str]:
    """The command line that runs the pipeline as a program."""
    words = [sys.executable, "-m", "batch_etl", "--target", target, "--run", run, *options]
    return [str(word) for word in words]


def finish(target: Path, run: str, *options: str | Path) -> str:
    """Run the pipeline in a process of its own to its end: its report."""
    done = subprocess.run(
        command(target, run, *options), capture_output=True, text=True, check=True
    )
    return done.stdout


def rows_committed(target: Path) -> int:
    """How many rows in the checkpoints of `target` account for, seen by an outsider."""
    if not target.exists():
        return 0
    with closing(sqlite3.connect(target, timeout=PATIENCE)) as connection:
        try:
            return connection.execute("SELECT sum(rows_in) FROM checkpoints").fetchone()[0] or 0
        except sqlite3.OperationalError:
            return 0  # the tables are not there yet


def kill_after(target: Path, rows: int, run: str, *options: str | Path) -> int:
    """Start the pipeline and kill it with -9 when `rows` rows are committed: how many were.

    Raises TimeoutError when that takes more than PATIENCE.
    """
    quiet = subprocess.DEVNULL
    deadline = time.monotonic() + PATIENCE
    with subprocess.Popen(command(target, run, *options), stdout=quiet, stderr=quiet) as process:
        try:
            while process.poll() is None and rows_committed(target) < rows:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{rows} rows were not committed in {PATIENCE:.0f} s")
        finally:
            process.kill()
    return rows_committed(target)
