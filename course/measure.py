"""Two measurements that many lessons make: how long something takes, and how much memory."""

import time
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """Seconds of wall time that calling `work` takes, all `times` together."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - start


def peak_memory(work: Callable[[], T]) -> tuple[T, float]:
    """(what `work` returns, megabytes that Python objects took at most while it ran).

    Memory that C libraries keep for themselves does not count.
    """
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
