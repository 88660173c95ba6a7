"""Real processes are killed and sources misbehave: nothing lost, nothing twice, a plain message."""

import asyncio
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from async_etl import ETLPipeline, Metrics, Settings

from course import demo_api
from course.settings import ROOT
from course.stack.ports import any_free_port
from tests.etl.conftest import QUICK, Tables
from tests.stack.private import PrivateStack, eventually

pytestmark = pytest.mark.faults

HOURS, DAYS, RECORDS = 1_500, 300, 1 + 2 * 1_500 + 215
LINES = 24_000
SERIES = (["Kyiv", "Lviv"], ["AAPL"])
WINDOW = ["--cities", "Kyiv,Lviv", "--symbols", "AAPL", "--hours", str(HOURS), "--days", str(DAYS)]
KNOBS = {
    "503": {"fail": 0.4},
    "429": {"throttle": 0.3, "retry_after": 1},
    "garbage": {"garble": 0.4},
    "drops": {"drop": 0.4},
    "everything": {"fail": 0.1, "throttle": 0.1, "garble": 0.15, "drop": 0.15, "delay": 0.01},
}


class Source:
    """The demo API as a process that can be killed and started again at its address."""

    def __init__(self) -> None:
        self.port = any_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "course.demo_api", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout and "listens" in self.process.stdout.readline()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
        self.process = None


@pytest.fixture(scope="module")
def one_source() -> Iterator[Source]:
    source = Source()
    yield source
    source.kill()


@pytest.fixture
def source(one_source: Source) -> Source:
    """A source that lives; the tests use one after the other."""
    if one_source.process is None:
        one_source.start()
    return one_source


def start(tables: Tables, source: Source, *options: str) -> subprocess.Popen[str]:
    """The pipeline as a process, in small batches from a slow source."""
    return start_command(
        tables, "run", "--source", source.url, "--batch-size", "150", "--knob", "delay=0.03",
        "--trace", "off", *WINDOW, *options,
    )  # fmt: skip


def start_command(tables: Tables, *arguments: str) -> subprocess.Popen[str]:
    """A command of the pipeline as a process."""
    command = [sys.executable, "-m", "async_etl", *arguments, "--schema", tables.schema]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "DATABASE_URL": tables.url},
    )  # fmt: skip


def ends_with(code: int, process: subprocess.Popen[str]) -> str:
    """What it wrote to stderr; it must end by itself with `code`, without a traceback."""
    output, complaint = process.communicate(timeout=100)
    assert process.returncode == code, output + complaint
    assert "Traceback" not in complaint
    return complaint


def batches(tables: Tables) -> int:
    try:
        return tables.rows("SELECT count(*) FROM batches")[0][0]
    except psycopg2.Error:
        return 0


@pytest.fixture(scope="module")
def expected(service: Callable[[str], str]) -> dict[str, list]:
    """What one run that nothing happened to leaves in the tables."""
    tables = Tables(service("postgres"), f"test_etl_{uuid.uuid4().hex[:12]}")
    settings = replace(QUICK, schema=tables.schema, hours=HOURS, days=DAYS)
    try:
        run = ETLPipeline(settings, trace_to="off").run_parallel_pipelines(*SERIES)
        tables.check_account(asyncio.run(run))
        found = tables.everything()
        assert sum(len(rows) for rows in found.values()) == RECORDS
        return found
    finally:
        tables.drop()


def test_killed_at_random_points_and_run_again_equals_one_run(
    tables: Tables, source: Source, expected: dict[str, list], rng: random.Random
) -> None:
    for _ in range(2):
        process = start(tables, source)
        wanted = batches(tables) + rng.randrange(4)
        eventually(lambda p=process, n=wanted: batches(tables) >= n or p.poll() is not None, 60)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.communicate()
        if batches(tables):
            tables.check_account()
    ends_with(0, start(tables, source))
    tables.check_account()
    assert tables.everything() == expected


def made(tables: Tables) -> bool:
    return tables.rows("SELECT to_regclass('runs') IS NOT NULL") == [(True,)]


def statuses(tables: Tables) -> list[str]:
    """How the runs ended, in the order of their beginning."""
    return [status for (status,) in tables.rows("SELECT status FROM runs ORDER BY started_at")]


