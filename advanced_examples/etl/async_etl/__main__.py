"""The pipeline as a command: run, load a file, look at dead letters, replay them."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from async_etl import letters, report
from async_etl.breaker import CircuitOpen
from async_etl.client import SourceError
from async_etl.pipeline import ETLPipeline, collect_seldom
from async_etl.records import KINDS
from async_etl.rules import CONDITIONS
from async_etl.settings import Settings
from async_etl.store import Store, StoreUnavailable
from course import connect
from course.errors import FAILED, INTERRUPTED, OK, UNAVAILABLE, USAGE, CourseError

CITIES, SYMBOLS = "Kyiv,Lviv,Odesa", "AAPL,GOOGL,MSFT"


def main(argv: Sequence[str] | None = None) -> int:
    """0 complete, 1 incomplete or failed, 2 a wrong option, 69 no database, 130 Ctrl-C."""
    options = make_parser().parse_args(argv)
    try:
        return asyncio.run(without_remarks(options.do(options)))
    except (SourceError, CircuitOpen) as error:
        print(f"The source can't be had: {error}. Nothing was loaded.", file=sys.stderr)
        return FAILED
    except StoreUnavailable as error:
        print(error, file=sys.stderr)
        return UNAVAILABLE
    except CourseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C. Whole batches are kept; run the same again.", file=sys.stderr)
        return INTERRUPTED


async def without_remarks(work: Awaitable[int]) -> int:
    """Await the command; what asyncpg adds about a connection that is lost, our message says."""

    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        lost = isinstance(context.get("exception"), asyncpg.ConnectionDoesNotExistError)
        if not lost and not context["message"].startswith("Resetting connection"):
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(tell)
    return await work


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m async_etl", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="extract from the source, validate, load")
    run.set_defaults(do=do_run)
    run.add_argument("--cities", default=CITIES, help=f"with commas ({CITIES})")
    run.add_argument("--symbols", default=SYMBOLS, help=f"with commas ({SYMBOLS})")
    run.add_argument("--hours", type=positive, default=1, help="of weather, back from now (1)")
    run.add_argument("--days", type=positive, default=3, help="of quotes (3)")
    run.add_argument("--source", default="", metavar="URL", help="(a demo API for this run)")
    run.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE",
                     help="a fault for the demo API to do, as fail=0.2")  # fmt: skip
    run.add_argument("--timeout", type=float, default=5.0, help="of one attempt, seconds (5)")
    run.add_argument("--attempts", type=positive, default=6, help="for a request (6)")
    load = commands.add_parser("load", help="load a CSV file, for a backfill")
    load.set_defaults(do=do_load)
    load.add_argument("file", type=Path)
    load.add_argument("--kind", choices=KINDS, default="weather")
    replay = commands.add_parser("replay", help="give every dead letter another try")
    replay.set_defaults(do=do_replay)
    listing = commands.add_parser("letters", help="show the dead letters that wait")
    listing.set_defaults(do=do_letters)
    for command in (run, load):
        command.add_argument("--batch-size", type=positive, default=20_000, help="records (20000)")
    for command in (run, load, replay):
        add_common(command)
    for command in (run, load, replay, listing):
        command.add_argument("--schema", default="async_etl", help="where the tables are")
    return parser


def add_common(command: argparse.ArgumentParser) -> None:
    """What every command that runs the pipeline can be told."""
    command.add_argument("--accept", action="append", default=[], metavar="WORD",
                         help="one more word for the weather's conditions")  # fmt: skip
    command.add_argument("--trace", default="console", metavar="WHERE",
                         help="spans: console, off, or the URL of an OTLP collector")  # fmt: skip
    command.add_argument("--metrics-file", metavar="FILE", help="for node_exporter")
    command.add_argument("--metrics-port", type=int, metavar="PORT",
                         help="answer scrapes while it runs")  # fmt: skip
    command.add_argument("--report", type=Path, metavar="FOLDER", help="write a page and a chart")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the summary as JSON")
    command.add_argument("--patience", type=float, default=15.0, metavar="SECONDS",
                         help="for a database that is away (15)")  # fmt: skip


def positive(text: str) -> int:
    """Argument type: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number of 1 or more")
    return int(text)


def words(text: str) -> list[str]:
    """What stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


async def do_run(options: argparse.Namespace) -> int:
    """Extract, transform, load."""
    if options.source and not options.source.startswith(("http://", "https://")):
        raise ValueError(f"--source {options.source}: give an address as http://127.0.0.1:8080")
    pairs = [knob.partition("=") for knob in options.knob]
    settings = Settings(
        source_url=options.source, hours=options.hours, days=options.days,
        timeout=options.timeout, attempts=options.attempts, batch_size=options.batch_size,
        knobs={name: value for name, _, value in pairs}, **common(options),
    )  # fmt: skip
    cities, symbols = words(options.cities), words(options.symbols)
    return await with_pipeline(
        options, settings, lambda one: one.run_parallel_pipelines(cities, symbols)
    )


async def do_load(options: argparse.Namespace) -> int:
    """Load a file."""
    if not options.file.is_file():
        raise ValueError(f"{options.file} is no file")
    settings = Settings(batch_size=options.batch_size, **common(options))
    return await with_pipeline(
        options, settings, lambda one: one.load_file(options.file, options.kind)
    )


async def do_replay(options: argparse.Namespace) -> int:
    """Replay dead letters."""
    return await with_pipeline(options, Settings(**common(options)), ETLPipeline.replay)


async def do_letters(options: argparse.Namespace) -> int:
    """Show dead letters."""
    store = Store(await asyncio.to_thread(connect.url, "postgres"), options.schema, 5.0)
    async with store.open():
        found = await letters.waiting(store.pool)
    for letter in found:
        print(f"{letter['origin']}  {letter['reason']}")
        print(f"    {ascii(letter['payload'][:200])[1:-1]}")
    print(f"{len(found)} dead letters wait" + (" (or more)." if len(found) == 50 else "."))
    return OK


def common(options: argparse.Namespace) -> dict:
    """The settings that every command has."""
    return {
        "schema": options.schema,
        "store_patience": options.patience,
        "conditions": CONDITIONS | set(options.accept),
    }


async def with_pipeline(
    options: argparse.Namespace, settings: Settings, work: Callable[[ETLPipeline], Awaitable]
) -> int:
    """Do the work, say what became of it, and hand over metrics and report."""
    pipeline = ETLPipeline(settings, options.trace)
    end = pipeline.meters.serve(options.metrics_port) if options.metrics_port else None
    try:
        await work(pipeline)
    finally:
        if options.metrics_file:
            pipeline.meters.write(options.metrics_file)
        if end:
            end()
    metrics = pipeline.metrics
    metrics.print_summary()
    if options.report:
        print(f"report: {report.write(metrics, options.report)}")
    if options.json:
        text = json.dumps(metrics.summary() | {"not_extracted": metrics.errors})
        options.json.write_text(text, encoding="utf-8")
    return OK if metrics.complete else FAILED


if __name__ == "__main__":
    collect_seldom()
    sys.exit(main())
