"""The three signals of the pipeline: metrics, logs and traces, and how they agree."""

import io
import json
import logging
import math
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from observability import logs, scrape, tracing
from observability.metrics import IntakeMetrics, QualityMetrics, WorkerMetrics
from observability.processes import until
from observability.shop import RUN_ID, Shop
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from structlog.contextvars import bound_contextvars

from tests.support import run_python

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict]]]:
    """Logs of this process as JSON; afterwards all is as before."""
    stream = io.StringIO()
    before = logging.getLogger().handlers[:], logging.getLogger().level
    logs.start("test", "run-1", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    logging.getLogger().handlers, _ = before
    logging.getLogger().setLevel(before[1])
    logging.captureWarnings(False)


@pytest.mark.filterwarnings("always")
def test_every_line_is_json_with_service_run_and_level(lines: Callable[[], list[dict]]) -> None:
    logs.log.info("order taken", order_id=7)
    logging.getLogger("a.library").warning("old %s", "style")
    warnings.warn("mind the gap", stacklevel=1)
    ours, library, warning = lines()
    assert "mind the gap" in warning["event"] and warning["level"] == "warning"
    assert (ours["service"], ours["run_id"], ours["level"]) == ("test", "run-1", "info")
    assert ours["event"] == "order taken" and ours["order_id"] == 7
    assert library["event"] == "old style" and library["run_id"] == "run-1"


def test_an_exception_is_data_in_its_line(lines: Callable[[], list[dict]]) -> None:
    try:
        raise ValueError("no such order")
    except ValueError:
        logs.log.exception("failed")
    (line,) = lines()
    assert line["exception"][0]["exc_value"] == "no such order"


def test_what_is_bound_stays_in_its_context(lines: Callable[[], list[dict]]) -> None:
    with bound_contextvars(order_id=1):
        thread = threading.Thread(target=lambda: logs.log.info("thread"))
        thread.start()
        thread.join()
        logs.log.info("inside")
    logs.log.info("outside")
    thread_line, inside, outside = lines()
    assert inside["order_id"] == 1 and "order_id" not in outside
    assert "run_id" not in thread_line, "a new thread starts with nothing bound"


def test_a_line_inside_a_span_names_the_trace(
    lines: Callable[[], list[dict]], tmp_path: Path
) -> None:
    provider = tracing.start("test", "run-1", tmp_path / "spans")
    with provider.get_tracer("test").start_as_current_span("work") as span:
        logs.log.info("inside")
    provider.shutdown()
    (line,) = lines()
    assert line["trace_id"] == trace.format_trace_id(span.get_span_context().trace_id)
    (written,) = tracing.read(tmp_path / "spans")
    assert (written.trace, written.id) == (line["trace_id"], line["span_id"])


def test_on_a_terminal_the_lines_are_for_people() -> None:
    code = (
        "import io\n"
        "from observability import logs\n"
        "class Terminal(io.StringIO):\n"
        "    def isatty(self): return True\n"
        "screen = Terminal()\n"
        "logs.start('test', 'run-1', screen)\n"
        "logs.log.info('order taken', order_id=7)\n"
        "print(screen.getvalue())\n"
    )
    said = run_python("-c", code)
    assert "order taken" in said.stdout and not said.stdout.startswith("{"), said.stderr


SPOILT = ({}, {"traceparent": "x"}, {"traceparent": 7}, {"traceparent": TRACEPARENT[:-4]})


@pytest.mark.parametrize("carrier", [None, *SPOILT])
def test_a_missing_or_spoilt_header_begins_a_new_trace(
    carrier: dict | None, tmp_path: Path
) -> None:
    provider = tracing.start("test", "run-1", tmp_path / "spans")
    with provider.get_tracer("t").start_as_current_span("work", tracing.received(carrier)) as span:
        assert span.parent is None
    provider.shutdown()


def test_the_header_of_the_standard_is_read_and_continued(tmp_path: Path) -> None:
    provider = tracing.start("test", "run-1", tmp_path / "spans")
    caller = tracing.received({"Traceparent": TRACEPARENT})
    with provider.get_tracer("t").start_as_current_span("work", caller):
        onward = tracing.headers()["traceparent"]
    provider.shutdown()
    assert onward[3:35] == TRACEPARENT[3:35] and onward[36:52] != TRACEPARENT[36:52]
    (span,) = tracing.read(tmp_path / "spans")
    assert (span.trace, span.parent) == (TRACEPARENT[3:35], TRACEPARENT[36:52])


def test_who_was_not_sampled_stays_so(tmp_path: Path) -> None:
    provider = tracing.start("test", "run-1", tmp_path / "spans", share=1.0)
    caller = tracing.received({"traceparent": TRACEPARENT[:-1] + "0"})
    with provider.get_tracer("t").start_as_current_span("work", caller, SpanKind.SERVER):
        assert int(tracing.headers()["traceparent"][-2:], 16) & 1 == 0
    provider.shutdown()
    assert tracing.read(tmp_path / "spans") == []


def test_half_a_line_of_a_killed_process_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "spans"
    provider = tracing.start("test", "run-1", file)
    provider.get_tracer("t").start_span("work").end()
    provider.shutdown()
    file.write_text(file.read_text() + '{"name": "ha')
    assert [span.name for span in tracing.read(file, tmp_path / "missing")] == ["work"]


def test_one_trace_id_on_both_sides_of_rabbitmq(shop: Shop) -> None:
    shop.order(1)
    provider = tracing.start("client", RUN_ID, shop.folder / "client.spans")
    with provider.get_tracer("test").start_as_current_span("buy") as span:
        assert shop.order(2) == 202
    provider.shutdown()
    wanted = trace.format_trace_id(span.get_span_context().trace_id)

    def mine() -> list[tracing.Span]:
        files = shop.spans(shop.folder / "client.spans")
        return [each for each in files if each.trace == wanted]

    until(lambda: len(mine()) == 5)
    kinds = [(each.service, each.kind) for _, each in tracing.tree(mine())]
    assert kinds == [("client", "internal"), ("intake", "server"), ("intake", "producer"),
                     ("worker", "consumer"), ("worker", "client")]  # fmt: skip
    logged = {
        line["service"] for service in (shop.intake, shop.worker) for line in shop.log(service)
        if line.get("trace_id") == wanted
    }  # fmt: skip
    assert logged == {"intake", "worker"}


def test_the_message_carries_the_traceparent(shop: Shop, service: Callable[[str], str]) -> None:
    shop.worker.stop()  # so that the message stays in the queue
    try:
        provider = tracing.start("client", RUN_ID, shop.folder / "other.spans")
        with provider.get_tracer("test").start_as_current_span("buy") as span:
            shop.order(3)
        provider.shutdown()
        with pika.BlockingConnection(pika.URLParameters(service("rabbitmq"))) as broker:
            _, wire, _ = broker.channel().basic_get(shop.namespace.queue)
        wanted = trace.format_trace_id(span.get_span_context().trace_id)
        assert re.fullmatch(rf"00-{wanted}-[0-9a-f]{{16}}-0[13]", wire.headers["traceparent"])
    finally:
        shop.worker.start()
    shop.settle(1)  # it was not acknowledged, so it came back


def test_what_a_client_was_told_is_what_the_intake_counts(shop: Shop) -> None:
    before = shop.scrape()
    answers = [shop.order(10), shop.post([]), shop.post({"order_id": "x"}), shop.order(10)]
    assert answers == [202, 400, 400, 202]
    until(lambda: shop.settled() - done(before) == 2)
    moved = scrape.changes(before, shop.scrape())
    route = {"route": "/orders"}
    assert scrape.get(moved, "shop_intake_requests_total", status="202", **route) == 2
    assert scrape.get(moved, "shop_intake_requests_total", status="400", **route) == 2
    assert scrape.get(moved, "shop_orders_processed_total", outcome="duplicate") == 1
    assert scrape.get(moved, "shop_order_seconds_count") == 2


def done(series: dict[scrape.Series, float]) -> float:
    return sum(v for (name, _), v in series.items() if name == "shop_orders_processed_total")


def test_paths_that_nobody_serves_are_one_series(shop: Shop) -> None:
    for path in ("a", "b", "c"):
        with pytest.raises(OSError, match="404"):
            scrape.page(f"{shop.intake.url}/{path}")
    series = shop.scrape()
    name = "shop_intake_requests_total"
    assert scrape.get(series, name, route="(none)", status="404") == 3
    assert not any("/a" in str(labels) for (_, labels) in series)


def test_every_series_of_a_fresh_service_is_there_with_0() -> None:
    for metrics in (IntakeMetrics(), WorkerMetrics()):
        page = scrape.parse(generate_latest(metrics.registry).decode())
        names = {name for name, _ in page}
        assert {"shop_intake_requests_total", "shop_orders_processed_total"} & names
        assert set(page.values()) == {0.0}
    assert scrape.parse(generate_latest(QualityMetrics().registry).decode()) == {}


@given(st.lists(st.floats(0, 20), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    registry = CollectorRegistry()
    bounds = (0.5, 1.0, 2.0, 5.0, 10.0)
    histogram = Histogram("x", "x", buckets=bounds, registry=registry)
    for value in values:
        histogram.observe(value)
    series = scrape.parse(generate_latest(registry).decode())
    estimate = scrape.quantile(share, scrape.buckets(series, "x"))
    true = sorted(values)[max(math.ceil(share * len(values) - 1e-9) - 1, 0)]
    upper = next((bound for bound in bounds if true <= bound), bounds[-1])
    lower = max((bound for bound in (0.0, *bounds) if bound < upper), default=0.0)
    assert lower - 1e-9 <= estimate <= upper + 1e-9


def test_no_observation_no_quantile() -> None:
    assert math.isnan(scrape.quantile(0.5, {1.0: 0.0, math.inf: 0.0}))


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=4))
def test_an_increase_survives_restarts(lives: list[list[int]]) -> None:
    """Each life of a process begins at 0 and is scraped after every step."""
    values = [float(sum(life[:n])) for life in lives for n in range(len(life) + 1)]
    assert scrape.increase(values) == sum(map(sum, lives))


def test_a_port_that_is_taken_is_told_plainly(shop: Shop) -> None:
    port = shop.intake.url.rpartition(":")[2]
    said = run_python("-m", "observability", "worker", "--port", port)
    assert said.returncode == 1, said.stderr
    assert "The worker ended:" in said.stderr and "Traceback" not in said.stderr
