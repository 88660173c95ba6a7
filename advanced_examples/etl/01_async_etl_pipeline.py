"""An ETL pipeline for production: nothing lost, nothing twice, whatever happens.

You will see weather and stock prices extracted from several sources at once, checked, and loaded
into PostgreSQL. Then everything goes wrong: the source fails, lies and hangs up, the database
makes us wait, and the process is killed. The account balances each time. The pipeline stands in
`async_etl`, beside this script; the pieces that matter are shown where they are used.

Run      python advanced_examples/etl/01_async_etl_pipeline.py    (--step pauses at each step)
Needs    PostgreSQL
Minutes  60
Next     ../patterns/02_repository_pattern.py
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import aiohttp
import asyncpg
import prometheus_client
from async_etl import (
    KINDS,
    CircuitBreaker,
    ETLPipeline,
    Metrics,
    Rejected,
    Settings,
    StockQuote,
    Unavailable,
    Validator,
    WeatherReading,
    crooked,
    report,
    store,
)
from async_etl.classroom import (
    ask,
    committed_batches,
    fingerprint,
    show,
    start_run,
    tell_account,
)
from async_etl.flow import Flow
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from course import connect, demo_api
from course.lesson import Lesson, run
from course.workspace import own_schema

SCHEMA, KILLED, CLEAN = "etl_01", "etl_01_killed", "etl_01_clean"
CITIES, SYMBOLS = ["Kyiv", "Lviv", "Odesa"], ["AAPL", "GOOGL", "MSFT"]
ALL_CITIES = [city.name for city in demo_api.CITIES.values()]
MISCHIEF = {"fail": 0.2, "garble": 0.15, "drop": 0.15, "seed": 12}
QUICK = Settings(schema=SCHEMA, first_wait=0.02, longest_wait=0.1, open_for=0.1)
LONG = ["--hours", "2000", "--days", "400", "--knob", "delay=0.05"]
NOON = datetime(2025, 10, 26, 12, tzinfo=UTC)


async def run_once(
    settings: Settings, cities: Sequence[str] = CITIES, symbols: Sequence[str] = SYMBOLS
) -> Metrics:
    """The metrics of one run without spans."""
    return await ETLPipeline(settings, trace_to="off").run_parallel_pipelines(cities, symbols)


async def first_run(lesson: Lesson) -> None:
    """Several sources at once, and an account.

    Each city and each symbol is a series of its own. All are asked at once, four at a time from
    each source. What a source says is known "as of" its own clock, so that is asked first. Ten
    records come, and the account says where every single one went.
    """
    pipeline = ETLPipeline(QUICK, trace_to="off")
    await pipeline.run_parallel_pipelines(
        cities=["Kyiv", "Lviv", "Odesa"], symbols=["AAPL", "GOOGL", "MSFT"]
    )
    pipeline.metrics.print_summary()
    metrics = pipeline.metrics
    lesson.check("one clock, three readings, six quotes", metrics.extracted == 10)
    lesson.check("all are loaded", metrics.loaded == 10 and metrics.complete)
    readings = await ask(SCHEMA, "SELECT city, temperature_c FROM current_weather")
    lesson.table(readings, ["city", "°C"], "current_weather")
    slow = replace(QUICK, knobs={"delay": lesson.delay(0.5) + 0.1})
    start = time.perf_counter()
    await run_once(slow, ALL_CITIES, SYMBOLS)
    took = time.perf_counter() - start
    in_turn = 16 * slow.knobs["delay"]
    evidence = f"{in_turn:.1f} s of waiting in {took:.1f} s"
    lesson.check("sixteen slow answers take less than the sum", took < in_turn, evidence)


def rules(lesson: Lesson) -> None:
    """Typed records, and rules that name field, value and rule.

    A record is a dataclass with slots: typed, and small. Money is Decimal. A text where a number
    should be is refused, not guessed: a guess that is wrong is found in a year, a refusal today.
    """
    show(WeatherReading)
    validator, weather = Validator(), KINDS["weather"]
    good = {"city": "Kyiv", "observed_at": "2025-10-26T12:00:00Z", "temperature_c": 9.5,
            "humidity": 70, "wind_kmh": 20, "conditions": "rain"}  # fmt: skip
    reading = validator.from_json(weather, good, NOON)
    lesson.check("what is right becomes a record", isinstance(reading, WeatherReading))
    for wrong in (
        {"temperature_c": 999}, {"humidity": "70"}, {"conditions": "hail"},
        {"observed_at": "2199-01-01T00:00:00Z"}, {"city": "\x00"},
    ):  # fmt: skip
        with lesson.expected_error(Rejected):
            validator.from_json(weather, {**good, **wrong}, NOON)
    quote = {"symbol": "AAPL", "observed_at": "2025-10-24T21:00:00Z", "open": 10.1, "high": 12,
             "low": 10, "price": 11.25, "volume": 1_000}  # fmt: skip
    record = validator.from_json(KINDS["quotes"], quote, NOON)
    assert isinstance(record, StockQuote)
    lesson.check("money is exact", record.price == Decimal("11.25"))
    with lesson.expected_error(Rejected):
        validator.from_json(KINDS["quotes"], {**quote, "price": 13}, NOON)


async def breaker(lesson: Lesson) -> None:
    """A circuit breaker: do not ask who is down.

    Closed, it lets calls pass and counts failures in a row. Open, it refuses at once, without
    asking. After a pause it is half-open: exactly one call may pass as a probe, and its outcome
    decides. An answer such as 404 is no failure: the source is alive. The clock is given, so that
    a test needs no waiting; it is monotonic, since a wall clock jumps.
    """
    show(CircuitBreaker.call, CircuitBreaker._let_pass)
    now, up, asked, story = 0.0, False, 0, []
    circuit = CircuitBreaker("weather", (Unavailable,), failures=3, open_for=30, clock=lambda: now)

    async def source() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        if not up:
            raise Unavailable("status 503")
        return "an answer"

    async def call(calls: int = 1) -> list[str]:
        came = await asyncio.gather(
            *(circuit.call(source) for _ in range(calls)), return_exceptions=True
        )
        said = [one if isinstance(one, str) else type(one).__name__ for one in came]
        story.append((f"{now:g} s", calls, ", ".join(said), circuit.state.value))
        return said

    for _ in range(3):
        await call()
    now = 29
    await call()
    lesson.check("open: the fourth call was not passed on", asked == 3)
    now = 31
    await call(3)
    lesson.check("half-open: of three calls one was the probe", asked == 4)
    now, up = 62, True
    said = await call(3)
    lesson.check("one probe again, and it closes the circuit", said.count("an answer") == 1)
    await call(3)
    lesson.table(story, ["at", "calls", "what they got", "state then"])
    lesson.check("closed: all may pass", asked == 8 and circuit.opened == 2)


async def patience(lesson: Lesson) -> None:
    """Retry with backoff and jitter, and come back when you are told to.

    Half of the requests meet a fault: 503, broken JSON, a lost connection. tenacity repeats them,
    after a random wait whose limit doubles. A 429 says when to come back, and who comes earlier is
    refused again. What is wrong in itself, such as an unknown city, is asked for once and named.
    """
    async with demo_api.serve() as url, aiohttp.ClientSession(url) as session:
        faulty = replace(QUICK, source_url=url, knobs=MISCHIEF, failures=20, attempts=8)
        metrics = await run_once(faulty, [*CITIES, "Atlantis"])
        lesson.check("every record came", metrics.extracted == 10, f"{metrics.retried} retries")
        for error in metrics.errors:
            print(f"  not extracted: {error.split(';')[0]}")
        lesson.check("one series was not extracted, and is named", len(metrics.errors) == 1)
        async with session.delete("/stats"):
            pass
        limited = {"throttle": 0.4, "seed": 14}
        metrics = await run_once(replace(faulty, knobs=limited), ALL_CITIES, SYMBOLS)
        async with session.get("/stats") as response:
            stats = await response.json()
    lesson.check("sent away with 429, all came in the end", metrics.complete and metrics.retried)
    lesson.check("nobody came back too early", stats["too_early"] == 0)
    lesson.check("never more than four at once from a source", stats["peak"] <= 8)


async def back_pressure(lesson: Lesson) -> None:
    """Back-pressure: a slow database slows the source down.

    Between the stages are queues that hold two pages or batches. When the database makes us wait,
    the queues fill and the requests stop. Unbounded, they would fill the memory instead. Here
    somebody locks the table in the middle of a run.
    """
    show(Flow._hand_on)
    settings = replace(QUICK, hours=3_000, page_rows=50, batch_size=50, queue_size=2)
    async with demo_api.serve() as url, aiohttp.ClientSession(url) as session:

        async def requests() -> int:
            async with session.get("/stats") as response:
                return (await response.json())["requests"]

        locked = await asyncpg.connect(connect.url("postgres"))
        transaction = locked.transaction()
        await transaction.start()
        await locked.execute(f"LOCK TABLE {SCHEMA}.weather_readings IN SHARE MODE")
        work = asyncio.create_task(run_once(replace(settings, source_url=url), ["Warsaw"], []))
        before, now = -1, 0
        async with asyncio.timeout(60):
            while before != now or now < 2:
                await asyncio.sleep(0.3)
                before, now = now, await requests()
        lesson.check("while it waits, the source is left alone", now < 20, f"{now} of 61 requests")
        await transaction.rollback()
        await locked.close()
        metrics = await work
        after = await requests()
    lesson.check("then it goes on to the end", after == 61 and metrics.extracted == 3_001)
    most = max(metrics.most_waiting.values())
    lesson.check("no queue held more than two", most <= 2, f"at most {most}")


async def upsert(lesson: Lesson) -> None:
    """COPY to staging, then one upsert: an older observation never overwrites a newer one.

    A source corrects itself: it says something else about the same hour later. The later word
    counts, in whatever order the two arrive. So the row keeps `as_of`, and the same run twice
    changes nothing. Batch and account are committed together.
    """
    show(store.upsert_statement(KINDS["clock"]))
    before = await fingerprint(SCHEMA)
    metrics = await run_once(QUICK)
    lesson.check("the same run again changes nothing", await fingerprint(SCHEMA) == before)
    lesson.check("all ten were there already", (metrics.loaded, metrics.deduplicated) == (0, 10))
    pipeline = ETLPipeline(QUICK, trace_to="off")
    hour = "2025-10-26T11:00:00Z"
    with tempfile.TemporaryDirectory() as folder:
        for said_at, degrees in (("13:00", 21.0), ("14:00", 22.0), ("12:30", 19.0)):
            file = Path(folder) / "archive.csv"
            line = f"Rivne,{hour},{degrees},70,20,rain,2025-10-26T{said_at}:00Z\n"
            file.write_text(line, encoding="utf-8")
            await pipeline.load_file(file)
            ((kept,),) = await ask(
                SCHEMA, "SELECT temperature_c FROM weather_readings WHERE city = 'Rivne'"
            )
            print(f"  said at {said_at}, {degrees} °C: the table has {kept} °C")
    lesson.check("the newest word stands, not the last to arrive", kept == 22.0)


async def dead_letters(lesson: Lesson) -> None:
    """Dead letters: what is refused is kept, and replayed when it can be.

    This source lies in one row out of four. A lie does not stop the others. It goes into a table:
    what came, byte for byte, why it was refused, and in which run. "hail" was no lie, it turns out:
    our list of words was too short. With the longer list, a replay loads those letters.
    """
    async with crooked.serve(share=0.25, seed=7) as url:
        settings = replace(QUICK, source_url=url, hours=240, days=60)
        metrics = await run_once(settings)
        again = await run_once(settings)
    fields = sorted(metrics.reasons.items(), key=lambda one: (-one[1], one[0]))
    lesson.table(fields, ["refused for", "letters"])
    (reason,) = await ask(SCHEMA, "SELECT min(reason) FROM dead_letters WHERE reason LIKE '%hail%'")
    print(f"  one of them: {reason[0]}\n")
    tell_account(lesson, {"a lying source": metrics, "the same again": again})
    lesson.check("again: no letter is written twice", again.quarantined == 0)
    wiser = replace(QUICK, conditions=QUICK.conditions | {"hail"})
    replayed = await ETLPipeline(wiser, trace_to="off").replay()
    once_more = await ETLPipeline(wiser, trace_to="off").replay()
    tell_account(lesson, {"replay": replayed, "replay again": once_more})
    lesson.check("the replay loads what the rules accept now", replayed.loaded > 0)
    lesson.check("the rest stays", replayed.quarantined == once_more.extracted > 0)


async def killed(lesson: Lesson) -> None:
    """kill -9 in the middle, and a rerun equals one run.

    Nothing can be tidied up after SIGKILL, so nothing may need it. A batch that was not committed
    leaves no row. The rerun asks for the same window again; what is there already stays.
    """
    async with demo_api.serve() as url:
        process = await start_run(KILLED, url, *LONG)
        while not await committed_batches(KILLED):
            assert process.returncode is None, "the run ended before it was killed"
            await asyncio.sleep(0.02)
        process.kill()
        lesson.check("the process is dead", await process.wait() != 0)
        left = await fingerprint(KILLED)
        process = await start_run(KILLED, url, *LONG)
        lesson.check("the rerun is complete", await process.wait() == 0)
        clean = replace(QUICK, source_url=url, hours=2_000, days=400)
        await run_once(replace(clean, schema=CLEAN))
        one_run = await fingerprint(CLEAN)
    after = await fingerprint(KILLED)
    lesson.check("after the kill some rows were missing", left != one_run)
    lesson.check("killed and run again equals one run", after == one_run)
    total = sum(rows for _, rows, _ in after)
    lesson.check("in both there are the same rows", total > 6_000, f"{total:,}")
    wrong = "SELECT 1 FROM account WHERE extracted <> loaded + dead_lettered + deduplicated"
    unbalanced = await ask(KILLED, wrong)
    lesson.check("the account of the killed run balances as well", not unbalanced)


async def watching(lesson: Lesson) -> None:
    """See inside: spans, metrics, a report.

    A span says what took how long, and inside of what. Spans go to the console, or to a collector
    (--trace http://…:4318/v1/traces), and are flushed before the program ends. Prometheus scrapes
    counters; a job that is gone when it comes leaves them in a file. The report is for people.
    """
    spans = InMemorySpanExporter()
    async with crooked.serve(share=0.1, seed=7) as url:
        settings = replace(QUICK, source_url=url, hours=1_500, days=300, batch_size=1_500,
                           page_rows=200)  # fmt: skip
        pipeline = ETLPipeline(settings, trace_to=spans)
        await pipeline.run_parallel_pipelines(CITIES, SYMBOLS)
    finished = spans.get_finished_spans()
    (root,) = (span for span in finished if span.parent is None)
    names = [span.name for span in finished if span.parent]
    rows = [(name, names.count(name)) for name in ("extract", "transform", "load")]
    lesson.table(rows, ["spans within the run", "number"])
    inside = all(span.parent.span_id == root.context.span_id for span in finished if span.parent)
    lesson.check("every span hangs below the run", inside and root.name == "run")
    text = prometheus_client.generate_latest(pipeline.meters.registry).decode()
    shown = [line for line in text.splitlines() if line.startswith("etl_records_total")]
    print("\n".join(f"    {line}" for line in shown))
    lesson.check("Prometheus sees the same account", len(shown) == 5)
    lesson.chart(report.chart(pipeline.metrics), "run")
    tell_account(lesson, {"this run": pipeline.metrics})


def limits(lesson: Lesson) -> None:
    """When not to, and at a thousand times the size.

    A nightly file of ten thousand rows needs none of this: COPY it in one transaction, and let
    the run fail when a row is wrong. Async pays where you wait for many others. A breaker pays
    where many callers share a source. Each queue is one more thing to explain at night.

    At a thousand times the size: one process per source, batches as files in object storage, loaded
    by the warehouse itself, a queue such as Kafka between the stages. The promises stay the same:
    keys, versions, an account. Who starts the run each hour, and again when it fails, is not the
    pipeline's business: see flow/README.md for an orchestrator.
    """
    files = sorted(Path(store.__file__).parent.glob("*.py"))
    lines = sum(len(one.read_text(encoding="utf-8").splitlines()) for one in files)
    lesson.check("the price is a package to maintain", lines > 1_000)


PARTS = (first_run, rules, breaker, patience, back_pressure, upsert, dead_letters, killed,
         watching, limits)  # fmt: skip


def main(lesson: Lesson) -> None:
    """Every part as a step, in schemas of the lesson's own."""
    with own_schema(SCHEMA), own_schema(KILLED), own_schema(CLEAN):
        for part in PARTS:
            lesson.step(part, lesson)


if __name__ == "__main__":
    run(main)
