"""The lesson's sources, made from a seed: orders as shops export them, with all their dirt.

Of a thousand rows about 20 repeat an earlier order (half of them with a higher revision), 10 break
a rule and 30 need cleaning. All of it is decided by the seed, so two runs read the same bytes.
"""

import csv
import io
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from batch_etl.schema import CATALOGUE, COUNTRIES, NAMES, TODAY

DAYS = 300
REPEATED, BROKEN, UNTIDY = 0.02, 0.01, 0.03
NEAR = 50_000  # a repeated order lies at most so many rows back
_DATES = [(TODAY - timedelta(days=back)).isoformat() for back in range(DAYS)]
_PRODUCTS, _COUNTRIES = sorted(CATALOGUE), sorted(COUNTRIES)

BREAKS: tuple[tuple[int, str], ...] = (
    (0, "A-17"), (1, "0"), (2, "31.02.2025"), (2, "03/04/2025"), (2, "2031-01-01"),
    (3, "nobody at home"), (4, "XX"), (5, "P999"), (6, "-3"), (6, "2.5"), (7, "free"), (7, "0.00"),
)  # fmt: skip
UNTIDINESS: tuple[Callable[[list[str]], None], ...] = (
    lambda row: row.__setitem__(2, ".".join(reversed(row[2].split("-")))),
    lambda row: row.__setitem__(3, f" {row[3].upper()}"),
    lambda row: row.__setitem__(4, row[4].lower()),
    lambda row: row.__setitem__(7, row[7].replace(".", ",")),
)


def order(number: int, revision: int) -> list[str]:
    """The clean order `number` as its source writes it, the same in each source.

    The multiplication scatters the numbers (Knuth, TAOCP 3, 6.4: multiplicative hashing).
    """
    rest = number * 11400714819323198485 % 2**64 >> 8
    rest, day = divmod(rest, DAYS)
    rest, customer = divmod(rest, 50_000)
    rest, country = divmod(rest, len(_COUNTRIES))
    rest, product = divmod(rest, len(_PRODUCTS))
    rest, quantity = divmod(rest, 5)
    rest, cents = divmod(rest, 4)
    return [
        str(number),
        str(revision),
        _DATES[day],
        f"customer{customer}@example.com",
        _COUNTRIES[country],
        _PRODUCTS[product],
        str(quantity + revision),  # a correction changes how many were bought
        f"{1 + rest % 99}.{('00', '49', '90', '99')[cents]}",
    ]


def orders(first: int, count: int, rng: random.Random) -> Iterator[list[str]]:
    """`count` rows; the new orders have numbers from `first` upward."""
    number = first
    for _ in range(count):
        dice, revision = rng.random(), 1
        if dice < REPEATED and number > first:
            known = number - 1 - int(rng.random() * min(number - first, NEAR))
            revision = 1 + (dice < REPEATED / 2)
        else:
            known, number = number, number + 1
        row = order(known, revision)
        if dice > 1 - BROKEN:
            place, text = BREAKS[int(rng.random() * len(BREAKS))]
            row[place] = text
        elif dice > 1 - BROKEN - UNTIDY:
            UNTIDINESS[int(rng.random() * len(UNTIDINESS))](row)
        yield row


def csv_lines(rows: Iterable[list[str]]) -> Iterator[str]:
    """A CSV file with its header."""
    yield ",".join(NAMES) + "\n"
    cell = io.StringIO()
    writer = csv.writer(cell, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        yield cell.getvalue()
        cell.seek(0)
        cell.truncate()


def json_lines(rows: Iterable[list[str]]) -> Iterator[str]:
    """JSON Lines; quantities are numbers where they can be."""
    for row in rows:
        record: dict[str, object] = dict(zip(NAMES, row, strict=True))
        if row[6].isdecimal():
            record["quantity"] = int(row[6])
        yield json.dumps(record) + "\n"


@contextmanager
def whole(path: Path) -> Iterator[TextIO]:
    """Write a file that appears under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Files:
    """The three sources of one size: the API serves the third one."""

    csv: Path
    json_lines: Path
    api: Path


def shares(rows: int) -> tuple[int, int, int]:
    """How many of `rows` come as CSV, as JSON Lines and from the API."""
    api, lines = rows // 50, rows // 10
    return rows - lines - api, lines, api


def make(folder: Path, rows: int, seed: int) -> Files:
    """The files of `rows` rows in all under `folder`; what is there is used again."""
    files = Files(*(folder / f"{name}_{rows}_{seed}.{kind}" for name, kind in (
        ("orders_shop", "csv"), ("orders_web", "jsonl"), ("orders_partner", "jsonl"))))  # fmt: skip
    first = 1
    for path, count in zip((files.csv, files.json_lines, files.api), shares(rows), strict=True):
        if not path.exists():
            rows_of = orders(first, count, random.Random(f"{seed}/{path.name}"))
            with whole(path) as file:
                file.writelines((csv_lines if path == files.csv else json_lines)(rows_of))
        # The sources overlap: a fiftieth of the next one's orders are in this one as well.
        first += count - count // 50
    return files
