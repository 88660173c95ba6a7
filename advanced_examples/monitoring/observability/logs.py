"""Structured logs: one JSON object a line off a terminal, colours on one, and a run id in each.

    logs.start("worker", run_id)
    with bound_contextvars(order_id=7):
        log.info("order stored", total="12.50")

`bound_contextvars` is structlog's: what is bound goes into every line of this task and of tasks
that it starts, and of no other. A new *thread* starts with nothing bound.
"""

import logging
import sys
from typing import IO

import structlog
from opentelemetry import trace
from structlog.contextvars import bind_contextvars, merge_contextvars
from structlog.typing import EventDict, WrappedLogger

log = structlog.stdlib.get_logger("shop")


def add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Name the trace and span that are under way, so that a line leads to its trace."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
        event["span_id"] = trace.format_span_id(span.span_id)
    return event


def start(service: str, run_id: str, stream: IO[str] | None = None, level: str = "INFO") -> None:
    """Send this program's logs, and those of its libraries, to `stream` (standard error).

    Every line carries `service` and `run_id`, which stands for one run of the whole pipeline.
    """
    stream = stream or sys.stderr
    for_people = stream.isatty()
    shared = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace,
    ]
    render = (
        [structlog.dev.ConsoleRenderer()]
        if for_people
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    # Libraries log with the standard library: the same formatter makes JSON of their lines too.
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level="WARNING", force=True)
    logging.captureWarnings(True)  # Python's warnings as well: no line may be anything but JSON
    logging.getLogger("shop").setLevel(level)
    for library in ("pika", "aio_pika", "aiormq", "opentelemetry"):
        logging.getLogger(library).setLevel("CRITICAL")  # a lost connection is told once, by us
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    bind_contextvars(service=service, run_id=run_id)
