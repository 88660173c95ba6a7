"""Bring the newest features online: into Feast's Redis store and, packed, beside it.

    python src/materialize.py                              as of the end of the data
    python src/materialize.py --at 2024-12-30T12:00        as of a moment
    python src/materialize.py --every 3600                 now and every hour, until Ctrl-C
    python src/materialize.py --freshness                  only say how old the values are

Values are to be refreshed every hour: by `--every`, or by the scheduler of your choice; twice does
no harm. For each entity the newest row not after the moment goes online, unless it is older than
the view's TTL. With `--every`, a Redis that goes away costs a turn, which is said, not the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pandas as pd
import redis

from features.views import View
from src import packed
from src.ending import asked_to_end
from src.feature_eng import VIEWS, view_file
from src.online import freshness
from src.store import StoreError, key_prefix, open_store, redis_url

if TYPE_CHECKING:
    from feast import FeatureStore


class Written(NamedTuple):
    """What one view's materialisation did: entities found, and those newer than what was there."""

    view: str
    found: int
    taken: int


def latest(view: View, at: datetime, file: Path | None = None) -> pd.DataFrame:
    """The newest row per entity not after `at` and not older than the TTL; both ends count."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        return database.execute(
            f"""
            SELECT * FROM read_parquet(?)
            WHERE event_timestamp BETWEEN ? AND ?
            QUALIFY row_number() OVER (
                PARTITION BY {view.entity} ORDER BY event_timestamp DESC, created DESC) = 1
            ORDER BY {view.entity}
            """,
            [str(file or view_file(view)), at - view.ttl, at],
        ).df()


def newest() -> datetime:
    """The time of the newest row of any view: the end of the data."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        ends = [
            database.execute(
                "SELECT max(event_timestamp) FROM read_parquet(?)", [str(view_file(view))]
            ).fetchone()
            for view in VIEWS
        ]
    known = [end[0] for end in ends if end and end[0] is not None]
    if not known:
        raise StoreError("The views hold no rows. Run `python src/feature_eng.py`.")
    return max(known).astimezone(UTC)


def write_packed(
    client: redis.Redis, view: View, table: pd.DataFrame, prefix: str = packed.PREFIX
) -> int:
    """Write rows of a view's table packed; returns how many were newer than what was there."""
    rows = (
        (row[view.entity], row["event_timestamp"].to_pydatetime(), row)
        for row in table.to_dict("records")
    )
    return packed.write(client, view, rows, prefix)


def materialize(
    store: FeatureStore, client: redis.Redis, at: datetime, prefix: str = packed.PREFIX
) -> list[Written]:
    """Bring every view online as of `at`, first in Feast, then packed."""
    done = []
    for view in VIEWS:
        table = latest(view, at)
        if not table.empty:
            with contextlib.redirect_stdout(io.StringIO()):  # Feast narrates, in colours
                store.materialize(at - view.ttl, at, feature_views=[view.name])
        done.append(Written(view.name, len(table), write_packed(client, view, table, prefix)))
    return done


def moment(text: str) -> datetime:
    """A time from the command line, UTC unless it says otherwise."""
    try:
        time_ = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time. Write it like 2024-12-30T12:00."
        ) from None
    return time_ if time_.tzinfo else time_.replace(tzinfo=UTC)


def report(client: redis.Redis, prefix: str = packed.PREFIX) -> str:
    """How fresh each view is online, as text."""
    known = freshness(client, prefix)
    lines = [f"{'view':10} {'values of (UTC)':20} {'written':>16} {'rows':>6}"]
    for view in VIEWS:
        found = known.get(view.name)
        if found is None:
            lines.append(f"{view.name:10} never materialised")
            continue
        as_of = datetime.fromtimestamp(found.as_of, UTC)
        late = "  too old" if found.stale else ""
        lines.append(
            f"{view.name:10} {as_of:%Y-%m-%d %H:%M:%S}  {found.age / 60:>9.1f} min ago"
            f" {found.rows:>6,}{late}"
        )
    return "\n".join(lines)


def seconds(text: str) -> float:
    """A period from the command line: more than 0 seconds."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, such as 3600.")
    return number


def once(store: FeatureStore, client: redis.Redis, at: datetime | None) -> None:
    """Bring everything online as of `at`, or else the end of the data; say what was done."""
    start = time.perf_counter()
    for row in materialize(store, client, at or newest(), key_prefix()):
        print(f"{row.view:10} {row.found:>6,} entities, {row.taken:,} written")
    print(f"done in {time.perf_counter() - start:.1f} s\n")
    print(report(client, key_prefix()), flush=True)


async def again_and_again(turn: Callable[[], None], period: float) -> int:
    """Take a turn now and every `period` seconds until Ctrl-C or SIGTERM; returns how many.

    The clock decides, not how long a turn took; one that took longer than a period skips some. A
    Redis that is away is told of, and the next turn tries anew.
    """
    stop, start, turns = asked_to_end(), time.monotonic(), 0
    while not stop.is_set():
        try:
            await asyncio.to_thread(turn)
            turns += 1
        except redis.RedisError as error:
            print(f"Redis can't be used, the next turn tries again: {error}", file=sys.stderr)
        rest = period - (time.monotonic() - start) % period
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), rest)
    return turns


def main(argv: list[str] | None = None) -> int:
    """Materialise, and say what is online."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--at", type=moment, help="as of when (default: the end of the data)")
    parser.add_argument("--every", type=seconds, metavar="SECONDS", help="go on until Ctrl-C")
    parser.add_argument("--freshness", action="store_true", help="write nothing, only report")
    wanted = parser.parse_args(argv)
    if wanted.freshness and wanted.every:
        parser.error("--freshness writes nothing: it can't be repeated.")
    try:
        with redis.Redis.from_url(redis_url()) as client:
            client.ping()
            if wanted.freshness:
                print(report(client, key_prefix()))
                return 0
            store = open_store()
            if wanted.every:
                turn = partial(once, store, client, wanted.at)
                turns = asyncio.run(again_and_again(turn, wanted.every))
                print(f"ended after {turns} turns")
            else:
                once(store, client, wanted.at)
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    except redis.RedisError as error:
        print(f"Redis at REDIS_URL can't be used: {error}", file=sys.stderr)
        return 69
    except KeyboardInterrupt:  # twice does no harm: what is half done can be done again
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
