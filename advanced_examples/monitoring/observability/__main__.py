"""Run one service of the pipeline, or all of them with steady traffic.

    python -m observability              all: intake 9101, worker 9102, data checks 9103
    python -m observability worker       one of intake, worker, quality

Then, in another terminal, from the project's folder:

    prometheus --config.file=advanced_examples/monitoring/prometheus.yml \\
        --storage.tsdb.path=output/prometheus

--otlp http://127.0.0.1:4318 sends the traces to a collector there, such as Jaeger.
"""

import argparse
import asyncio
import json
import math
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import psycopg2

from course import connect
from course.errors import CourseError
from course.workspace import own_schema
from observability import logs, tracing
from observability.intake import Intake, serve
from observability.metrics import QualityMetrics
from observability.metrics import serve as serve_metrics
from observability.orders import TABLES, Namespace
from observability.processes import LISTENS, Service, running
from observability.worker import Worker

PORTS = {"intake": 9101, "worker": 9102, "quality": 9103}
DEMO = "observability_demo"
OFF_TERMINAL = 600.0  # seconds after which nobody is likely to look any more


def announce(service: str) -> Callable[[str], None]:
    """What tells whoever started the service where it listens."""
    return lambda url: print(f"The {service} {LISTENS}{url} (Ctrl-C ends it).", flush=True)


def ends_with_input(stop: Callable[[], object]) -> None:
    """Call `stop` when standard input ends: its other end belongs to whoever started us."""

    def wait() -> None:
        sys.stdin.buffer.read()
        stop()

    threading.Thread(target=wait, daemon=True).start()


def run_intake(options: argparse.Namespace) -> None:
    """The front door."""
    provider = tracing.start("intake", options.run_id, options.spans, collector=options.otlp)
    broker_url = connect.url("rabbitmq")

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        if options.end_with_input:
            ends_with_input(lambda: loop.call_soon_threadsafe(stop.set))
        intake = Intake(broker_url, Namespace(options.namespace), provider)
        await serve(intake, options.port, announce("intake"), stop)

    try:
        asyncio.run(main())
    finally:
        provider.shutdown()


def run_worker(options: argparse.Namespace) -> None:
    """The worker."""
    provider = tracing.start("worker", options.run_id, options.spans, collector=options.otlp)
    urls = connect.url("rabbitmq"), connect.url("postgres")
    worker = Worker(*urls, Namespace(options.namespace), provider)
    stop = threading.Event()
    if options.end_with_input:
        ends_with_input(stop.set)
    url, server = serve_metrics(worker.metrics.registry, options.port)
    announce("worker")(url)
    try:
        worker.run(stop)
    finally:
        server.shutdown()
        provider.shutdown()


def run_quality(options: argparse.Namespace) -> None:
    """The data checks, every few seconds; the planted problem, if any, stays."""
    from observability.checking import check_until  # pandas and SciPy: only who needs them waits

    metrics, stop = QualityMetrics(), threading.Event()
    if options.end_with_input:
        ends_with_input(stop.set)
    url, server = serve_metrics(metrics.registry, options.port)
    announce("quality")(url)
    try:
        check_until(stop, metrics, connect.url("postgres"), options.plant)
    finally:
        server.shutdown()


def run_demo(options: argparse.Namespace) -> None:
    """Everything, with two orders a second; one in twenty can't be processed."""
    connect.prepare(["postgres", "rabbitmq"])
    seconds = options.seconds or (math.inf if sys.stdin.isatty() else OFF_TERMINAL)
    with tempfile.TemporaryDirectory() as folder, own_schema(DEMO, TABLES):
        more = ("--otlp", options.otlp) if options.otlp else ()
        services = [
            Service(name, Path(folder), ("--port", str(port), "--namespace", DEMO,
                                         "--run-id", options.run_id, *more))
            for name, port in PORTS.items()
        ]  # fmt: skip
        with running(*services):
            for service in services:
                print(f"{service.name:8} {service.url}/metrics", flush=True)
            print("Two orders a second; Ctrl-C ends it.", flush=True)
            send_orders(services[0].url, seconds)


def send_orders(url: str, seconds: float) -> None:
    """Steady traffic for so long."""
    begin, number = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        number += 1
        total = "-1.00" if number % 20 == 0 else f"{10 + number % 90}.50"
        order = {"order_id": number, "channel": "web", "total": total}
        try:
            urlopen(f"{url}/orders", json.dumps(order).encode(), timeout=5).close()
        except (HTTPError, URLError, OSError) as error:
            logs.log.warning("order not accepted", order_id=number, reason=str(error))
        time.sleep(0.5)


def web_address(text: str) -> str:
    """Argument type: the base URL of a web server."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as http://127.0.0.1:4318")
    return text


RUN = {"demo": run_demo, "intake": run_intake, "worker": run_worker, "quality": run_quality}


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 at its end, 1 when the port is taken, 69 without a service, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m observability", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("service", nargs="?", choices=RUN, default="demo")
    parser.add_argument("--port", type=int, default=0, help="any free one when not given")
    parser.add_argument("--namespace", default=DEMO, help="schema, and beginning of queue names")
    parser.add_argument("--run-id", default=uuid.uuid4().hex[:12], help="stands in every log line")
    parser.add_argument("--spans", type=Path, default=Path(tempfile.gettempdir()) / "shop.spans")
    parser.add_argument("--otlp", type=web_address, metavar="URL", help="collector for the traces")
    parser.add_argument("--plant", help="spoil the data that are checked: dearer, frozen, …")
    parser.add_argument("--seconds", type=float, help="length of the demo (inf: no end)")
    parser.add_argument("--end-with-input", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    logs.start(options.service, options.run_id)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        RUN[options.service](options)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    except CourseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (OSError, RuntimeError, ValueError, psycopg2.Error) as error:
        print(f"The {options.service} ended: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
