"""Extract, transform, load: three stages at once, with bounded queues between them."""

import asyncio
import csv
import io
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from opentelemetry.trace import Status, StatusCode, Tracer

from async_etl.breaker import CircuitOpen
from async_etl.client import Garbage, SourceError
from async_etl.metrics import Metrics
from async_etl.records import KINDS, Kind, Record
from async_etl.rules import Rejected, Validator
from async_etl.sources import Page
from async_etl.store import Batch, Letter, Store

LOADERS = 2  # one batch is copied to staging while the one before it is upserted
Extracts = Mapping[str, tuple[Kind, AsyncIterator[Page]]]


def as_payload(page: Page, raw: Any) -> bytes:
    """A raw record as it came: JSON, or a line of CSV."""
    if page.as_of is not None:
        return json.dumps(raw).encode()
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="").writerow(raw)
    return line.getvalue().encode(errors="surrogateescape")


def transform(page: Page, validator: Validator) -> tuple[list[Record], list[tuple[Any, Rejected]]]:
    """(the records of a page, what was refused and why)."""
    kind, as_of = page.kind, page.as_of
    if as_of is not None:

        def read(raw: Any) -> Record:
            return validator.from_json(kind, raw, as_of)

    elif kind.name == "weather":
        read = validator.weather_from_text
    else:

        def read(raw: Any) -> Record:
            return validator.from_text(kind, raw)

    records, refused = [], []
    for raw in page.rows:
        try:
            records.append(read(raw))
        except Rejected as error:
            refused.append((raw, error))
    return records, refused


@dataclass
class Flow:
    """One run of the three stages; each queue holds at most `queue_size` pages or batches.

    A stage that is faster than the next one waits when its queue is full: that is back-pressure.
    Without the bound a slow database would make the memory of the program grow.
    """

    run_id: UUID
    store: Store
    validator: Validator
    metrics: Metrics
    tracer: Tracer
    batch_size: int
    queue_size: int
    raw: asyncio.Queue[Page | Batch | None] = field(init=False)
    clean: asyncio.Queue[Batch | None] = field(init=False)

    def __post_init__(self) -> None:
        self.raw = asyncio.Queue(self.queue_size)
        self.clean = asyncio.Queue(self.queue_size)

    async def run(self, extracts: Extracts) -> None:
        """Run all extracts at once and everything behind them; the first error ends them all."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._extract_all(extracts))
                tasks.create_task(self._transform_all())
                tasks.create_task(self._load_all())
        except BaseExceptionGroup as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None
        if not self.metrics.balanced:
            raise AssertionError(f"the account does not balance: {self.metrics.summary()}")

    async def _extract_all(self, extracts: Extracts) -> None:
        async with asyncio.TaskGroup() as tasks:
            for name, (kind, pages) in extracts.items():
                tasks.create_task(self._extract(name, kind, pages))
        await self.raw.put(None)

    async def _extract(self, name: str, kind: Kind, pages: AsyncIterator[Page]) -> None:
        """All pages of one series. What can't be had is an error of the run, not its end."""
        with self.tracer.start_as_current_span("extract", attributes={"series": name}) as span:
            count = 0
            try:
                async for page in pages:
                    count += len(page.rows)
                    await self._hand_on(self.raw, "transform", page, len(page.rows))
            except (SourceError, CircuitOpen) as error:
                self.metrics.errors.append(f"{name}: {error}")
                span.set_status(Status(StatusCode.ERROR, str(error)))
                if isinstance(error, Garbage):
                    letter = Letter(
                        kind.name, name, "answer", error.body, "answer", str(error), None
                    )
                    evidence = Batch(0, letters=[letter], extracted=1)
                    await self._hand_on(self.raw, "transform", evidence, 1)
            span.set_attribute("records", count)

    async def _hand_on(self, queue: asyncio.Queue, stage: str, item: Any, extracted: int) -> None:
        await queue.put(item)
        self.metrics.waiting(stage, queue.qsize())
        if extracted:
            self.metrics.count("extracted", extracted)

    async def _transform_all(self) -> None:
        batch, number = Batch(1), 1
        span = self.tracer.start_span("transform")
        while (item := await self.raw.get()) is not None:
            with self.metrics.meters.stage_seconds.labels("transform").time():
                self._transform(item, batch)
            if batch.extracted >= self.batch_size:
                await self._pass_batch(batch, span)
                number += 1
                batch, span = Batch(number), self.tracer.start_span("transform")
        if batch.extracted:
            await self._pass_batch(batch, span)
        await self.clean.put(None)

    async def _pass_batch(self, batch: Batch, span: Any) -> None:
        span.set_attributes({"records": batch.extracted, "refused": len(batch.letters)})
        span.end()
        await self._hand_on(self.clean, "load", batch, 0)

    def _transform(self, item: Page | Batch, batch: Batch) -> None:
        """Add a page's records and letters to the batch."""
        if isinstance(item, Batch):
            batch.letters += item.letters
            batch.extracted += item.extracted
            return
        records, refused = transform(item, self.validator)
        batch.records.setdefault(item.kind.name, []).extend(records)
        batch.extracted += len(item.rows)
        for raw, error in refused:
            form = "csv" if item.as_of is None else "json"
            payload = as_payload(item, raw)
            batch.letters.append(
                Letter(
                    item.kind.name, item.origin, form, payload, error.field, str(error), item.as_of
                )
            )
            self.metrics.reasons[f"{item.kind.name}.{error.field}"] += 1
            self.metrics.meters.rejections.labels(item.kind.name, error.field).inc()
        self.metrics.count("transformed", len(records))

    async def _load_all(self) -> None:
        """Load batches in their order, two at a time; each waits for the task of the one before.

        A task always ends: done, failed or cancelled. So none waits for a turn that never comes.
        """
        places, before = asyncio.Semaphore(LOADERS), None
        async with asyncio.TaskGroup() as tasks:
            while True:
                await places.acquire()
                batch = await self.clean.get()
                if batch is None:
                    return
                before = tasks.create_task(self._load(batch, before))
                before.add_done_callback(lambda _: places.release())

    async def _load(self, batch: Batch, before: asyncio.Task[None] | None) -> None:
        async def turn() -> None:
            if before:
                await asyncio.wait([before])
                before.result()  # it failed: so do we, nothing may overtake it

        began = time.perf_counter()
        with self.tracer.start_as_current_span("load") as span:
            outcome = await self.store.load(self.run_id, batch, turn)
            span.set_attributes({"batch": batch.number, "loaded": outcome.loaded})
        took = time.perf_counter() - began
        self.metrics.meters.stage_seconds.labels("load").observe(took)
        self.metrics.count("loaded", outcome.loaded)
        self.metrics.count("quarantined", outcome.dead_lettered)
        self.metrics.count("deduplicated", outcome.deduplicated)


async def one_page(page: Page) -> AsyncIterator[Page]:
    """A page that is there already, as a series."""
    yield page


def clock_page(as_of: Any) -> tuple[Kind, AsyncIterator[Page]]:
    """The source's clock as a series of one record."""
    kind = KINDS["clock"]
    return kind, one_page(Page(kind, [{"source": "demo API"}], as_of, "clock"))
