"""The feature store beside Feast: the point-in-time join, and reading online.

Feast runs in an environment of its own as a process that answers over a pipe, so that its calls
and ours take turns on the same data and the same Redis. Every answer is compared first.

What is alike on all sides, so that the ratios are fair:

- One TTL, the one that the lesson gives its customers: 40 days. It matters, since Feast pairs each
  label with all rows within the TTL before it drops all but one: its time grows with the TTL, ours
  does not. The ratios at 7 and at 90 days are printed beside, and don't gate.
- A DuckDB connection that is open already, for ours and for the bare join, and a store that is open
  already, for ours and for Feast. All of them give a pandas frame with the labels and 5 features.
- Feast and the bare join read the file as it came, by time. Ours is its export, by entity and time,
  made once a night and not counted here; the seconds it took are printed.
"""

import json
import statistics
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import redis
from feature_store import FeatureStore

from course import connect
from course.measure import seconds
from course.settings import ROOT
from course.workspace import own_schema
from tests.support import environment_python, load_lesson

Measure = Callable[..., None]
Times = dict[str, list[float]]

PEER = ROOT / "tests" / "benchmarks" / "feast_peer"
NAME = "bench_feature_store"
LESSON = load_lesson("advanced_examples/ml_pipeline/03_feature_store.py")
ENTITIES, DAYS, LABELS, TTL = 10_000, 100, 100_000, LESSON.TTL
OTHER_TTLS = (7, 90)  # days
FEATURES = [f"f{number}" for number in range(5)]
BEGIN = pd.Timestamp("2025-01-01", tz="UTC")
NOW = datetime(2025, 4, 11, tzinfo=UTC)
JOINS, OTHER_JOINS, READS, IDS = 7, 3, 200, 100
# What the data allows and ours must not need: no second time, no ties, no rows that came late.
BARE = """
    SELECT labels.*, f0, f1, f2, f3,
           CASE WHEN event_time >= event_timestamp - INTERVAL {days} DAY THEN f4 END AS f4
    FROM labels ASOF LEFT JOIN read_parquet('{file}') AS features
      ON labels.driver_id = features.driver_id AND event_timestamp >= event_time
"""


