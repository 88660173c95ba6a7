"""kill -9 of PostgreSQL in mid-run: no half of a night is kept, and the rerun equals one run.

The PostgreSQL is the module's own. Redis is the course's, under a name of the test's own.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import psycopg2
import pytest
from feature_store import FeatureStore, StoreUnavailable
from feature_store.classroom import Calendar

from course import connect
from tests.stack.private import PrivateStack

pytestmark = pytest.mark.faults

ENTITIES, NIGHTS, NAMES = 4_000, 4, ["a", "b", "c"]
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
ALL = range(ENTITIES)
# Numbers of runs may have gaps, and written_at is the server's clock: neither is compared.
TABLES = {
    "entities": "*",
    "feature_sets": "*",
    "runs": "entity_type, version, row_count, created",
    "thing_v1": "entity_id, event_time, created, a, b, c",
}
HALVES = """
    SELECT run_id FROM {name}.runs AS r
    WHERE row_count <> (SELECT count(*) FROM {name}.thing_v1 AS t WHERE t.run_id = r.run_id)
"""


@dataclass
class Scene:
    """A PostgreSQL that may be killed, its URL, and what an undisturbed run came to."""

    stack: PrivateStack
    url: str
    kept: dict[str, Any]
    seconds: dict[str, float]

    def rows(self, query: str) -> list[tuple]:
        with closing(psycopg2.connect(self.url)) as database, database.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def everything(self, store: FeatureStore) -> dict[str, Any]:
        """All that was kept, in PostgreSQL and in Redis."""
        found: dict[str, Any] = {
            table: self.rows(f"SELECT {columns} FROM {store.name}.{table} ORDER BY 1, 2")
            for table, columns in TABLES.items()
        }
        return found | {"online": store.get_features("thing", ALL)}

    @contextmanager
    def new_store(self, folder: Path) -> Iterator[FeatureStore]:
        """A store of a test's own; its keys are removed, its schema goes with the server."""
        name = f"fs_{uuid.uuid4().hex[:12]}"
        try:
            with FeatureStore(self.url, name=name, clock=Calendar(), parquet_folder=folder) as it:
                yield it
        finally:
            with connect.redis() as client:
                for key in client.scan_iter(f"{name}:*", count=1_000):
                    client.unlink(key)


def job(store: FeatureStore, reached: Callable[[str], None]) -> None:
    """Every night a frame is saved, the last one is brought online; `reached` hears of each."""
    store.define("thing", "thing_id")
    for night in range(1, NIGHTS + 1):
        moment = store.clock.now = BEGIN + night * timedelta(days=1)
        frame = pd.DataFrame({"thing_id": ALL, "event_time": moment})
        reached(f"save {night}")
        store.save_features("thing", frame.assign(**dict.fromkeys(NAMES, night)))
    reached("materialise")
    store.materialise("thing")
    reached("end")


@pytest.fixture(scope="module")
def scene(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    service("redis")
    stack = PrivateStack()
    try:
        scene = Scene(stack, stack.find("postgres")["postgres"]["url"], {}, {})
        times: dict[str, float] = {}
        with scene.new_store(tmp_path_factory.mktemp("parquet")) as store:
            job(store, lambda step: times.update({step: time.perf_counter()}))
            scene.kept = scene.everything(store)
        ends = [*times.values()][1:]
        scene.seconds = {step: end - times[step] for step, end in zip(times, ends, strict=False)}
        assert len(scene.kept["thing_v1"]) == ENTITIES * NIGHTS
        yield scene
    finally:
        stack.close()


def strike(scene: Scene, store: FeatureStore, step: str, share: float) -> BaseException | None:
    """Kill PostgreSQL when such a share of the step should be done; what the job ended with."""
    begun, struck = Event(), Event()

    def reached(now: str) -> None:
        if begun.is_set():  # the next step waits for us, however late we are
            struck.wait(120)
        elif now == step:
            begun.set()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(job, store, reached)
        try:
            assert begun.wait(60)
            time.sleep(share * scene.seconds[step])
            scene.stack.kill("postgres")
        finally:
            struck.set()
        return running.exception(timeout=60)


@pytest.mark.parametrize("where", ["save", "materialise"])
def test_postgres_killed_in_mid_run_loses_nothing_and_keeps_nothing_twice(
    scene: Scene, tmp_path: Path, rng: random.Random, where: str
) -> None:
    step = f"save {rng.randint(1, NIGHTS)}" if where == "save" else where
    with scene.new_store(tmp_path) as store:
        error = strike(scene, store, step, rng.uniform(0, 0.9))
        assert error or where == "materialise", "after each save there is more to do"
        if error:
            assert isinstance(error, StoreUnavailable), repr(error)
            assert str(error).startswith("PostgreSQL does not answer: ")
            assert "\n" not in str(error) and "repeat the call" in str(error)
        scene.stack.find("postgres")
        store.close()  # the rerun has connections of its own
        if scene.rows(f"SELECT 1 WHERE to_regclass('{store.name}.thing_v1') IS NOT NULL"):
            assert scene.rows(HALVES.format(name=store.name)) == []
        job(store, lambda _: None)
        assert scene.everything(store) == scene.kept