def test_a_killed_run_is_noted_as_abandoned_and_a_living_one_is_not(
    tables: Tables, source: Source
) -> None:
    def another_run() -> None:
        settings = replace(QUICK, schema=tables.schema)
        asyncio.run(ETLPipeline(settings, trace_to="off").run_parallel_pipelines(["Lviv"], []))

    process = start(tables, source, "--knob", "delay=2")  # time for another run meanwhile
    eventually(lambda: made(tables) and statuses(tables) == ["running"], 60)
    another_run()
    assert statuses(tables) == ["running", "complete"]
    process.kill()
    process.communicate()
    eventually(lambda: another_run() or statuses(tables)[0] == "abandoned", 30)
    told = tables.rows("SELECT message, finished_at >= started_at FROM runs ORDER BY started_at")
    assert told[0] == ("its process ended without a word; run the same again", True)
    assert set(statuses(tables)[1:]) == {"complete"}


def test_a_source_killed_in_mid_run_is_named_and_the_rerun_brings_the_rest(
    tables: Tables, source: Source, expected: dict[str, list]
) -> None:
    process = start(tables, source, "--attempts", "2", "--knob", "delay=1.5")
    eventually(lambda: batches(tables) > 0, 60)
    source.kill()  # each series has more pages, with a pause between them
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "not extracted: weather Kyiv: the connection failed" in output
    tables.check_account()
    refused = ends_with(1, start(tables, source, "--attempts", "2"))
    assert refused.startswith("The source can't be had: the connection failed")
    source.start()
    ends_with(0, start(tables, source))
    assert tables.everything() == expected
    assert statuses(tables) == ["incomplete", "failed", "complete"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivateStack]:
    stack = PrivateStack()
    try:
        stack.find("postgres")
        yield stack
    finally:
        stack.close()


@pytest.fixture
def private_tables(postgres: PrivateStack) -> Tables:
    url = postgres.find("postgres")["postgres"]["url"]
    return Tables(url, f"etl_{uuid.uuid4().hex[:12]}")


def test_postgres_killed_in_mid_run_and_back_costs_nothing(
    postgres: PrivateStack, private_tables: Tables, source: Source, expected: dict[str, list],
    rng: random.Random,
) -> None:  # fmt: skip
    tables = private_tables
    process = start(tables, source, "--patience", "60")
    wanted = 1 + rng.randrange(5)
    eventually(lambda: batches(tables) >= wanted or process.poll() is not None, 60)
    time.sleep(rng.uniform(0, 0.05))
    postgres.kill("postgres")
    postgres.find("postgres")
    assert ends_with(0, process) == ""
    tables.check_account()
    assert tables.everything() == expected
    assert tables.rows("SELECT status, extracted FROM account") == [("complete", RECORDS)]


