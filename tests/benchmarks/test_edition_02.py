"""The ledger: a million transactions with all rules and every event on disk, and their replay.

The floor of writing does nothing but this for each request: build a Decimal, encode the event in
the same format, checksum it and append it to a file. The floor of reading decodes every line and
forgets it. Both have the same lines as the ledger, and are measured in turn with it, portion by
portion, so that a slow moment is slow for all.
"""

import gc
import json
import statistics
import time
import zlib
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import config_advanced
import pytest
from ledger.books import LOG_NAME
from ledger.events import Withdrawal, decode, encode
from ledger.log import framed, read_lines
from ledger.money import ZERO
from ledger.service import Ledger
from ledger.workload import Request, open_accounts, perform, requests

Measure = Callable[..., None]
CONFIG = config_advanced.load("production")
PORTION = CONFIG.chunk_size
ROUNDS = 3  # readings of the whole log
to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def bare_loop(portion: list[Request], file: BinaryIO) -> None:
    """Decimal, encode, checksum, append: with the same functions that the ledger uses."""
    for number, (_, account, _to, amount, channel, name, key, at) in enumerate(portion):
        value = Decimal(amount)
        event = Withdrawal(number, at, key, account, value, ZERO, channel, name, ())
        file.write(framed(encode(event)))


def hand_written_loop(portion: list[Request], file: BinaryIO) -> None:
    """The same lines from a dictionary written out, without an event: the least that one can do."""
    for number, (_, account, _to, amount, channel, name, key, at) in enumerate(portion):
        fields = {
            "number": number, "at": at, "key": key, "account": account,
            "amount": str(Decimal(amount)), "fee": "0.0000", "channel": channel, "name": name,
            "alerts": (),
        }  # fmt: skip
        data = b"Withdrawal " + to_json(fields).encode()
        file.write(b"%08x %b\n" % (zlib.crc32(data), data))


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_the_floors_write_lines_of_the_ledger(tmp_path: Path) -> None:
    """Otherwise they would not do the same work."""
    portion = [Request("withdraw", "CHK-1", "", "12.5000", "card", "Café", "k", 7)]
    for loop in (bare_loop, hand_written_loop):
        with (tmp_path / loop.__name__).open("ab") as file:
            loop(portion, file)
        ((_, text),) = read_lines(tmp_path / loop.__name__)
        event = Withdrawal(0, 7, "k", "CHK-1", Decimal("12.5000"), ZERO, "card", "Café", ())
        assert decode(text) == event


class Times(NamedTuple):
    """Seconds: of portions, by way; and of single transactions."""

    ledger: list[float]
    bare: list[float]
    by_hand: list[float]
    each: list[float]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("million")


@pytest.fixture(scope="module")
def times(folder: Path) -> Times:
    """A million transactions, in portions by turns with the loops that are compared."""
    found = Times([], [], [], [])
    with (
        Ledger.open(folder, CONFIG.fsync, CONFIG.chunk_size) as ledger,
        (folder / "bare").open("ab", buffering=0) as file,
        (folder / "by_hand").open("ab") as buffered,
    ):
        accounts = open_accounts(ledger, CONFIG.transactions, CONFIG.seed)
        stream = requests(accounts, CONFIG.transactions, CONFIG.seed)
        for number in range(CONFIG.transactions // PORTION):
            portion = list(islice(stream, PORTION))
            if number % 4 == 3:  # a clock around each one takes time itself
                found.each.extend(seconds(partial(perform, ledger, one)) for one in portion)
                continue
            found.bare.append(seconds(partial(bare_loop, portion, file)))
            found.ledger.append(seconds(partial(perform_all, ledger, portion)))
            found.by_hand.append(seconds(partial(hand_written_loop, portion, buffered)))
    return found


def perform_all(ledger: Ledger, portion: list[Request]) -> None:
    """All rules on, every event on disk."""
    for request in portion:
        perform(ledger, request)


def test_a_million_transactions(times: Times, measured: Measure) -> None:
    rate, bare, by_hand = (PORTION / statistics.median(one) for one in times[:3])
    measured(
        "ledger, 1M transactions, over a bare loop of the same encoding", rate / bare, 0.45,
        "higher", f"{rate:,.0f}/s, bare loop {bare:,.0f}/s; {rate / by_hand:.2f} of a loop that "
        f"writes the dictionary out and buffers, {by_hand:,.0f}/s; fsync {CONFIG.fsync}",
    )  # fmt: skip


def test_one_transaction(times: Times, measured: Measure) -> None:
    within = sorted(times.each)[int(len(times.each) * 0.999)]
    measured(
        "ledger, one transaction, p99.9 in milliseconds", within * 1e3, 1, "lower",
        f"half of {len(times.each):,} within {statistics.median(times.each) * 1e6:.1f} µs",
    )  # fmt: skip


def test_replay(folder: Path, times: Times, measured: Measure) -> None:
    path = folder / LOG_NAME

    def bare() -> None:
        for _, text in read_lines(path):
            decode(text)

    def replay() -> None:
        Ledger.open(folder).close()

    floor, found = [], []
    for _ in range(ROUNDS):
        gc.collect()
        floor.append(seconds(bare))
        found.append(seconds(replay))
    count = sum(1 for _ in read_lines(path))
    ratio = statistics.median(one / other for one, other in zip(floor, found, strict=True))
    measured(
        "ledger, replay of 1M events over bare decoding", ratio, 0.6, "higher",
        f"{count / min(found):,.0f}/s, bare {count / min(floor):,.0f}/s",
    )  # fmt: skip
