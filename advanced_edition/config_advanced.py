"""Five tiers of one configuration: how much data, how many processes, how careful.

A tier is chosen by `--tier`, by the variable ADVANCED_TIER, or it is `production`. `--rows N` then
replaces the size of the lesson's own input. Values are fixed once chosen: a program that changes
its settings while it runs can't be explained afterwards.
"""

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

from course.errors import UsageError
from course.lesson import whole_number

DATA_DIR = Path(__file__).with_name("data")
VARIABLE = "ADVANCED_TIER"
DEFAULT = "production"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Config:
    """One tier: sizes are counts, `cache_bytes` bounds the first cache tier, `seed` makes the data.

    `fsync` is the ledger's promise: `always` puts each accepted transaction on the disk before it
    is confirmed, `batch` each `chunk_size` of them, `never` leaves it to the operating system.
    """

    tier: str
    rows: int
    transactions: int
    products: int
    requests: int
    workers: int = 2
    chunk_size: int = 10_000
    cache_bytes: int = 128 * MIB
    fsync: str = "batch"
    seed: int = 6


def _of_size(tier: str, size: int, **others: object) -> Config:
    """A tier whose inputs all have `size` items, and a tenth of that in requests."""
    config = Config(
        tier, rows=size, transactions=size, products=size, requests=max(size // 10, 1_000)
    )
    return replace(config, **others)


TIERS = {
    config.tier: config
    for config in (
        _of_size("development", 50_000),
        _of_size("test", 20_000, chunk_size=1_000),
        _of_size("staging", 250_000, fsync="always"),
        _of_size("production", 1_000_000),
        _of_size("benchmark", 10_000_000, fsync="never"),
    )
}


def load(tier: str | None = None) -> Config:
    """The configuration called `tier`, or what ADVANCED_TIER names, or production's.

    Raises UsageError for a name that is none.
    """
    name = tier or os.environ.get(VARIABLE) or DEFAULT
    if name not in TIERS:
        raise UsageError(f"{name!r} is no tier. Choose one of {', '.join(TIERS)}.")
    return TIERS[name]


def options(parser: argparse.ArgumentParser) -> None:
    """The options that every lesson of this module has."""
    parser.add_argument("--tier", choices=TIERS, help=f"sizes and care (default {DEFAULT})")
    parser.add_argument("--rows", type=whole_number, metavar="N", help="size of the input")


def chosen(arguments: argparse.Namespace, size: str = "rows") -> Config:
    """The configuration that the command line asks for; `--rows` replaces the field `size`.

    `--fast` takes the tier `test`, unless another one is named.
    """
    named = arguments.tier or os.environ.get(VARIABLE) or ("test" if arguments.fast else None)
    config = load(named)
    return replace(config, **{size: arguments.rows}) if arguments.rows else config
