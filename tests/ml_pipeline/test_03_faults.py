"""Killed, cut off, or nobody at home: old values or new ones, never a mix, and plain words."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from feature_store import FeatureStore, StoreUnavailable

from course import connect
from course.workspace import own_redis

ENTITIES, NAMES = 6_000, ["a", "b", "c", "d"]
BEGIN, DAY = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=1)
KILL = signal.SIGKILL if os.name != "nt" else signal.SIGTERM
MATERIALISE = """
import sys
from datetime import datetime
from feature_store import FeatureStore
name, redis_url, at = sys.argv[1:]
with FeatureStore(name=name, redis_url=redis_url) as store:
    print("ready", flush=True)
    store.materialise("thing", datetime.fromisoformat(at))
"""


def save(store: FeatureStore, generation: int, entities: int = ENTITIES) -> datetime:
    """Give every entity the same number in every feature; the moment from which it holds."""
    moment = store.clock.now = BEGIN + generation * DAY
    frame = pd.DataFrame({"thing_id": range(entities), "event_time": moment})
    store.save_features("thing", frame.assign(**dict.fromkeys(NAMES, generation)))
    return moment


def generations(store: FeatureStore, entities: int = ENTITIES) -> list[set]:
    """The different values that each entity has online: one, unless it is a mix."""
    found = store.get_features("thing", range(entities))
    return [set(row.values()) for row in found.values()]


@pytest.mark.faults
def test_kill_9_leaves_old_or_new_values_of_each_entity(
    store: FeatureStore, service: Callable[[str], str], rng: random.Random
) -> None:
    store.define("thing", "thing_id")
    save(store, 1)
    store.materialise("thing")
    new = save(store, 2)
    command = [sys.executable, "-c", MATERIALISE, store.name, service("redis"), new.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        # Any of the first ones begins: then kill it when this one is there.
        last = rng.randrange(ENTITIES * 9 // 10)
        while store.get_features("thing", [last], ["a"])[last]["a"] == 1:
            assert time.monotonic() < deadline
        process.send_signal(KILL)
    found = generations(store)
    assert all(values in ({1}, {2}) for values in found)
    assert {2} in found
    assert store.materialise("thing") == ENTITIES
    assert set(map(tuple, generations(store))) == {(2,)}


@pytest.mark.faults
def test_redis_dies_in_the_middle(store: FeatureStore, tmp_path: Path, rng: random.Random) -> None:
    """The message is plain, the history is whole, and a new Redis is filled from it."""
    with own_redis(f"{store.name}_redis") as server:
        if server is None:
            pytest.skip("no real Redis can be started here")
        with FeatureStore(name=store.name, redis_url=server.url, clock=store.clock) as ours:
            ours.define("thing", "thing_id")
            save(ours, 1, 3_000)
            ours.materialise("thing")
            save(ours, 2, 3_000)
            rows, death = ours._newest, rng.randrange(1, 3_000)

            def newest_until(*arguments: object) -> object:
                for number, row in enumerate(rows(*arguments)):
                    if number == death:
                        server.kill()
                    yield row

            ours._newest = newest_until
            with pytest.raises(StoreUnavailable, match="Redis does not answer"):
                ours.materialise("thing")
            with pytest.raises(StoreUnavailable, match="Redis does not answer"):
                ours.get_features("thing", [1])
            server.start()
            del ours._newest
            assert ours.materialise("thing") == 3_000
            assert set(map(tuple, generations(ours, 3_000))) == {(2,)}


def test_a_lost_connection_to_postgresql_is_opened_anew(store: FeatureStore) -> None:
    store.define("thing", "thing_id")
    save(store, 1, 10)
    with store.offline.transaction() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with closing(connect.postgres()) as admin:
        admin.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with pytest.raises(StoreUnavailable, match="PostgreSQL does not answer"):
        save(store, 2, 10)
    assert len(store.runs("thing")) == 1
    save(store, 2, 10)
    assert len(store.runs("thing")) == 2


def test_nobody_at_home_is_said_in_plain_words(store: FeatureStore) -> None:
    nobody = "postgresql://a:b@127.0.0.1:9/nowhere"
    with (
        FeatureStore(nobody) as without,
        pytest.raises(StoreUnavailable, match="PostgreSQL does not answer") as caught,
    ):
        without.compute_customer_features()
    assert caught.value.exit_code == 69
    with FeatureStore(name=store.name, redis_url="redis://127.0.0.1:9/0") as without:
        without.define("thing", "thing_id")
        for question in (
            lambda: without.get_features("thing", [1]),
            lambda: without.materialise("thing"),
        ):
            save(store, 1, 1)
            with pytest.raises(StoreUnavailable, match="Redis does not answer"):
                question()


def test_two_materialisations_take_turns_and_none_goes_back(
    store: FeatureStore, service: Callable[[str], str]
) -> None:
    store.define("thing", "thing_id")
    old, new = save(store, 1, 2_000), save(store, 2, 2_000)
    command = [sys.executable, "-c", MATERIALISE, store.name, service("redis")]
    both = [
        subprocess.Popen([*command, at.isoformat()], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for at in (old, new)
    ]  # fmt: skip
    said = [process.communicate(timeout=60)[1] for process in both]
    assert both[1].returncode == 0, said
    assert both[0].returncode == 0 or "back in time" in said[0]
    assert set(map(tuple, generations(store, 2_000))) == {(2,)}
