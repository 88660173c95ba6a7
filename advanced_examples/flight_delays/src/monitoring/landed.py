"""Tell the monitoring how late flights really were: `python -m src.monitoring.landed FILE`.

FILE is CSV or parquet with the columns flight_id and actual_delay_minutes; `-` reads CSV from
standard input. A flight without a delay (cancelled) is left out. Told again, the newer delay
counts. Parquet needs the training environment.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import redis

from src.monitoring.outcomes import log_landed
from src.packed import PREFIX

COLUMNS = ("flight_id", "actual_delay_minutes")


class LandedError(Exception):
    """The file can't be used; the text says why, and where."""


def write(client: redis.Redis, prefix: str, flights: Iterable[tuple[str, float]]) -> int:
    """Append flights (flight_id, actual delay in minutes) that landed now; returns how many."""
    return log_landed(client, prefix, flights, time.time())


def rows(file: str) -> Iterator[tuple[str, float]]:
    """(flight_id, minutes) of each flight in `file` that landed.

    Raises:
        LandedError: it is missing, lacks a column, or holds what is no number.
        OSError: it can't be read.
    """
    if file == "-":
        yield from checked(csv_rows(sys.stdin), "standard input")
    elif file.endswith(".parquet"):
        yield from checked(parquet_rows(Path(file)), file)
    else:
        with Path(file).open(newline="", encoding="utf-8") as text:
            yield from checked(csv_rows(text), file)


def csv_rows(text: TextIO) -> Iterator[Mapping[str, Any]]:
    """The rows of a CSV file with a head."""
    yield from csv.DictReader(text)


def parquet_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a parquet file."""
    try:
        import pandas as pd
    except ImportError:
        raise LandedError(
            f"{file}: parquet needs pandas, which the training environment has; or send CSV"
        ) from None
    try:
        yield from pd.read_parquet(file, columns=list(COLUMNS)).to_dict("records")
    except ValueError as error:
        raise LandedError(f"{file}: {error}") from error


def checked(found: Iterable[Mapping[str, Any]], file: str) -> Iterator[tuple[str, float]]:
    """The rows that have a delay."""
    for number, row in enumerate(found, start=1):
        if absent := [name for name in COLUMNS if row.get(name) is None and name not in row]:
            raise LandedError(f"{file}: there is no column {' and no '.join(absent)}")
        flight_id, delay = (row[name] for name in COLUMNS)
        try:
            minutes = float(delay) if delay not in (None, "") else math.nan
        except ValueError:
            raise LandedError(f"{file}, row {number}: {delay!r} is no delay in minutes") from None
        if flight_id and math.isfinite(minutes):
            yield str(flight_id), minutes


def main(argv: list[str] | None = None) -> int:
    """Write the flights of a file; 0, 1 for a bad file, 69 without Redis."""
    parser = argparse.ArgumentParser(
        prog="python -m src.monitoring.landed", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", help="CSV or parquet; - for standard input")
    wanted = parser.parse_args(argv)
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    prefix = os.environ.get("FLIGHTS_KEY_PREFIX", PREFIX)
    try:
        # All of it first: a bad row in the middle must not leave half of the file behind.
        flights = list(rows(wanted.file))
        with redis.Redis.from_url(url) as client:
            count = write(client, prefix, flights)
    except (LandedError, OSError, UnicodeDecodeError) as error:
        print(f"Nothing was told. {error}", file=sys.stderr)
        return 1
    except redis.RedisError as error:
        print(f"Redis at {url} can't be used: {error}", file=sys.stderr)
        return 69
    print(f"{count:,} flights have landed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
