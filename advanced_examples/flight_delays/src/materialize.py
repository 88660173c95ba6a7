"""Bring the newest features online: into Feast's Redis store and, packed, beside it.

    python src/materialize.py                              as of the end of the data
    python src/materialize.py --at 2024-12-30T12:00        as of a moment
    python src/materialize.py --freshness                  only say how old the values are

Run it every hour (cron, or the scheduler of your choice); twice does no harm. For each entity the
newest row not after the moment goes online, unless it is older than the view's TTL.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pandas as pd
import redis

from features.views import View
from src import packed
from src.feature_eng import VIEWS, view_file
from src.online import freshness
from src.store import StoreError, open_store, redis_url

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


def main(argv: list[str] | None = None) -> int:
    """Materialise, and say what is online."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--at", type=moment, help="as of when (default: the end of the data)")
    parser.add_argument("--freshness", action="store_true", help="write nothing, only report")
    wanted = parser.parse_args(argv)
    start = time.perf_counter()
    try:
        with redis.Redis.from_url(redis_url()) as client:
            client.ping()
            if not wanted.freshness:
                store = open_store()
                for row in materialize(store, client, wanted.at or newest()):
                    print(f"{row.view:10} {row.found:>6,} entities, {row.taken:,} written")
                print(f"done in {time.perf_counter() - start:.1f} s\n")
            print(report(client))
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    except (redis.ConnectionError, redis.TimeoutError, ValueError) as error:
        print(f"Redis at REDIS_URL can't be used: {error}", file=sys.stderr)
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
