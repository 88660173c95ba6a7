"""Traces by OTLP: a real HTTP server decodes what the three programs send to it."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest
from observability import tracing
from observability.__main__ import main
from observability.processes import Service, until
from observability.shop import RUN_ID
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.trace import SpanKind

from tests.monitoring.conftest import shop_of_a_test

NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Received:
    """A span as it came over the wire."""

    service: str
    run_id: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str


@dataclass
class Collector:
    """What came to POST /v1/traces; anything else is refused."""

    url: str
    spans: list[Received] = field(default_factory=list)

    def of(self, trace: str) -> list[Received]:
        """The spans of one trace."""
        return [span for span in self.spans if span.trace == trace]

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            self.spans += [
                Received(
                    about["service.name"], about["shop.run_id"], span.name,
                    Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                )
                for scope in resource.scope_spans
                for span in scope.spans
            ]  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind = (self.path, self.headers["Content-Type"])
            if kind != ("/v1/traces", "application/x-protobuf"):
                self.send_error(400)
                return
            packed = self.headers.get("Content-Encoding") == "gzip"
            there.take(gzip.decompress(body) if packed else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield there
        server.shutdown()
        thread.join()


def test_one_trace_over_http_and_a_queue_comes_to_the_collector(
    service: Callable[[str], str], collector: Collector, tmp_path: Path
) -> None:
    service("postgres")
    service("rabbitmq")
    with shop_of_a_test({tracing.COLLECTOR: collector.url}) as shop:
        file = tmp_path / "client.spans"
        client = tracing.start("client", RUN_ID, file, collector=collector.url)
        with client.get_tracer("test").start_as_current_span("buy", kind=SpanKind.CLIENT) as span:
            assert shop.order(1) == 202
        client.shutdown()
        trace = format(span.get_span_context().trace_id, "032x")
        until(lambda: len(collector.of(trace)) == 5)
        kept = {(each.service, each.id) for each in shop.spans(file) if each.trace == trace}
    received = collector.of(trace)
    assert {(each.service, each.id) for each in received} == kept, "the file has the same spans"
    assert {each.run_id for each in received} == {RUN_ID}
    below = {each.parent: each for each in received}
    path, parent = [], ""  # the root has no parent
    while parent in below:
        path.append((below[parent].service, below[parent].kind))
        parent = below[parent].id
    assert path == [("client", "client"), ("intake", "server"), ("intake", "producer"),
                    ("worker", "consumer"), ("worker", "client")]  # fmt: skip


def test_the_option_of_the_command_names_a_collector(
    service: Callable[[str], str], collector: Collector, tmp_path: Path
) -> None:
    service("rabbitmq")
    intake = Service("intake", tmp_path, ("--run-id", "by-option", "--otlp", f"{collector.url}/"))
    try:
        intake.start()
        with pytest.raises(OSError, match="400"):
            urlopen(f"{intake.url}/orders", b"no order", timeout=10)
    finally:
        intake.stop()
    (span,) = [each for each in collector.spans if each.run_id == "by-option"]
    assert (span.service, span.name, span.kind) == ("intake", "POST /orders", "server")


def test_a_collector_that_is_away_costs_neither_spans_nor_much_time(tmp_path: Path) -> None:
    provider = tracing.start("test", "run-1", tmp_path / "spans", collector=NOBODY)
    provider.get_tracer("test").start_span("work").end()
    began = time.monotonic()
    provider.shutdown()
    assert time.monotonic() - began < 3 * tracing.COLLECTOR_PATIENCE
    assert [span.name for span in tracing.read(tmp_path / "spans")] == ["work"]


@pytest.mark.parametrize("address", ["localhost:4318", "http://", "collector"])
def test_what_is_no_address_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["worker", "--otlp", address])
    assert "is no address such as http://" in capsys.readouterr().err
