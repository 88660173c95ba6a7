"""The lesson, the command, and what they hand to a collector, a scraper and a reader."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from async_etl import ETLPipeline
from async_etl.__main__ import main
from async_etl.client import retry_after
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from course.settings import ROOT
from tests.etl.conftest import QUICK, Tables
from tests.stack.private import eventually
from tests.support import run_python

LESSON = ROOT / "advanced_examples" / "etl" / "01_async_etl_pipeline.py"
NOWHERE = {"DATABASE_URL": "postgresql://a:b@127.0.0.1:9/nowhere"}


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """The command in this process: an interpreter takes longer to start than most of them run."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        try:
            code: Any = main(arguments)
        except SystemExit as end:  # argparse refuses an option
            code = end.code
        said = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    return run


def test_the_promised_names_and_figures(tables: Tables, capsys: pytest.CaptureFixture) -> None:
    pipeline = ETLPipeline(replace(QUICK, schema=tables.schema), trace_to="off")
    series = {"cities": ["Kyiv", "Lviv", "Odesa"], "symbols": ["AAPL", "GOOGL", "MSFT"]}
    asyncio.run(pipeline.run_parallel_pipelines(**series))
    pipeline.metrics.print_summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:8] == [
        "records_extracted: 10", "records_transformed: 10", "records_loaded: 10",
        "deduplicated: 0", "quarantined: 0", "errors: 0", "retried: 0",
        "breakers: clock closed, weather closed, quotes closed",
    ]  # fmt: skip
    assert re.fullmatch(r"duration_seconds: \d+\.\d", lines[8])
    tables.check_account(pipeline.metrics)


def test_the_command_runs_reports_and_measures(tables: Tables, tmp_path: Path) -> None:
    metrics, summary = tmp_path / "etl.prom", tmp_path / "summary.json"
    done = run_python(
        "-W", "error::ResourceWarning", "-m", "async_etl", "run", "--report", str(tmp_path),
        "--metrics-file", str(metrics), "--json", str(summary), "--cities", "Kyiv,Atlantis",
        "--schema", tables.schema,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr == ""
    assert "not extracted: weather Atlantis: status 404" in done.stdout
    assert re.search(r"span load +\d+\.\d+ s  batch=1 loaded=8", done.stdout)
    assert 'etl_records_total{outcome="loaded"} 8.0' in metrics.read_text()
    assert 'etl_breaker_state{source="weather"} 0.0' in metrics.read_text()
    assert json.loads(summary.read_text())["errors"] == 1
    page = (tmp_path / "etl_report.md").read_text()
    assert "| records_loaded | 8 |" in page and "Atlantis" in page
    assert (tmp_path / "etl_report.png").stat().st_size > 10_000


def test_letters_are_listed_and_replayed(tables: Tables, tmp_path: Path, command: Command) -> None:
    where = "--schema", tables.schema
    file = tmp_path / "archive.csv"
    now = "2025-10-26T12:00:00Z"
    file.write_text(f"Kyiv,{now},9,70,20,hail,{now}\nKyiv,{now},900,70,20,rain,{now}\n")
    assert "quarantined: 2" in command("load", str(file), "--trace", "off", *where).stdout
    listed = command("letters", *where).stdout
    assert "archive.csv  temperature_c = '900': must be from -90 to 60 °C" in listed
    assert "2 dead letters wait." in listed
    replayed = command("replay", "--accept", "hail", "--trace", "off", *where)
    assert replayed.returncode == 0 and "records_loaded: 1" in replayed.stdout
    refusal = "  still refused: archive.csv: temperature_c = '900': must be from -90 to 60 °C"
    assert replayed.stdout.splitlines()[-1] == refusal
    assert "1 dead letters wait." in command("letters", *where).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--source", "localhost"], "give an address as http://"),
        (["run", "--hours", "0"], "must be a whole number of 1 or more"),
        (["load", "nowhere.csv"], "nowhere.csv is no file"),
        (["run", "--knob", "fail=2"], "fail=2 is not between 0 and 1"),
    ],
)
def test_bad_input_is_explained(
    tables: Tables, command: Command, arguments: list[str], says: str
) -> None:
    done = command(*arguments, "--schema", tables.schema)
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    assert says in done.stderr


def test_a_bad_schema_name_is_refused(command: Command) -> None:
    done = command("run", "--schema", "a; DROP TABLE x")
    assert done.returncode == 2 and "use small letters" in done.stderr


def test_spans_reach_a_collector_before_the_end(tables: Tables) -> None:
    names: list[str] = []

    async def scenario() -> None:
        async def receive(request: web.Request) -> web.Response:
            sent = ExportTraceServiceRequest.FromString(await request.read())
            for resource in sent.resource_spans:
                for scope in resource.scope_spans:
                    names.extend(span.name for span in scope.spans)
            return web.Response()

        application = web.Application()
        application.router.add_post("/v1/traces", receive)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
        arguments = ["run", "--trace", url, "--schema", tables.schema]
        assert await asyncio.to_thread(main, arguments) == 0
        await runner.cleanup()

    asyncio.run(scenario())
    assert names.count("extract") == 8 and {"run", "transform", "load"} < set(names)


def test_a_collector_that_is_away_costs_no_data(tables: Tables, command: Command) -> None:
    where = "--schema", tables.schema
    done = command("run", "--trace", "http://127.0.0.1:9/v1/traces", *where)
    assert done.returncode == 0 and "records_loaded: 10" in done.stdout


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7), ("soon", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("", 0)]
)
def test_retry_after_is_read(said: str, seconds: float) -> None:
    assert retry_after({"Retry-After": said}) == seconds


@pytest.mark.parametrize("program", [[str(LESSON)], ["-m", "async_etl", "run"]])
def test_without_postgres_it_says_so(program: list[str]) -> None:
    done = run_python(*program, **NOWHERE)
    assert done.returncode == 69 and "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_ends_the_command_cleanly(tables: Tables) -> None:
    arguments = ["run", "--knob", "delay=0.5", "--hours", "20000", "--schema", tables.schema]
    with subprocess.Popen(
        [sys.executable, "-m", "async_etl", *arguments], stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip

        def begun() -> bool:
            made = tables.rows("SELECT to_regclass('runs') IS NOT NULL") == [(True,)]
            return made and tables.rows("SELECT count(*) FROM runs") == [(1,)]

        eventually(begun, 60)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaint.startswith("Stopped by Ctrl-C.") and "Traceback" not in complaint
    assert tables.rows("SELECT status FROM runs") == [("failed",)]
