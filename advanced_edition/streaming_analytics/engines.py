"""The same accumulators on several processes or machines, and DuckDB, which needs none of them.

Dask and DuckDB are options: without them their function raises Missing, which says how to get them.
"""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial, reduce
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from course.console import Console
from course.errors import CourseError
from streaming_analytics.analytics import Columns, StreamingAnalytics
from streaming_analytics.moments import Exact, Fixed
from streaming_analytics.reader import Section, split, stream_csv

SECTION = 16 << 20  # bytes: small enough to hear Ctrl-C soon, large enough not to matter
Progress = Callable[[Iterable[StreamingAnalytics]], Iterable[StreamingAnalytics]]
QUERY = """
    SELECT {group}, count(*), sum(cents), sum(cents::HUGEINT * cents), min(cents), max(cents)
    FROM (
        SELECT {group}, ({value} * 100)::BIGINT AS cents
        FROM read_csv($path, header = true, columns = {types}, store_rejects = true,
                      new_line = '\\n')
        WHERE {value} * 100 % 1 = 0
    ) GROUP BY {group}
"""


class Missing(CourseError):  # noqa: N818
    """An engine that is not installed, or does not answer."""


def count_section(path: Path, section: Section | None, sketches: bool) -> StreamingAnalytics:
    """Count the rows of one section: what each process does."""
    rows = stream_csv(path, section)
    analytics = StreamingAnalytics(source=rows, sketches=sketches)
    for batch in rows.batches():
        analytics.process_rows(batch)
    analytics.source = None  # an open file can't travel to another process
    return analytics


def _merged(parts: Iterable[StreamingAnalytics]) -> StreamingAnalytics:
    return reduce(StreamingAnalytics.merge, parts)


def _sections(path: Path, workers: int) -> list[Section]:
    return split(path, max(workers, path.stat().st_size // SECTION))


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Ctrl-C is heard at the end of the block, and never by the processes that are started in it.

    (On Windows those that are just starting hear it and complain.)
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def count_in_processes(
    path: Path, workers: int = 2, sketches: bool = False, progress: Progress = iter
) -> StreamingAnalytics:
    """Count the file with `workers` processes on this machine.

    `progress` is given the analytics of the sections as they come, and passes them on.
    """
    work = partial(count_section, path, sketches=sketches)
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_leave_ctrl_c_to_the_parent
    ) as pool:
        with _ctrl_c_held_back():
            sections = pool.map(work, _sections(path, workers))
        return _merged(progress(sections))


def told(console: Console, sections: Iterable[StreamingAnalytics]) -> Iterator[StreamingAnalytics]:
    """Progress: rows so far and rows per second while sections come, and a line at the end."""
    start, rows, text = time.perf_counter(), 0, ""
    for section in sections:
        rows += section.rows
        text = f"  {rows:,} rows, {rows / (time.perf_counter() - start):,.0f} rows/s"
        console.status(text)
        yield section
    console.status("")
    console.say(text)


def count_with_dask(
    path: Path, workers: int = 2, scheduler: str = "", sketches: bool = False
) -> StreamingAnalytics:
    """Count the file with Dask: a cluster on this machine, or the one behind `scheduler`.

    `scheduler` is an address such as tcp://10.0.0.1:8786; its workers need this package and must
    see the file under the same path. Raises Missing.
    """
    try:
        from dask.distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise Missing("Dask is not installed. To get it: pip install 'dask[distributed]'") from None
    path = path.resolve()
    with ExitStack() as stack:
        try:
            target: Any = scheduler or stack.enter_context(
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None,
                    silence_logs=50,
                )
            )  # fmt: skip
            client = stack.enter_context(Client(target, timeout=10))
        except OSError as error:
            raise Missing(f"No Dask scheduler answers at {scheduler}: {error}") from None
        sections = _sections(path, workers)
        futures = client.map(count_section, [path] * len(sections), sections, sketches=sketches)
        return _merged(result for _, result in as_completed(futures, with_results=True))


def count_with_duckdb(path: Path) -> dict[str, dict[str, Any]]:
    """The groups of the summary, counted by DuckDB; Missing if it isn't installed.

    It sums whole numbers of cents, so the digits are those of `Exact`.
    """
    try:
        import duckdb
    except ImportError:
        raise Missing("DuckDB is not installed. To get it: pip install duckdb") from None
    columns, number = Columns(), Fixed()
    types = dict.fromkeys(columns.header, "VARCHAR") | {columns.value: "DECIMAL(18, 4)"}
    query = QUERY.format(group=columns.group, value=columns.value, types=types)
    analytics = StreamingAnalytics(columns, number)
    with duckdb.connect() as connection:
        for name, *figures in connection.execute(query, {"path": str(path)}).fetchall():
            moments = Exact()
            moments.count, moments.total, moments.squares, moments.low, moments.high = figures
            analytics.groups[name] = moments
    return analytics.get_summary()["groups"]
