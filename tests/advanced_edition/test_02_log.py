"""The ledger on disk: torn tails, damage, full disks, snapshots, projections, the audit."""

import errno
import os
import re
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger import workload
from ledger.audit import audit, overdrawn
from ledger.books import LOG_NAME
from ledger.days import DAY, moment
from ledger.errors import LogDamaged, LogFailed, LogInUse
from ledger.events import decode, encode
from ledger.log import EventLog, framed, read_lines, unframed
from ledger.read_model import ReadModel, as_rows
from ledger.service import Ledger
from ledger.snapshots import as_data, from_data

from tests.support import run_python

NOW = moment("2025-10-26 09:00")
REQUESTS = 2_000


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ledger with some thousand events; copy what you change."""
    folder = tmp_path_factory.mktemp("history")
    with Ledger.open(folder) as ledger:
        accounts = workload.open_accounts(ledger, REQUESTS, seed=1)
        for request in workload.requests(accounts, REQUESTS, seed=1):
            workload.perform(ledger, request)
    return folder


def log_in(folder: Path, data: bytes) -> Path:
    """A new ledger's folder whose log is `data`."""
    folder.mkdir(exist_ok=True)
    (folder / LOG_NAME).write_bytes(data)
    return folder


# --- lines


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_line_gives_its_text_back(text: str) -> None:
    text = text.replace("\n", " ")
    assert unframed(framed(text)) == text


@given(st.binary(max_size=60))
def test_anything_else_is_no_line(data: bytes) -> None:
    assert unframed(data) is None


@given(st.data())
def test_a_changed_bit_is_noticed(data: st.DataObject) -> None:
    line = bytearray(framed("Deposit {}"))
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= 1 << data.draw(st.integers(0, 7))
    assert unframed(bytes(line)) in (None, "Deposit {}")  # 'A' and 'a' are the same digit


# --- the tail and the middle


def test_a_log_cut_anywhere_loses_only_the_line_that_was_cut(history: Path, tmp_path: Path) -> None:
    data = b"".join((history / LOG_NAME).read_bytes().splitlines(keepends=True)[:3])
    ends = [0, *(place + 1 for place, byte in enumerate(data) if byte == ord("\n"))]
    for cut in range(len(data) + 1):
        folder = log_in(tmp_path / "cut", data[:cut])
        whole = max(end for end in ends if end <= cut)
        with Ledger.open(folder, fsync="never") as ledger:
            assert ledger.bank.number == ends.index(whole)
            assert ledger.bank.sum_of_balances() == 0
            dropped = ledger.log.dropped
            assert (dropped is None) == (cut == whole)
            if dropped:
                assert (dropped.offset, dropped.size) == (whole, cut - whole)
                assert dropped.kept_in.read_bytes() == data[whole:cut]
                assert f"{cut - whole} bytes at byte {whole}" in str(dropped)
        assert (folder / LOG_NAME).read_bytes() == data[:whole]


@pytest.mark.parametrize("garbage", [b"\0" * 5_000, b"\xff\n\xfe\n", b"00000000 {}\n", b"\n\n"])
def test_garbage_after_a_power_failure_is_a_torn_tail(
    history: Path, tmp_path: Path, garbage: bytes
) -> None:
    data = (history / LOG_NAME).read_bytes()
    with Ledger.open(log_in(tmp_path / "bank", data + garbage)) as ledger:
        assert ledger.log.dropped
        assert ledger.log.dropped.kept_in.read_bytes() == garbage
        assert audit(ledger).findings == []


@pytest.mark.parametrize("line", [0, 1, 20, -2])
@pytest.mark.parametrize("torn", [b"", b"0123"])
def test_damage_before_the_end_stops_everything(
    history: Path, tmp_path: Path, line: int, torn: bytes
) -> None:
    lines = (history / LOG_NAME).read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"at":1', b'"at":2', 1)
    place = sum(map(len, lines[: line % len(lines)]))
    folder = log_in(tmp_path / "bank", b"".join(lines) + torn)
    before = (folder / LOG_NAME).read_bytes()
    with pytest.raises(LogDamaged, match=f"byte {place}: .*Restore"):
        Ledger.open(folder)
    assert (folder / LOG_NAME).read_bytes() == before


def test_a_missing_line_is_noticed(history: Path, tmp_path: Path) -> None:
    lines = (history / LOG_NAME).read_bytes().splitlines(keepends=True)
    folder = log_in(tmp_path / "bank", b"".join(lines[:30] + lines[31:]))
    with pytest.raises(LogDamaged, match="after event 30 comes 32"):
        Ledger.open(folder)


