"""Whatever comes in: the account balances, a rerun changes nothing, newer stays."""

import asyncio
import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from async_etl import KINDS, ETLPipeline, Metrics, WeatherReading, crooked
from async_etl.sources import Page
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.etl.conftest import QUICK, Tables
from tests.stack.private import eventually

NOW = datetime(2025, 10, 26, 12, tzinfo=UTC)
few = settings(
    max_examples=15, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
hours = st.integers(0, 3).map(lambda one: (NOW - timedelta(hours=one)).isoformat())
readings = st.fixed_dictionaries(
    {"city": st.sampled_from(["Kyiv", "Lviv"]), "observed_at": hours,
     "temperature_c": st.integers(-5, 5), "humidity": st.just(70), "wind_kmh": st.just(20),
     "conditions": st.sampled_from(["rain", "rain", "hail"])}
)  # fmt: skip
garbage = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=2)
rows = st.lists(readings | readings | readings | garbage, max_size=12)
parts = st.lists(st.tuples(rows, st.integers(0, 2)), max_size=5)  # rows, days before NOW


async def feed(
    pipeline: ETLPipeline, given: list[tuple[list[Any], int]], batch_size: int = 5
) -> Metrics:
    """Run pages through the three stages, each a series of its own, in their order."""

    async def pages() -> Any:
        for part, days in given:
            yield Page(KINDS["weather"], part, NOW + timedelta(days=days), "test")

    pipeline.settings = replace(pipeline.settings, batch_size=batch_size)
    async with pipeline._run("test") as flow:
        await flow.run({"test": (KINDS["weather"], pages())})
    return pipeline.metrics


def expected(given: list[tuple[list[Any], int]]) -> dict[tuple, tuple]:
    """(city, hour) → (degrees, as_of): the newest word, of equals the first."""
    kept: dict[tuple, tuple] = {}
    for part, days in given:
        for row in part:
            if isinstance(row, dict) and row["conditions"] == "rain":
                key = row["city"], datetime.fromisoformat(row["observed_at"])
                as_of = NOW + timedelta(days=days)
                if key not in kept or as_of > kept[key][1]:
                    kept[key] = float(row["temperature_c"]), as_of
    return kept


@few
@given(parts, st.integers(1, 8))
def test_it_balances_and_keeps_the_newest_word(
    tables: Tables, given: list[tuple[list[Any], int]], batch_size: int
) -> None:
    tables.empty()
    pipeline = ETLPipeline(replace(QUICK, schema=tables.schema), trace_to="off")

    async def twice() -> list[Metrics]:
        return [await feed(pipeline, given, batch_size) for _ in range(2)]

    async def first_then_second() -> None:
        first, second = await twice()
        tables.check_account(first)
        tables.check_account(second)
        assert first.extracted == sum(len(part) for part, _ in given)
        assert (second.loaded, second.quarantined) == (0, 0)

    asyncio.run(first_then_second())
    found = tables.rows("SELECT city, observed_at, temperature_c, as_of FROM weather_readings")
    assert {(city, at): tuple(rest) for city, at, *rest in found} == expected(given)
    refused = {(days, json.dumps(row)) for part, days in given for row in part
               if not isinstance(row, dict) or row["conditions"] != "rain"}  # fmt: skip
    letters = tables.rows("SELECT as_of, payload FROM dead_letters")
    assert {((at - NOW).days, bytes(payload).decode()) for at, payload in letters} == refused
    assert len(letters) == len(refused)


