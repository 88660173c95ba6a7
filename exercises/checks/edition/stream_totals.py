"""The sums, and how many bytes are held at once (Python counts them)."""

import tracemalloc
from decimal import Decimal

from course.exercises import expect, require

LINES = ["books;12.50\n", "# a comment\n", "\n", "toys;0.10\n", "books;0.20\n", "toys;0.20"]


def source(count: int):
    """So many lines, made one after another."""
    for number in range(count):
        yield f"category {number % 5};0.10\n"


def most_held(their, count: int) -> int:
    """The bytes of Python's memory that were in use at once, at most, for so many lines."""
    tracemalloc.start()
    try:
        their.totals(source(count))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_sums(their):
    """The sums are exact, comments are skipped"""
    expect(
        their.totals(LINES),
        {"books": Decimal("12.70"), "toys": Decimal("0.30")},
        "Floats would give 0.30000000000000004.",
    )


def check_nothing(their):
    """An empty file has no categories"""
    expect(their.totals([]), {})
    expect(their.totals(iter(["# nothing\n"])), {}, "Any iterable, also one that is read once.")


def check_held(their):
    """Ten times the lines, hardly more memory"""
    expect(their.totals(source(2_000))["category 3"], Decimal("40.00"))
    few, many = most_held(their, 500), most_held(their, 5_000)
    require(
        many < 2 * few + 5_000,
        f"500 lines took {few:,} bytes, 5,000 took {many:,}",
        "A list of all lines holds all of them. A `for` over the lines holds one.",
    )
