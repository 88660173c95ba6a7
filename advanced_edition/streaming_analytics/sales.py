"""A file of sales to count: made from a seed, with a few rows that are wrong."""

import csv
import os
import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from random import Random

from streaming_analytics.analytics import Columns

CATEGORIES = ("books", "games", "garden", "kitchen", "music", "office", "sports", "toys")
STORES = ("Kyiv", "Lviv", "Odesa", "Dnipro")
CUSTOMERS, PRODUCTS = 200_000, 5_000
FIRST_DAY, DAYS = date(2025, 1, 1), 298  # up to the day before today, 2025-10-26
CHUNK = 10_000  # rows
ONE_BAD_IN = 10_000
BAD = (["12.345"], ["12.O0"], [""], [])  # three decimals, a letter, nothing, a column too few
TWO_LINES = "Lviv\nRynok Square"  # a shop whose name needs quotation marks


def sales_file(folder: Path, rows: int, seed: int) -> Path:
    """The file of that size and seed in the folder, made now if it isn't there."""
    path = folder / f"sales_{rows}_{seed}.csv"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            write_sales(unfinished, rows, seed)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return path


def write_sales(path: Path, rows: int, seed: int) -> None:
    """Write `rows` sales; one in 10,000 is bad, and one in 10,000 goes over two lines.

    A few products make up much of the sales, as they do in shops; amounts are log-normal.
    """
    rng = Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Columns().header)
        for start in range(0, rows, CHUNK):
            writer.writerows(_sales(rng, range(start, min(start + CHUNK, rows)), rows))


def bad_rows(rows: int) -> int:
    """How many bad rows a file of that size has."""
    return len(range(ONE_BAD_IN // 2, rows, ONE_BAD_IN))


def _sales(rng: Random, numbers: range, of: int) -> list[list[object]]:
    """The sales with these numbers."""
    days = [(FIRST_DAY + timedelta(days=n)).isoformat() for n in range(DAYS)]
    found: list[list[object]] = []
    for number in numbers:
        minute = number % 1440
        day, amount = days[number * DAYS // of], [f"{rng.lognormvariate(3, 1):.2f}"]
        sold_at, store = f"{day}T{minute // 60:02d}:{minute % 60:02d}", STORES[number % 4]
        if number % ONE_BAD_IN == ONE_BAD_IN // 2:
            amount = BAD[number // ONE_BAD_IN % len(BAD)]
        if number % ONE_BAD_IN == ONE_BAD_IN // 3:
            store = TWO_LINES
        customer = f"C{int(rng.random() * CUSTOMERS):06d}"
        product = f"P{int(rng.random() ** 3 * PRODUCTS):04d}"
        category = CATEGORIES[int(rng.random() * len(CATEGORIES))]
        quantity = 1 + int(rng.random() * 9)
        found.append([number + 1, sold_at, store, customer, product, category, quantity, *amount])
    return found


def exact_answers(path: Path) -> tuple[list[int], set[str], Counter[str]]:
    """(all amounts in cents, in order; all customers; sales per product), in memory at once."""
    amounts: list[int] = []
    customers: set[str] = set()
    products: Counter[str] = Counter()
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if re.fullmatch(r"\d+\.\d\d", row["amount"] or ""):
                amounts.append(int(row["amount"].replace(".", "")))
                customers.add(row["customer"])
                products[row["product"]] += 1
    return sorted(amounts), customers, products
