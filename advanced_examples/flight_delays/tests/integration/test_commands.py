"""materialize.py and store.py as commands: twice, every so often, without data, without Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import redis

from features.views import key
from src import feature_eng, materialize, online, packed, store
from src.paths import PROJECT

NOBODY = "redis://127.0.0.1:9/0"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def alone(home: Path, own_prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The pipeline's home, and a key prefix that nobody else has."""
    monkeypatch.setenv("FLIGHTS_HOME", str(home))
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", own_prefix)
    return own_prefix


def test_it_brings_all_views_online_and_twice_does_no_harm(
    alone: str, redis_at: str, capsys: Captured
) -> None:
    assert materialize.main(["--freshness"]) == 0
    assert capsys.readouterr().out.count("never materialised") == len(feature_eng.VIEWS)
    stored = []
    with redis.Redis.from_url(redis_at) as client:
        for _ in range(2):
            assert materialize.main(["--at", "2024-06-20T20:00"]) == 0
            ours = sorted(client.scan_iter(match=f"{alone}:*", count=1000))
            names = [name for name in ours if name != packed.freshness_key(alone).encode()]
            stored.append({name: value[:8] + value[16:] for name, value in rows(client, names)})
            # Feast's rows bear the prefix too, so they meet nobody else's.
            everything = set(client.scan_iter(match=f"*{alone}*", count=1000))
            assert len(everything - set(ours)) == len(names)
        fresh = online.freshness(client, alone)
    assert stored[0] == stored[1]  # but for when it was written, bytes 8 to 15
    assert key(alone, feature_eng.VIEWS[0], "JFK-LAX").encode() in stored[0]
    assert set(fresh) == {view.name for view in feature_eng.VIEWS}
    said = capsys.readouterr().out
    for view in feature_eng.VIEWS:
        assert f"{view.name:10} {fresh[view.name].rows:>6,} entities" in said


def rows(client: redis.Redis, names: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(names, client.mget(names), strict=True))


def test_without_a_moment_it_is_the_end_of_the_data(alone: str) -> None:
    ends = [pd.read_parquet(feature_eng.view_file(view))["event_timestamp"].max()
            for view in feature_eng.VIEWS]  # fmt: skip
    assert materialize.newest() == max(ends)


def test_every_so_often_until_it_is_asked_to_end(
    alone: str, redis_at: str, capsys: Captured
) -> None:
    """For real: what is online is written anew, and SIGTERM ends it in order."""
    ended = threading.Event()
    with redis.Redis.from_url(redis_at) as client:

        def written() -> float:
            fresh = online.freshness(client, alone, now=0.0).get("route")
            return -fresh.age if fresh else 0.0

        def end_after_two_turns() -> None:
            first = 0.0
            while not ended.wait(0.05):
                now = written()
                if first and now > first:
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                first = first or now

        watching = threading.Thread(target=end_after_two_turns)
        watching.start()
        try:
            assert materialize.main(["--every", "0.5"]) == 0
        finally:
            ended.set()
            watching.join()
    said = capsys.readouterr().out
    turns = said.count("done in")
    assert turns >= 2 and f"ended after {turns} turns" in said


def test_a_turn_keeps_the_clock_and_survives_redis(capsys: Captured) -> None:
    began: list[float] = []

    def turn() -> None:
        began.append(loop_time())
        if len(began) == 2:
            raise redis.ConnectionError("gone for a moment")
        if len(began) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    loop = asyncio.new_event_loop()
    loop_time = loop.time
    try:
        turns = loop.run_until_complete(materialize.again_and_again(turn, 0.2))
    finally:
        loop.close()
    assert turns == 3  # of four: one found no Redis
    assert "the next turn tries again: gone for a moment" in capsys.readouterr().err
    gaps = [later - earlier for earlier, later in pairwise(began)]
    assert min(gaps) > 0.05 and sum(gaps) == pytest.approx(0.6, abs=0.15)


@pytest.mark.parametrize(
    ("setting", "value", "code", "says"),
    [
        ("REDIS_URL", NOBODY, 69, "Redis at REDIS_URL can't be used"),
        ("REDIS_URL", "http://somewhere", 1, "REDIS_URL must look like redis://"),
        ("FLIGHTS_HOME", "nowhere", 1, "python src/feature_eng.py"),
    ],
)
def test_what_is_missing_is_said(
    setting: str, value: str, code: int, says: str, alone: str, redis_at: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: Captured,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(setting, value)
    assert materialize.main([]) == code
    assert says in capsys.readouterr().err


def test_a_history_without_rows_is_said(
    alone: str, redis_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data/processed/views"
    folder.mkdir(parents=True)
    for view in feature_eng.VIEWS:
        pd.read_parquet(feature_eng.view_file(view)).head(0).to_parquet(
            folder / f"{view.name}.parquet"
        )
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    with pytest.raises(store.StoreError, match="hold no rows"):
        materialize.newest()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--every", "0"], "'0' is no number of seconds"),
        (["--every", "soon"], "'soon' is no number of seconds"),
        (["--at", "soon"], "'soon' is no time"),
        (["--freshness", "--every", "5"], "--freshness writes nothing"),
    ],
)
def test_a_bad_command_line_is_said(words: list[str], says: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        materialize.main(words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


# The settings of the feast command


def test_a_prefix_of_ones_own_has_a_project_of_its_own(
    alone: str, redis_at: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert store.main([]) == 0
    told = dict(line.removeprefix("export ").split("=", 1) for line in
                capsys.readouterr().out.splitlines())  # fmt: skip
    assert told["FLIGHTS_PROJECT"] == f"'flight_delay_{alone}'"
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", "with-dash")
    assert store.project_name() == "flight_delay_with_dash"
    monkeypatch.delenv("FLIGHTS_KEY_PREFIX")
    assert (store.key_prefix(), store.project_name()) == ("flight", "flight_delay")
    monkeypatch.setenv("REDIS_URL", "http://somewhere")
    assert store.main([]) == 1
    assert "REDIS_URL must look like" in capsys.readouterr().err


def test_the_feast_commands_of_the_guide_work(
    alone: str, redis_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner
    from feast.cli.cli import cli

    for name, value in store.settings().items():
        monkeypatch.setenv(name, value)
    for command in (["apply"], ["feature-views", "list"]):
        monkeypatch.chdir(PROJECT)  # Feast goes elsewhere
        told = CliRunner().invoke(cli, ["-c", "feature_repo", *command])
        assert told.exit_code == 0, told.output
    for view in feature_eng.VIEWS:
        assert view.name in told.output


def test_a_redis_url_becomes_feasts_address() -> None:
    assert store.feast_redis("redis://127.0.0.1:6379/2") == "127.0.0.1:6379,db=2"
    assert store.feast_redis("redis://me:p%40ss@h/0") == 'h:6379,db=0,username=me,password="p@ss"'
    assert store.feast_redis("rediss://h:1/0") == "h:1,db=0,ssl=true"
    for wrong in ("http://somewhere", "redis://", "redis://h:port"):
        with pytest.raises(store.StoreError, match="REDIS_URL must look like"):
            store.feast_redis(wrong)


def test_without_views_the_store_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    with pytest.raises(store.StoreError, match=r"python src/feature_eng\.py"):
        store.open_store()
