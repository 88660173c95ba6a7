"""The ledger is killed while it works: nothing accepted is lost, and nothing is half there."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ledger.audit import audit, overdrawn
from ledger.events import Deposit
from ledger.log import POLICIES
from ledger.service import Ledger

pytestmark = pytest.mark.faults

POINTS, POINTS_OF_FULL = 4, 5  # for each of 3 seeds, and of 20: a hundred in all
OPENED = 40  # events that open the accounts
# Tells each accepted key only after the answer came, as a caller would learn of it.
WORKER = """
import sys
from itertools import count
from pathlib import Path
from ledger.service import Ledger
from ledger.workload import open_accounts, perform, requests

folder, run, fsync = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with Ledger.open(folder, fsync, batch=50) as ledger:
    accounts = open_accounts(ledger, 2_000, seed=6)
    print("ready", flush=True)
    for number, request in enumerate(requests(accounts, 10**7, seed=int(run))):
        receipt = perform(ledger, request._replace(key=f"{run}-{number}", at=ledger.bank.at))
        print(receipt.event.key, receipt.event.number, flush=True)
        if number % 300 == 299:
            ledger.snapshot()
"""


def killed_while_it_works(folder: Path, run: int, fsync: str, rng: random.Random) -> list[str]:
    """Let a process work until a random moment, kill it; the lines that it told us."""
    command = [sys.executable, "-c", WORKER, str(folder), str(run), fsync]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        lines = [process.stdout.readline() for _ in range(rng.randrange(1, 400))]
        pause = time.perf_counter() + rng.random() / 500
        while time.perf_counter() < pause:
            pass
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode not in (0, 1)
    return [line for line in lines if line.endswith("\n")]


def test_kill_9_loses_no_accepted_transaction(
    tmp_path: Path, seed: int, rng: random.Random, request: pytest.FixtureRequest
) -> None:
    """Whatever the policy: fsync is about the power, not about the process."""
    fsync = POLICIES[seed % len(POLICIES)]
    points = POINTS_OF_FULL if request.config.getoption("full") else POINTS
    accepted: dict[str, int] = {}
    for run in range(points):
        for line in killed_while_it_works(tmp_path, run, fsync, rng):
            key, number = line.split()
            accepted[key] = int(number)
        with Ledger.open(tmp_path) as ledger:
            found = {key: ledger.event(key).number for key in accepted}
            assert found == accepted
            # At most one a run was written and not yet told when the end came.
            assert len(accepted) <= len(ledger.keys) - OPENED <= len(accepted) + run + 1
            assert audit(ledger).findings == []
            assert overdrawn(ledger.bank) == []


def test_killed_or_torn_the_next_start_says_what_it_dropped(
    tmp_path: Path, seed: int, rng: random.Random
) -> None:
    """SIGKILL comes between two writes; a power failure cuts one in two. Here is both."""
    killed_while_it_works(tmp_path, seed, "batch", rng)
    with Ledger.open(tmp_path) as ledger:
        path, last = ledger.log.path, ledger.bank.number
        offset = max(ledger.keys.values())
        event = ledger.event(next(k for k, place in ledger.keys.items() if place == offset))
    for snapshot in tmp_path.glob(f"snapshot-*{last}.json"):
        snapshot.unlink()  # had it been written, the event would have been whole before
    data = path.read_bytes()
    cut = rng.randrange(offset + 1, len(data))
    path.write_bytes(data[:cut])
    with Ledger.open(tmp_path) as ledger:
        dropped = ledger.log.dropped
        assert dropped
        assert (dropped.offset, dropped.size) == (offset, cut - offset)
        assert dropped.kept_in.read_bytes() == data[offset:cut]
        assert ledger.bank.number == last - 1
        assert event.key not in ledger.keys
        assert audit(ledger).findings == []
        assert isinstance(ledger.event("first-0"), Deposit)