class Feast:
    """The peer's process: `ask(verb, …)` sends a line and waits for its answer."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        command = [environment_python(PEER / ".venv"), PEER / "worker.py"]
        days = str(TTL / timedelta(days=1))
        self.log = (folder / "feast.log").open("w")
        self.process = subprocess.Popen(
            [*map(str, command), str(folder), redis_url, days], text=True, stderr=self.log,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"Feast ended: {Path(self.log.name).read_text()[-2_000:]}"
        return json.loads(line)

    def ask(self, *words: object) -> Any:
        """The answer to a verb with its arguments."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End of input: the peer removes what it wrote and ends."""
        self.process.communicate(timeout=120)
        self.log.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A million feature rows in the order in which they would come, and the labels, as Parquet."""
    folder, chance = tmp_path_factory.mktemp("features"), np.random.default_rng(0)
    days = np.repeat(np.arange(DAYS), ENTITIES)
    event_time = (BEGIN + pd.to_timedelta(days * 86_400, unit="s")).as_unit("us")
    history = pd.DataFrame({
        "driver_id": np.tile(np.arange(1, ENTITIES + 1), DAYS),
        "event_time": event_time,
        "created": event_time,
        **{name: chance.random(DAYS * ENTITIES) for name in FEATURES},
    })  # fmt: skip
    moments = pd.to_timedelta(chance.integers(0, DAYS * 86_400, LABELS), unit="s")
    labels = pd.DataFrame({
        "driver_id": chance.integers(1, ENTITIES + 1, LABELS),
        "event_timestamp": (BEGIN + moments).as_unit("us"),
    })  # fmt: skip
    history.to_parquet(folder / "features.parquet")
    labels.to_parquet(folder / "labels.parquet")
    return folder


@pytest.fixture(scope="module")
def feast(folder: Path, service: Callable[[str], str]) -> Iterator[Feast]:
    command = [sys.executable, str(ROOT / "learn.py"), "environment", str(PEER)]
    made = subprocess.run(command, capture_output=True, check=False, text=True, timeout=600)
    if made.returncode:
        pytest.skip(f"Feast can't be installed: {made.stderr}")
    peer = Feast(folder, service("redis"))
    peer.ask("materialise", NOW.isoformat())
    yield peer
    peer.close()


def vacuum(table: str) -> None:
    """What autovacuum would have done by the time that anybody trains."""
    with closing(connect.postgres()) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"VACUUM ANALYZE {table}")


@pytest.fixture(scope="module")
def store(folder: Path, service: Callable[[str], str]) -> Iterator[FeatureStore]:
    service("postgres")
    service("redis")
    with ExitStack() as stack:
        stack.enter_context(own_schema(NAME))
        client = stack.enter_context(connect.redis())
        store = FeatureStore(name=NAME, clock=lambda: NOW, parquet_folder=folder / "exported")
        stack.enter_context(store)
        store.define("driver", "driver_id", TTL)
        store.save_features("driver", pd.read_parquet(folder / "features.parquet"))
        vacuum(f"{NAME}.driver_v1")
        store.materialise("driver")
        yield store
        for key in client.scan_iter(f"{NAME}:*", count=10_000):
            client.unlink(key)


@pytest.fixture(scope="module")
def exported(store: FeatureStore) -> float:
    """The seconds that the export takes."""
    return seconds(lambda: store.export("driver"))


def in_turn(
    rounds: int, ways: dict[str, Callable[[], float]], prepare: Callable[[], None] | None = None
) -> Times:
    """The seconds of every way in every round, each beginning with another way.

    One round before them doesn't count.
    """
    times: Times = {name: [] for name in ways}
    order = deque(ways)
    for number in range(rounds + 1):
        order.rotate()
        if prepare:
            prepare()
        for name in order:
            taken = ways[name]()
            if number:
                times[name].append(taken)
    return times


def ratio(times: Times, way: str, peer: str) -> float:
    """The median of the ratios of each round, in which both met the same machine."""
    pairs = zip(times[way], times[peer], strict=True)
    return statistics.median(one / other for one, other in pairs)


def says(times: Times, unit: float = 1.0, name: str = "s") -> str:
    medians = {way: statistics.median(every) * unit for way, every in times.items()}
    return ", ".join(f"{way} {value:.3g}" for way, value in medians.items()) + f" {name}"


@pytest.fixture(scope="module")
def joins(folder: Path, feast: Feast, store: FeatureStore, exported: float) -> Times:
    labels = pd.read_parquet(folder / "labels.parquet")
    asked = labels.rename(columns={"event_timestamp": "at"})
    bare = BARE.format(days=TTL.days, file=folder / "features.parquet")

    def ours(engine: str) -> Callable[[], float]:
        return lambda: seconds(
            lambda: store.get_training_dataset("driver", FEATURES, asked, engine=engine)
        )

    def bare_duckdb() -> pd.DataFrame:
        with duck.cursor() as cursor:
            cursor.register("labels", labels)
            return cursor.sql(bare).df()

    with duckdb.connect() as duck:
        times = in_turn(JOINS, {
            "PostgreSQL": ours("postgres"),
            "Parquet": ours("duckdb"),
            "bare DuckDB": lambda: seconds(bare_duckdb),
            "Feast": lambda: feast.ask("historical"),
        })  # fmt: skip
    keys = ["driver_id", "at"]
    theirs = pq.read_table(folder / "feast.parquet").to_pandas()
    theirs = theirs.rename(columns={"event_timestamp": "at"})[[*keys, *FEATURES]]
    theirs = theirs.sort_values(keys, ignore_index=True)
    for engine in ("postgres", "duckdb"):
        found = store.get_training_dataset("driver", FEATURES, asked, engine=engine)
        found = found.sort_values(keys, ignore_index=True)
        assert len(found) == len(theirs) == LABELS
        for name in FEATURES:
            np.testing.assert_array_equal(found[name].to_numpy(float), theirs[name].to_numpy(float))
    return times


def test_the_join_in_postgresql_is_no_slower_than_feast(measured: Measure, joins: Times) -> None:
    value = ratio(joins, "PostgreSQL", "Feast")
    measured("point-in-time join, PostgreSQL over Feast", value, 1.0, "lower", says(joins))


def test_the_join_through_parquet_is_near_bare_duckdb(measured: Measure, joins: Times) -> None:
    value = ratio(joins, "Parquet", "bare DuckDB")
    measured("point-in-time join, Parquet over bare DuckDB", value, 2.0, "lower", says(joins))


@pytest.fixture(scope="module")
def at_other_ttls(joins: Times, folder: Path, feast: Feast, store: FeatureStore) -> str:
    """What the ratio of Feast to Parquet would be if features lived shorter or longer."""
    labels = pd.read_parquet(folder / "labels.parquet")
    asked = labels.rename(columns={"event_timestamp": "at"})
    found = []
    for days in OTHER_TTLS:
        feast.ask("live", days)
        times = in_turn(OTHER_JOINS, {
            "Parquet": lambda ttl=timedelta(days=days): seconds(lambda: store.get_training_dataset(
                "driver", FEATURES, asked, ttl=ttl, engine="duckdb")),
            "Feast": lambda: feast.ask("historical"),
        })  # fmt: skip
        found.append(f"{ratio(times, 'Feast', 'Parquet'):.1f} at {days} days")
    feast.ask("live", TTL / timedelta(days=1))
    return ", ".join(found)


def test_the_join_through_parquet_leaves_feast_behind(
    measured: Measure, joins: Times, at_other_ttls: str, exported: float
) -> None:
    value = ratio(joins, "Feast", "Parquet")
    text = f"{says(joins)}, export {exported:.2g} s; with another TTL: {at_other_ttls}"
    name = f"point-in-time join, TTL of {TTL.days} days, Feast over Parquet"
    measured(name, value, 15.0, "higher", text)


@pytest.fixture(scope="module")
def reads(feast: Feast, store: FeatureStore, service: Callable[[str], str]) -> Times:
    chance = np.random.default_rng(1)
    ids: list[int] = []
    client = redis.Redis.from_url(service("redis"))

    def choose() -> None:
        ids[:] = (chance.choice(ENTITIES, IDS, replace=False) + 1).tolist()

    def pipelined() -> None:
        with client.pipeline(transaction=False) as pipe:
            for number in ids:
                pipe.get(f"{NAME}:driver:v1:{number}")
            pipe.execute()

    def one_mget() -> None:
        client.mget([f"{NAME}:driver:v1:{number}" for number in ids])

    times = in_turn(READS, {
        "get_features": lambda: seconds(lambda: store.get_features("driver", ids)),
        "pipelined GET": lambda: seconds(pipelined),
        "raw MGET": lambda: seconds(one_mget),
        "Feast": lambda: feast.ask("online", ids),
    }, choose)  # fmt: skip
    feast.ask("online", ids)
    theirs, ours = feast.ask("last"), store.get_features("driver", ids)
    assert theirs["driver_id"] == ids
    for name in FEATURES:
        assert theirs[name] == [ours[number][name] for number in ids]
    client.close()
    return times


def test_reading_is_near_one_raw_read(measured: Measure, reads: Times) -> None:
    value = ratio(reads, "get_features", "pipelined GET")
    text = says(reads, 1_000, "ms")
    measured("get_features(100) over a raw pipelined read", value, 1.3, "lower", text)


def test_reading_is_much_faster_than_feast(measured: Measure, reads: Times) -> None:
    value = ratio(reads, "Feast", "get_features")
    text = says(reads, 1_000, "ms")
    measured("get_online_features(100) of Feast over get_features", value, 4.0, "higher", text)