def test_an_event_of_a_newer_version_is_named(tmp_path: Path) -> None:
    line = framed('LoanGranted {"number":1,"at":1,"key":"k"}')
    with pytest.raises(LogDamaged, match="newer version"):
        Ledger.open(log_in(tmp_path / "bank", line))


# --- the disk


def test_two_processes_do_not_write_one_log(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    script = "import sys; from pathlib import Path; from ledger.service import Ledger\n"
    script += "Ledger.open(Path(sys.argv[1]))"
    with Ledger.open(folder):
        with pytest.raises(LogInUse, match="another process"):
            Ledger.open(folder)
        other = run_python("-c", script, folder)
        assert "LogInUse" in other.stderr
    Ledger.open(folder).close()


@pytest.mark.parametrize(("fsync", "expected"), [("always", 30), ("batch", 3), ("never", 0)])
def test_the_policy_says_how_often_the_disk_is_asked(
    tmp_path: Path, fsync: str, expected: int
) -> None:
    asked = []
    log = EventLog(tmp_path / "log", fsync, batch=10, write_to_disk=asked.append)
    for _ in range(30):
        log.append("x")
    assert len(asked) == expected
    log.append("x")
    log.close()
    assert len(asked) == expected + {"always": 2, "batch": 1, "never": 0}[fsync]


@pytest.mark.parametrize(("fsync", "batch"), [("sometimes", 1), ("batch", 0)])
def test_a_policy_that_there_is_none(tmp_path: Path, fsync: str, batch: int) -> None:
    with pytest.raises(LogFailed, match="always, batch, never"):
        EventLog(tmp_path / "log", fsync, batch)


def test_after_a_failed_fsync_nothing_more_is_accepted(
    people: tuple[Ledger, str, str, str],
) -> None:
    ledger, anna, *_ = people

    def fail(_file: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    ledger.log.write_to_disk = fail
    with pytest.raises(LogFailed, match="Repair the disk"):
        ledger.log.sync()
    ledger.log.write_to_disk = os.fsync
    with pytest.raises(LogFailed, match="Repair the disk"):
        ledger.deposit(anna, "1", key="d", at=NOW)
    assert "d" not in ledger.keys


@pytest.mark.parametrize("written", [0, 1, 40])
def test_a_full_disk_leaves_no_half_event(
    people: tuple[Ledger, str, str, str], written: int
) -> None:
    """The write stops in the middle, as it does on a full disk; the ledger goes on afterwards."""
    ledger, anna, *_ = people
    size, write = ledger.log.size, ledger.log._write
    ledger.log._write = lambda line: write(line[:written])
    with pytest.raises(LogFailed, match="not accepted"):
        ledger.deposit(anna, "1", key="d", at=NOW)
    ledger.log._write = write
    assert ledger.log.path.stat().st_size == size
    assert ledger.account(anna).balance == 3_000
    assert ledger.deposit(anna, "1", key="d", at=NOW).outcome == "posted"
    assert audit(ledger).findings == []


# --- snapshots


def test_snapshot_and_tail_equal_the_whole_history(history: Path, tmp_path: Path) -> None:
    data = (history / LOG_NAME).read_bytes()
    folder = log_in(tmp_path / "bank", data)
    with Ledger.open(folder) as ledger:
        expected, keys = as_data(ledger.bank), dict(ledger.keys)
    for share in (0.3, 0.6, 0.9, 1.0):
        end = data.rindex(b"\n", 0, int(len(data) * share)) + 1
        log_in(folder, data[:end])
        with Ledger.open(folder) as ledger:
            ledger.snapshot()
        log_in(folder, data)
        with Ledger.open(folder) as ledger:
            assert as_data(ledger.bank) == expected
            assert ledger.keys == keys
            assert audit(ledger).findings == []
    assert len(list(folder.glob("snapshot-*"))) == 2


def test_a_bank_is_what_its_data_says(history: Path) -> None:
    with Ledger.open(history) as ledger:
        data = as_data(ledger.bank)
        assert as_data(from_data(data)) == data
        assert ledger.bank.holds
        assert ledger.bank.alerts


@pytest.mark.parametrize("damage", [b"", b"half", b'{"version":0}'])
def test_a_damaged_snapshot_is_passed_over(history: Path, tmp_path: Path, damage: bytes) -> None:
    folder = log_in(tmp_path / "bank", (history / LOG_NAME).read_bytes())
    with Ledger.open(folder) as ledger:
        path, expected = ledger.snapshot(), as_data(ledger.bank)
    path.write_bytes(framed(damage.decode()) if damage.startswith(b"{") else damage)
    (folder / "snapshot-000000999999.unfinished").write_bytes(b"x")
    with Ledger.open(folder) as ledger:
        assert as_data(ledger.bank) == expected


def test_a_log_shorter_than_its_snapshot_lost_accepted_events(
    history: Path, tmp_path: Path
) -> None:
    data = (history / LOG_NAME).read_bytes()
    folder = log_in(tmp_path / "bank", data)
    with Ledger.open(folder) as ledger:
        ledger.snapshot()
    log_in(folder, data[: data.rindex(b"\n", 0, -1) + 1])
    with pytest.raises(LogDamaged, match="accepted events are missing"):
        Ledger.open(folder)


# --- the audit and the read model


def break_balance(ledger: Ledger) -> None:
    ledger.account(workload.first_account(ledger)).balance += Decimal("0.0001")


def break_keys(ledger: Ledger) -> None:
    del ledger.keys["t-7"]


def break_holds(ledger: Ledger) -> None:
    ledger.bank.holds.popitem()


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [(break_balance, "add up"), (break_keys, "index"), (break_holds, "differ")],
)
def test_the_audit_finds_what_did_not_happen(
    history: Path, spoil: Callable[[Ledger], None], finding: str
) -> None:
    with Ledger.open(history) as ledger:
        assert audit(ledger).findings == []
        assert overdrawn(ledger.bank) == []
        spoil(ledger)
        assert any(finding in one for one in audit(ledger).findings)


@pytest.mark.parametrize(
    ("pattern", "new", "finding"),
    [
        (rb'"at":\d+', b'"at":5', "out of order"),
        (rb'"key":"[^"]+"', b'"key":"t-0"', "its key is not new"),
        (rb'"amount":"', b'"amount":"-', "moves -"),
    ],
)
def test_the_audit_reads_the_events(
    history: Path, tmp_path: Path, pattern: bytes, new: bytes, finding: str
) -> None:
    """Someone changed an event and wrote a checksum that fits."""
    lines = (history / LOG_NAME).read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"t-900"' in line)
    changed = re.sub(pattern, new, lines[place], count=1)
    lines[place] = framed(changed[9:-1].decode())
    with Ledger.open(log_in(tmp_path / "bank", b"".join(lines))) as ledger:
        assert any(finding in one for one in audit(ledger).findings)


def test_the_read_model_goes_on_where_it_stopped(history: Path, tmp_path: Path) -> None:
    data = (history / LOG_NAME).read_bytes()
    folder = log_in(tmp_path / "bank", data[: data.index(b"\n", len(data) // 2) + 1])
    model = ReadModel(tmp_path / "read.sqlite", folder / LOG_NAME)
    first = model.catch_up()
    log_in(folder, data)
    again = ReadModel(tmp_path / "read.sqlite", folder / LOG_NAME)
    assert first + again.catch_up() == len(data.splitlines())
    assert again.catch_up() == 0
    with Ledger.open(folder) as ledger:
        customers = [one for one in ledger.bank.accounts.values() if one.owner]
        assert all(again.balance(one.number) == one.balance for one in customers)
    assert sum(events for _, _, events in again.days()) == len(data.splitlines())


def test_statements_follow_each_other(history: Path, tmp_path: Path) -> None:
    model = ReadModel(tmp_path / "read.sqlite", history / LOG_NAME)
    model.catch_up()
    with Ledger.open(history) as ledger:
        account = workload.first_account(ledger)
        balance, expected = ledger.account(account).balance, ledger.bank.number
    days = range(workload.START // DAY - 1, NOW // DAY + 1)
    found = [model.statement(account, day * DAY, (day + 1) * DAY) for day in days]
    for before, after in pairwise(found):
        assert before.closing == after.opening
    assert (found[0].opening, found[-1].closing) == (0, balance)
    rows = as_rows(found[10], most=2)
    assert rows[0][1:] == ("opening balance", f"{found[10].opening:,.2f}")
    assert len(rows) == min(len(found[10].lines), 3) + 2
    assert expected == sum(1 for _ in read_lines(history / LOG_NAME))


def test_the_workload_repeats_itself_and_meets_every_rule(history: Path) -> None:
    first = list(workload.requests(["A", "B", "C"], 500, seed=3))
    assert first == list(workload.requests(["A", "B", "C"], 500, seed=3))
    assert len({request.key for request in first}) == 500
    with Ledger.open(history) as ledger:
        events = [decode(text) for _, text in ledger.log.lines()]
    kinds = {type(event).__name__ for event in events}
    assert {"HoldPlaced", "TransactionRejected", "Transfer"} <= kinds
    assert all(decode(encode(event)) == event for event in events)