def test_postgres_that_stays_away_ends_the_run_with_a_plain_message(
    postgres: PrivateStack, private_tables: Tables, source: Source, expected: dict[str, list]
) -> None:
    tables = private_tables
    process = start(tables, source, "--patience", "1", "--knob", "delay=0.5")
    eventually(lambda: batches(tables) > 0, 60)
    postgres.kill("postgres")
    complaint = ends_with(69, process)
    assert complaint.startswith("PostgreSQL is away (") and complaint.count("\n") == 1
    assert "run the same again" in complaint
    postgres.find("postgres")
    tables.check_account()
    ends_with(0, start(tables, source))
    assert tables.everything() == expected


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that takes long enough to be killed in: its batches are ready before they are due."""
    file = tmp_path_factory.mktemp("etl") / "archive.csv"
    began, said = datetime(2020, 1, 1, tzinfo=UTC), "2025-10-26T12:00:00Z"
    lines = (f"Kyiv,{(began + timedelta(hours=n)).isoformat()},{n % 30},70,20,rain,{said}\n"
             for n in range(LINES))  # fmt: skip
    file.write_text("".join(lines), encoding="utf-8")
    return file


def test_postgres_killed_while_two_batches_are_on_their_way(
    postgres: PrivateStack, private_tables: Tables, archive: Path, rng: random.Random
) -> None:
    """First it stays away; in the rerun it comes back."""
    tables = private_tables

    def load_and_kill(patience: str) -> subprocess.Popen[str]:
        wanted = batches(tables) + 1 + rng.randrange(5)
        process = start_command(tables, "load", str(archive), "--batch-size", "500", "--trace",
                                "off", "--patience", patience)  # fmt: skip
        eventually(lambda: batches(tables) >= wanted or process.poll() is not None, 60)
        time.sleep(rng.uniform(0, 0.03))
        postgres.kill("postgres")
        return process

    complaint = ends_with(69, load_and_kill("1"))
    assert complaint.startswith("PostgreSQL is away (") and complaint.count("\n") == 1
    postgres.find("postgres")
    process = load_and_kill("60")
    postgres.find("postgres")
    assert ends_with(0, process) == ""
    tables.check_account()
    found = tables.rows("SELECT count(*), count(DISTINCT observed_at) FROM weather_readings")
    assert found == [(LINES, LINES)]
    assert statuses(tables) == ["abandoned", "complete"]
    numbers = tables.rows("SELECT count(*), max(number) FROM batches GROUP BY run_id")
    assert all(count == last for count, last in numbers), "a batch overtook another"


def run_against(settings: Settings) -> tuple[Metrics, dict[str, Any]]:
    """The metrics of a run on a fresh demo API, and what that one saw."""

    async def scenario() -> tuple[Metrics, dict[str, Any]]:
        async with demo_api.server.running() as (url, server):
            pipeline = ETLPipeline(replace(settings, source_url=url), trace_to="off")
            async with asyncio.timeout(60):
                metrics = await pipeline.run_parallel_pipelines(*SERIES)
            return metrics, server.stats.as_dict()

    return asyncio.run(scenario())


@pytest.mark.parametrize("fault", KNOBS)
def test_a_source_that_misbehaves_costs_time_and_nothing_else(
    tables: Tables, fault: str, seed: int
) -> None:
    settings = replace(QUICK, schema=tables.schema, knobs={**KNOBS[fault], "seed": seed},
                       attempts=12, hours=50, days=30, page_rows=25)  # fmt: skip
    metrics, seen = run_against(settings)
    tables.check_account(metrics)
    assert metrics.errors == [] and metrics.quarantined == 0
    assert metrics.loaded == metrics.extracted == 1 + 2 * 50 + 21
    assert seen["too_early"] == 0 and seen["peak"] <= 8
    assert metrics.retried == sum(seen["faults"].values())


@pytest.mark.parametrize("knobs", [{"delay": 30}, {"stall": 30}])
def test_a_source_that_hangs_is_left_and_named(tables: Tables, knobs: dict[str, float]) -> None:
    settings = replace(QUICK, schema=tables.schema, timeout=0.2, attempts=3, failures=3)
    began = time.monotonic()
    with pytest.raises(Exception, match=r"no answer within 0\.2 s"):
        run_against(replace(settings, knobs=knobs))
    assert time.monotonic() - began < 20
    assert tables.rows("SELECT status, extracted FROM account") == [("failed", 0)]


def test_a_source_that_talks_garbage_for_ever_leaves_its_words_as_evidence(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(QUICK, schema=tables.schema, attempts=2)
    monkeypatch.setattr("async_etl.pipeline.ask_clock", _a_clock)
    metrics, _ = run_against(replace(settings, knobs={"garble": 1}))
    tables.check_account(metrics)
    assert len(metrics.errors) == 3 and metrics.quarantined == 3
    assert all("can't be read" in error for error in metrics.errors)
    (payload,) = tables.rows("SELECT payload FROM dead_letters WHERE origin = 'quotes AAPL'")[0]
    assert bytes(payload).startswith(b'{"symbol": "AAPL"')
    replayed = asyncio.run(ETLPipeline(settings, trace_to="off").replay())
    tables.check_account(replayed)
    assert (replayed.extracted, replayed.quarantined, len(replayed.still_refused)) == (3, 3, 3)
    first, *_ = sorted(replayed.still_refused)
    assert first.startswith("quotes AAPL: answer = ") and "run its window again" in first
    assert tables.rows("SELECT count(*) FROM dead_letters WHERE resolved_by IS NULL") == [(3,)]


async def _a_clock(*_: object) -> object:
    return demo_api.NOW
