"""Time, throughput, memory and comparisons are what they say."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import psutil
import pytest
from utils import performance
from utils.performance import MB, Measurement, compare, in_new_process, measure, table, watch

BIG = 40_000_000  # bytes


def hold(size: int) -> int:
    """Have `size` bytes in memory for a moment, and give them back."""
    block = bytearray(size)
    time.sleep(0.5)  # a hundred looks at the memory, of which a busy machine may miss most
    return len(block)


def fail() -> None:
    raise ValueError("on purpose")


def test_time_and_rate() -> None:
    with watch("sleep", items=10) as watched:
        time.sleep(0.1)
    found = watched.found
    assert 0.09 < found.seconds < 30
    assert found.per_second == pytest.approx(10 / found.seconds)
    assert str(found).startswith(f"sleep: 10 in {found.seconds:.2f} s, ")
    assert Measurement("nothing", 0.0).per_second == float("inf")
    assert str(Measurement("x", 1.0, 2)) == "x: 2 in 1.00 s, 2/s"


@pytest.mark.skipif(performance.resident() is None, reason="the system doesn't tell the memory")
def test_memory_that_was_given_back_counts() -> None:
    found = in_new_process(hold, BIG)
    assert found.result == BIG
    assert found.growth is not None and BIG * 0.9 < found.growth < BIG + 20 * MB
    small = in_new_process(hold, 1_000)
    assert small.growth is not None and small.growth < 5 * MB


def test_no_growth_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "resident", lambda: None)
    found = measure(partial(hold, 10), "hold")
    assert found.growth is None and "MB" not in str(found)
    assert table({"hold": found})[0]["memory"] == "?"


def test_an_error_comes_through_and_no_thread_stays() -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="on purpose"):
        measure(fail)
    with pytest.raises(ValueError, match="on purpose"):
        in_new_process(fail)
    assert threading.active_count() == before


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_died_is_told() -> None:
    with pytest.raises(ChildProcessError, match="measured die died"):
        in_new_process(die)


WAITS = """
import sys, time
from utils.performance import in_new_process
try:
    print("begin", flush=True)
    in_new_process(time.sleep, 60)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.skipif(os.name == "nt", reason="process groups are another thing there")
@pytest.mark.parametrize(
    ("ended_by", "moment"),
    [*((signal.SIGINT, moment) for moment in (0.0, 0.03, 0.1, 0.4)), (signal.SIGKILL, 0.4)],
)
def test_ended_at_any_moment_it_leaves_no_process_and_no_traceback(
    ended_by: signal.Signals, moment: float
) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=pipe, stderr=pipe, text=True,
                          start_new_session=True) as process:  # fmt: skip
        assert process.stdout and process.stderr and process.stdout.readline() == "begin\n"
        time.sleep(moment)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, ended_by)
        process.wait(60)
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive
        if ended_by == signal.SIGINT:
            assert (process.returncode, process.stderr.read()) == (130, "")


def test_a_partial_has_the_name_of_its_function() -> None:
    found = in_new_process(partial(hold, 10), items=3)
    assert (found.result, found.items, found.name) == (10, 3, "hold")


def test_ways_are_compared_in_turn_and_by_their_median() -> None:
    order: list[str] = []

    def way(name: str, *naps: float) -> object:
        waits = iter(naps)

        def work() -> None:
            order.append(name)
            time.sleep(next(waits))

        return work

    ways = {"first": way("first", 0.02, 0.8, 0.02), "second": way("second", 0.5, 0.5, 0.0)}
    found = compare(ways, items=5)  # type: ignore[arg-type]
    assert order == ["first", "second"] * 3
    assert list(found) == ["first", "second"]
    assert found["first"].seconds < 0.45 < found["second"].seconds
    rows = table(found)
    assert [row["way"] for row in rows] == ["first", "second"]
    assert rows[0]["times the first"] == "1.00" and float(rows[1]["times the first"]) > 1


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="rounds"):
        compare({"x": lambda: None}, rounds=0)


def test_nothing_to_compare_is_an_empty_table() -> None:
    assert table({}) == []