def test_a_short_batch_does_not_overtake_the_long_one_before_it(tables: Tables) -> None:
    pipeline = ETLPipeline(replace(QUICK, schema=tables.schema), trace_to="off")
    past = {"city": "Kyiv", "temperature_c": 1, "humidity": 70, "wind_kmh": 20,
            "conditions": "rain"}  # fmt: skip
    long = [{**past, "observed_at": (NOW - timedelta(hours=n)).isoformat()} for n in range(20_000)]
    short = [{**long[0], "temperature_c": 2}]  # another word of the same time: the first stands
    metrics = asyncio.run(feed(pipeline, [(long, 0), (short, 0)], len(long)))
    tables.check_account(metrics)
    assert (metrics.loaded, metrics.deduplicated) == (20_000, 1)
    assert tables.rows("SELECT loaded FROM batches ORDER BY number") == [(20_000,), (0,)]
    query = "SELECT temperature_c FROM weather_readings WHERE observed_at = %s"
    assert tables.rows(query, NOW) == [(1.0,)]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_batch_that_fails_ends_the_run_and_none_behind_it_is_loaded(
    tables: Tables, failing: int
) -> None:
    pipeline = ETLPipeline(replace(QUICK, schema=tables.schema), trace_to="off")
    raw = {"city": "Kyiv", "temperature_c": 1, "humidity": 70, "wind_kmh": 20,
           "conditions": "rain"}  # fmt: skip
    given = [([{**raw, "observed_at": (NOW - timedelta(hours=n)).isoformat()}], 0)
             for n in range(40)]  # fmt: skip
    asyncio.run(feed(pipeline, []))  # makes the tables
    limit = f"ALTER TABLE batches ADD CHECK (number <> {failing}) NOT VALID"
    tables.do(limit)

    async def scenario() -> None:
        async with asyncio.timeout(20):
            await feed(pipeline, given, 1)

    with pytest.raises(asyncpg.CheckViolationError):
        asyncio.run(scenario())
    loaded = tables.rows("SELECT number FROM batches ORDER BY number")
    assert loaded == [(number,) for number in range(1, failing)]
    assert len(tables.rows("SELECT 1 FROM weather_readings")) == failing - 1
    assert tables.rows("SELECT count(*) FROM runs WHERE status = 'failed'") == [(1,)]


