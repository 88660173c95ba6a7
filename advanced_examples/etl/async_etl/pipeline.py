"""The pipeline: what a program, the command line and a lesson use."""

import asyncio
import gc
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
from opentelemetry.sdk.trace.export import SpanExporter

from async_etl.client import Client
from async_etl.flow import Extracts, Flow, clock_page
from async_etl.letters import replay
from async_etl.metrics import Meters, Metrics
from async_etl.records import KINDS, Kind
from async_etl.rules import Validator
from async_etl.runs import hold, noting
from async_etl.settings import Settings
from async_etl.sources import Page, Series, ask_clock, file_pages, pages, series_of
from async_etl.store import Store
from async_etl.tracing import tracing
from course import connect, demo_api

NEW_OBJECTS = 50_000  # before Python looks for cycles among them


def collect_seldom() -> None:
    """Let Python look for cycles of objects seldom, for the rest of this process.

    It looks after every 700 new objects (2,000 in later Pythons) and walks through the young ones
    each time. Our records have no cycles, so a fifth of our time went into that. This is a setting
    of the whole process: the program decides, as the command does, not the library.
    """
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


class ETLPipeline:
    """Weather and stock prices from several sources at once, into PostgreSQL.

    `trace_to` is 'console', 'off', the address of an OTLP collector, or a span exporter. `metrics`
    is the account of the last run, `meters` has the Prometheus metrics of all.
    """

    def __init__(
        self, settings: Settings | None = None, trace_to: str | SpanExporter = "console"
    ) -> None:
        self.settings = settings or Settings()
        self.trace_to = trace_to
        self.meters = Meters()
        self.metrics = Metrics(self.meters)
        self.validator = Validator(self.settings.conditions)

    async def run_parallel_pipelines(
        self, cities: Sequence[str], symbols: Sequence[str]
    ) -> Metrics:
        """Extract all series at once, validate, load; the run's metrics.

        A series that can't be had is named in `metrics.errors` and the others go on. SourceError
        when not even the source's clock can be had, StoreUnavailable when the database stays away.
        """
        async with (
            self._run(f"{len(cities)} cities, {len(symbols)} symbols") as flow,
            self._session() as session,
        ):
            clients = {name: Client(name, session, self.settings, self.metrics) for name in KINDS}
            with flow.tracer.start_as_current_span("extract", attributes={"series": "clock"}):
                as_of = await ask_clock(clients["clock"], self.settings.knobs)
            weather = series_of("weather", cities, as_of, hours=self.settings.hours)
            quotes = series_of("quotes", symbols, as_of, days=self.settings.days)
            extracts: Extracts = {"clock": clock_page(as_of)} | {
                str(one): (one.kind, self._pages(clients, one, as_of)) for one in weather + quotes
            }
            await flow.run(extracts)
        return self.metrics

    async def load_file(self, path: Path, kind: str = "weather") -> Metrics:
        """Load a CSV file of one kind, for a backfill; the run's metrics.

        Its columns are those of the kind's table, without a heading.
        """

        async def read(chosen: Kind) -> AsyncIterator[Page]:
            for page in file_pages(path, chosen):
                yield page

        async with self._run(f"file {path.name}") as flow:
            await flow.run({path.name: (KINDS[kind], read(KINDS[kind]))})
        return self.metrics

    async def replay(self) -> Metrics:
        """Give every dead letter another try, by today's rules; the run's metrics."""
        async with self._run("replay") as flow:
            await replay(flow)
        return self.metrics

    def _pages(self, clients: dict[str, Client], one: Series, as_of: object) -> AsyncIterator[Page]:
        settings = self.settings
        return pages(clients[one.kind.name], one, as_of, settings.page_rows, settings.knobs)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A session with the source: the one that was given, or the demo API for this run."""
        timeout = aiohttp.ClientTimeout(total=self.settings.timeout)
        if self.settings.source_url:
            async with aiohttp.ClientSession(self.settings.source_url, timeout=timeout) as session:
                yield session
            return
        async with demo_api.serve() as url, aiohttp.ClientSession(url, timeout=timeout) as session:
            yield session

    @asynccontextmanager
    async def _run(self, what: str) -> AsyncIterator[Flow]:
        """A run with a new id: noted when it begins, and how it ends."""
        settings, run_id = self.settings, uuid.uuid4()
        self.metrics = Metrics(self.meters, run_id=str(run_id))
        url = settings.database_url or await asyncio.to_thread(connect.url, "postgres")
        store = Store(url, settings.schema, settings.store_patience)
        began = time.perf_counter()
        with (
            tracing(self.trace_to) as tracer,
            tracer.start_as_current_span("run", attributes={"run_id": str(run_id)}),
        ):
            async with store.open(partial(hold, run_id=run_id)):
                flow = Flow(
                    run_id, store, self.validator, self.metrics, tracer, settings.batch_size,
                    settings.queue_size,
                )  # fmt: skip
                async with noting(store, run_id, what, self.metrics.errors):
                    yield flow
                self.metrics.duration_seconds = time.perf_counter() - began
        if self.metrics.complete:
            self.meters.finished.set_to_current_time()
