"""OpenTelemetry spans: on the console by default, to a collector by option, flushed at the end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import NoOpTracer, Tracer

COLLECTOR_PATIENCE = 3  # seconds: a collector that is away must not hold up the data


def line(span: ReadableSpan) -> str:
    """A span in one line: name, duration, attributes."""
    seconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
    about = " ".join(f"{name}={value}" for name, value in (span.attributes or {}).items())
    return f"  span {span.name:<9} {seconds:8.3f} s  {about}\n"


def exporter_for(target: "str | SpanExporter") -> SpanExporter:
    """Where spans go: 'console', the address of an OTLP collector, or an exporter of your own."""
    if not isinstance(target, str):
        return target
    if target == "console":
        return ConsoleSpanExporter(out=sys.stdout, formatter=line)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=target, timeout=COLLECTOR_PATIENCE)


@contextmanager
def tracing(target: "str | SpanExporter") -> Iterator[Tracer]:
    """A tracer for one run; at the end of the block every span has been handed over.

    Spans are sent in batches by a thread. A short program would end before it: that is what
    `shutdown` is for. 'off' makes spans that cost nothing and go nowhere.
    """
    if target == "off":
        yield NoOpTracer()
        return
    provider = TracerProvider(resource=Resource.create({"service.name": "async_etl"}))
    provider.add_span_processor(BatchSpanProcessor(exporter_for(target)))
    try:
        yield provider.get_tracer("async_etl")
    finally:
        provider.shutdown()
