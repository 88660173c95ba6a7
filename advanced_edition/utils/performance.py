"""How long, how many per second, how much memory, and which of several ways is faster.

    with watch("read", items=1_000_000) as reading:
        ...
    print(reading.found)                  # read: 1,000,000 in 1.16 s, 862,069/s, +0.3 MB

Memory is the growth of the process as the operating system counts it, because a laptop runs out of
that, and not of Python objects. A process keeps what it once had: `in_new_process` measures in one
that has had nothing yet.
"""

import os
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import spawn
from operator import attrgetter
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

STATM = Path("/proc/self/statm")
LOOK_EVERY = 0.005  # seconds
MB = 1e6
by_time = attrgetter("seconds")


@dataclass(frozen=True)
class Measurement:
    """What a piece of work took: seconds of wall time, bytes by which the process grew at most.

    `growth` is None where the system doesn't tell. `cpu` has the seconds for which this process
    had a processor: on a busy machine they are fewer than `seconds`, and vary less.
    """

    name: str
    seconds: float
    items: int = 1
    growth: int | None = None
    result: Any = field(default=None, repr=False)
    cpu: float = 0.0

    @property
    def per_second(self) -> float:
        """Items a second."""
        return self.items / self.seconds if self.seconds else float("inf")

    def __str__(self) -> str:
        memory = "" if self.growth is None else f", +{self.growth / MB:.1f} MB"
        rate = f"{self.items:,} in {self.seconds:.2f} s, {self.per_second:,.0f}/s"
        return f"{self.name}: {rate}{memory}"


class Watch:
    """A measurement under way; `found` is there when the block has ended."""

    found: Measurement


def resident() -> int | None:
    """Bytes of this process in memory now; None where neither Linux nor psutil tells."""
    if STATM.exists():
        import resource

        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    try:
        import psutil
    except ImportError:
        return None
    return psutil.Process().memory_info().rss


@contextmanager
def watch(name: str, items: int = 1) -> Iterator[Watch]:
    """Measure the block: time, and memory looked at every 5 ms by a thread beside it."""
    measured, stop, highest = Watch(), threading.Event(), [resident()]
    before = highest[0]

    def look() -> None:
        while not stop.wait(LOOK_EVERY):
            highest.append(max(resident() or 0, highest.pop() or 0))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    start, cpu = time.perf_counter(), time.process_time()
    try:
        yield measured
    finally:
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        stop.set()
        thread.join()
        growth = None
        if before is not None:
            growth = max(highest[0] or 0, resident() or 0) - before
        measured.found = Measurement(name, seconds, items, growth, cpu=cpu)


def measure(work: Callable[[], Any], name: str = "", items: int = 1) -> Measurement:
    """Call `work` once and measure it; its return value is the `result`."""
    with watch(name or name_of(work), items) as watched:
        result = work()
    return replace(watched.found, result=result)


def name_of(work: Callable[..., Any]) -> str:
    """The name of a function, of a partial's function too."""
    while isinstance(work, partial):
        work = work.func
    return getattr(work, "__name__", "work")


# What a new Python does first: it becomes like this one (path, directory, main module), and works.
# It ends without a word when the one who started it is gone before it said what to do.
_BEGIN = (
    "import pickle, sys; sys.stdin.buffer.peek() or sys.exit(1); "
    "from multiprocessing import spawn; "
    "spawn.prepare(pickle.load(sys.stdin.buffer)); "
    "from utils.performance import work_here; work_here()"
)


def in_new_process(function: Callable[..., Any], *arguments: Any, items: int = 1) -> Measurement:
    """Measure `function(*arguments)` in a new Python, which has imported its module and no more.

    `function` must be importable by its name, and the result must be picklable. What the function
    raises is raised here; ChildProcessError when the process died. What it prints goes to stderr.
    """
    work = partial(measure, partial(function, *arguments), name_of(function), items)
    like_this = spawn.get_preparation_data(name_of(function))
    del like_this["authkey"]  # a secret, and not needed
    # In a session of its own it is no target of Ctrl-C, which would find it half imported and
    # make it complain. This process hears Ctrl-C, and ends it.
    with Popen([sys.executable, "-c", _BEGIN], stdin=PIPE, stdout=PIPE, start_new_session=True) as (
        process
    ):
        try:
            process.stdin.write(pickle.dumps(like_this) + pickle.dumps(work))
            process.stdin.flush()
            answer = process.stdout.read()
        finally:
            process.kill()
    if not answer:
        raise ChildProcessError(f"The process that measured {name_of(function)} died.")
    result, error = pickle.loads(answer)
    if error:
        raise error
    return result


def work_here() -> None:
    """The new process: do the work that stdin brings, and answer on stdout."""
    work = pickle.load(sys.stdin.buffer)
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        done = (work(), None)
    except Exception as error:
        error.add_note(f"In the new process:\n{traceback.format_exc()}")
        done = (None, error)
    with answer:
        answer.write(pickle.dumps(done))


def _end_with_parent() -> None:
    """The parent holds the other end of stdin: when that closes, nobody waits for an answer."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def compare(
    ways: Mapping[str, Callable[[], Any]], items: int = 1, rounds: int = 3
) -> dict[str, Measurement]:
    """Measure the ways in turn, `rounds` times; each one's median by time, in the order given.

    In turn, so that a machine that is slow for a second is slow for all of them. Raises ValueError
    for fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, not {rounds}")
    found: dict[str, list[Measurement]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            found[name].append(measure(work, name, items))
    return {name: sorted(runs, key=by_time)[rounds // 2] for name, runs in found.items()}


def table(measurements: Mapping[str, Measurement]) -> list[dict[str, str]]:
    """Rows for `lesson.table`: each way, and how often it takes the time of the first one."""
    first = next(iter(measurements.values()), None)
    return [
        {
            "way": name,
            "seconds": f"{one.seconds:.2f}",
            "per second": f"{one.per_second:,.0f}",
            "times the first": f"{one.seconds / first.seconds:.2f}"
            if first and first.seconds
            else "?",
            "memory": "?" if one.growth is None else f"+{one.growth / MB:.1f} MB",
        }
        for name, one in measurements.items()
    ]