def test_what_only_the_database_refuses_becomes_a_letter_and_the_rest_is_loaded(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = ETLPipeline(replace(QUICK, schema=tables.schema), trace_to="off")
    good = [WeatherReading("Kyiv", NOW - timedelta(hours=n), 1.0, 70, 20, "rain", NOW)
            for n in range(20)]  # fmt: skip
    bad = [replace(good[3], city="Lviv", humidity=101), replace(good[7], city="Lviv", wind_kmh=1e9)]
    lenient = iter([*good[:9], *bad, *good[9:]])
    monkeypatch.setattr(pipeline.validator, "from_json", lambda *_: next(lenient))
    metrics = asyncio.run(feed(pipeline, [([{}] * 22, 0)], 100))
    tables.check_account(metrics)
    assert (metrics.loaded, metrics.quarantined) == (20, 2)
    reasons = tables.rows("SELECT reason FROM dead_letters ORDER BY reason")
    assert any("check constraint" in reason for (reason,) in reasons)


def test_a_replay_loads_what_is_accepted_now_and_never_over_a_newer_word(tables: Tables) -> None:
    settings = replace(QUICK, schema=tables.schema)
    hail = {"city": "Kyiv", "observed_at": NOW.isoformat(), "temperature_c": 1, "humidity": 70,
            "wind_kmh": 20, "conditions": "hail"}  # fmt: skip
    newer = {**hail, "conditions": "rain", "temperature_c": 2}
    lviv = {**hail, "city": "Lviv"}
    wiser = replace(settings, conditions=settings.conditions | {"hail"})

    async def scenario() -> list[Metrics]:
        pipeline = ETLPipeline(settings, trace_to="off")
        await feed(pipeline, [([hail, lviv, None], 0), ([newer], 1)])
        return [await ETLPipeline(one, trace_to="off").replay() for one in (settings, wiser, wiser)]

    figures = [(m.extracted, m.loaded, m.quarantined, m.deduplicated) for m in
               asyncio.run(scenario())]  # fmt: skip
    assert figures == [(3, 0, 3, 0), (3, 1, 1, 1), (1, 0, 1, 0)]
    tables.check_account()
    found = tables.rows("SELECT city, temperature_c FROM weather_readings ORDER BY city")
    assert found == [("Kyiv", 2.0), ("Lviv", 1.0)]


def test_a_lie_told_again_after_its_letter_was_resolved_is_not_forgotten(tables: Tables) -> None:
    settings = replace(QUICK, schema=tables.schema)
    wiser = replace(settings, conditions=settings.conditions | {"hail"})
    hail = {"city": "Kyiv", "observed_at": NOW.isoformat(), "temperature_c": 1, "humidity": 70,
            "wind_kmh": 20, "conditions": "hail"}  # fmt: skip

    async def scenario() -> Metrics:
        await feed(ETLPipeline(settings, trace_to="off"), [([hail], 0)])
        await ETLPipeline(wiser, trace_to="off").replay()
        return await feed(ETLPipeline(settings, trace_to="off"), [([hail], 0)])

    assert asyncio.run(scenario()).quarantined == 1
    assert tables.rows("SELECT count(*) FROM dead_letters WHERE resolved_by IS NULL") == [(1,)]


def test_a_file_keeps_every_line_and_every_byte(tables: Tables, tmp_path: Path) -> None:
    file, now = tmp_path / "archive.csv", NOW.isoformat()
    lines = [["Kyiv", now, "1.5", "70", "20", "rain", now], ["Ky\tiv", now, "", "", "", "", ""],
             ["Lviv", "", "", ""], ["a,b", 'q"q', "x", "1", "2", "rain", now]]  # fmt: skip
    with file.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target, lineterminator="\n").writerows(lines)
    with file.open("ab") as target:
        target.write(b"\xff\x00,broken bytes\n")
    pipeline = ETLPipeline(replace(QUICK, schema=tables.schema), trace_to="off")
    metrics = asyncio.run(pipeline.load_file(file))
    tables.check_account(metrics)
    assert (metrics.extracted, metrics.loaded, metrics.quarantined) == (5, 1, 4)
    kept = {bytes(payload) for (payload,) in tables.rows("SELECT payload FROM dead_letters")}
    assert kept == set(file.read_bytes().splitlines()[1:])


@pytest.mark.faults
def test_a_source_that_lies_is_accounted_for_to_the_last_row(tables: Tables, seed: int) -> None:
    async def scenario() -> None:
        async with crooked.serve(share=0.3, seed=seed) as url:
            settings = replace(QUICK, schema=tables.schema, source_url=url, hours=100, days=100)
            pipeline = ETLPipeline(settings, trace_to="off")
            first = await pipeline.run_parallel_pipelines(["Kyiv", "Lviv"], ["AAPL"])
            tables.check_account(first)
            before = tables.everything()
            second = await pipeline.run_parallel_pipelines(["Kyiv", "Lviv"], ["AAPL"])
            tables.check_account(second)
            assert first.extracted == 1 + 200 + 71 and first.quarantined > 20
            assert second.loaded == second.quarantined == 0
            assert tables.everything() == before

    asyncio.run(scenario())


def test_a_living_run_that_was_taken_for_dead_says_so_with_its_next_batch(tables: Tables) -> None:
    pipeline = ETLPipeline(replace(QUICK, schema=tables.schema), trace_to="off")
    query = "SELECT status FROM runs"

    async def pages() -> Any:
        tables.do("UPDATE runs SET status = 'abandoned', message = 'dead', finished_at = now()")
        yield Page(KINDS["weather"], [None], NOW, "test")
        await asyncio.to_thread(eventually, lambda: tables.rows(query) == [("running",)])

    async def scenario() -> None:
        async with pipeline._run("test") as flow:
            await flow.run({"test": (KINDS["weather"], pages())})

    pipeline.settings = replace(pipeline.settings, batch_size=1)
    asyncio.run(scenario())
    assert tables.rows("SELECT status, message FROM runs") == [("complete", "")]
