"""Traces: what happened to one order, across processes, through HTTP and through a queue.

A trace is a tree of spans. The caller writes its trace id and span id into the header
`traceparent`, the receiver continues from there. The same text travels in HTTP headers and in the
headers of a message: W3C Trace Context, https://www.w3.org/TR/trace-context/

    00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    version  trace id (16 bytes)        parent span id   flags: an odd number is sampled

Spans go to a file, one JSON object a line, and by option to a collector that speaks OTLP over HTTP,
such as Jaeger at http://127.0.0.1:4318: name it with `--otlp`, or with OTEL_EXPORTER_OTLP_ENDPOINT
in the environment.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

EXPORT_EVERY = 200  # milliseconds
COLLECTOR_PATIENCE = 3  # seconds: a collector that is away must not hold up the end of a program
COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"
W3C = TraceContextTextMapPropagator()


class FileExporter(ConsoleSpanExporter):
    """Appends spans to a file, and closes it at the end."""

    def __init__(self, path: Path) -> None:
        super().__init__(out=path.open("a", encoding="utf-8"), formatter=one_line)

    def shutdown(self) -> None:
        """Close the file."""
        self.out.close()


def start(
    service: str, run_id: str, spans: Path, share: float = 1.0, collector: str | None = None
) -> TracerProvider:
    """A provider of tracers whose spans are appended to the file `spans`.

    They also go to the `collector` at this base URL, by default to the one in the environment, if
    any. `share` of the traces that begin here are sampled; a trace that began elsewhere keeps the
    decision of its first service. Call `shutdown()` at the end: spans wait in memory for a moment.
    """
    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "shop.run_id": run_id}),
        sampler=ParentBased(TraceIdRatioBased(share)),
    )
    exporters: list[SpanExporter] = [FileExporter(spans)]
    collector = collector or os.environ.get(COLLECTOR)
    if collector:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        address = f"{collector.rstrip('/')}/v1/traces"
        exporters.append(OTLPSpanExporter(address, timeout=COLLECTOR_PATIENCE))
    for exporter in exporters:
        # Each in a thread of its own: a slow collector does not keep spans from the file.
        processor = BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY)
        provider.add_span_processor(processor)
    return provider


def one_line(span: ReadableSpan) -> str:
    """A span as one line of JSON."""
    return span.to_json(indent=None) + "\n"


def headers() -> dict[str, str]:
    """The headers that continue the current trace at the receiver; empty without one."""
    carrier: dict[str, str] = {}
    W3C.inject(carrier)
    return carrier


def received(carrier: Mapping[str, Any] | None) -> Context:
    """The trace that the headers tell of; a new one begins where they are missing or spoilt."""
    text = {name.lower(): value for name, value in (carrier or {}).items() if type(value) is str}
    return W3C.extract(text)


@dataclass(frozen=True)
class Span:
    """A finished span as the file has it; `parent` is a span id, None at the root."""

    name: str
    service: str
    kind: str
    trace: str
    id: str
    parent: str | None
    began: str
    failed: bool


def read(*files: Path) -> list[Span]:
    """The spans in the files, in the order in which they began."""
    found = []
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        for line in lines:
            try:
                found.append(as_span(json.loads(line)))
            except json.JSONDecodeError:
                continue  # the last line of a process that was killed
    return sorted(found, key=lambda span: span.began)


def as_span(data: Mapping[str, Any]) -> Span:
    """A span from what OpenTelemetry writes."""
    context = data["context"]
    parent = data["parent_id"]
    return Span(
        data["name"], data["resource"]["attributes"]["service.name"],
        data["kind"].removeprefix("SpanKind.").lower(), context["trace_id"].removeprefix("0x"),
        context["span_id"].removeprefix("0x"), parent and parent.removeprefix("0x"),
        data["start_time"], data["status"]["status_code"] == "ERROR",
    )  # fmt: skip


def tree(spans: Sequence[Span], parent: str | None = None, depth: int = 0) -> Iterator[tuple]:
    """(depth, span) from the root down, children in the order in which they began."""
    for span in spans:
        if span.parent == parent:
            yield depth, span
            yield from tree(spans, span.id, depth + 1)
