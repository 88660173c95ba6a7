"""What a run counts: the summary for people, the same figures for Prometheus."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import prometheus_client as prometheus

from async_etl.breaker import State

STATES = (State.CLOSED, State.HALF_OPEN, State.OPEN)
SHOWN = 50  # refusals of a replay, one by one; the table has them all
BUCKETS = (0.005, 0.02, 0.1, 0.5, 2, 10)


class Meters:
    """The pipeline's Prometheus metrics, in a registry of their own.

    Counters only grow, over all runs of the process; gauges tell how it is now.
    """

    def __init__(self) -> None:
        own = self.registry = prometheus.CollectorRegistry()
        self.records = prometheus.Counter(
            "etl_records", "Records by outcome.", ["outcome"], registry=own
        )
        self.rejections = prometheus.Counter(
            "etl_rejections", "Refused records by kind and field.", ["kind", "field"], registry=own
        )
        self.requests = prometheus.Counter(
            "etl_requests", "Attempts by source and result.", ["source", "result"], registry=own
        )
        self.stage_seconds = prometheus.Histogram(
            "etl_stage_seconds",
            "Time of one piece of work in a stage.",
            ["stage"],
            buckets=BUCKETS,
            registry=own,
        )
        self.queue = prometheus.Gauge(
            "etl_queue_waiting", "Pieces that wait before a stage.", ["stage"], registry=own
        )
        self.breaker = prometheus.Gauge(
            "etl_breaker_state", "0 closed, 1 half-open, 2 open.", ["source"], registry=own
        )
        self.finished = prometheus.Gauge(
            "etl_last_complete_run_timestamp_seconds", "When a run was last complete (Unix time).",
            registry=own)  # fmt: skip

    def serve(self, port: int) -> Callable[[], None]:
        """Answer scrapes at http://127.0.0.1:`port`/metrics; returns what ends that."""
        server, thread = prometheus.start_http_server(port, "127.0.0.1", registry=self.registry)

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return end

    def write(self, path: str) -> None:
        """Write all metrics to a file, for node_exporter: a short job is gone when one scrapes."""
        prometheus.write_to_textfile(path, self.registry)


@dataclass
class Metrics:
    """The account of one run. It balances: `extracted` is the sum of the three outcomes."""

    meters: Meters = field(default_factory=Meters, repr=False)
    run_id: str = ""
    extracted: int = 0
    transformed: int = 0
    loaded: int = 0
    deduplicated: int = 0
    quarantined: int = 0
    retried: int = 0
    duration_seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    still_refused: list[str] = field(default_factory=list)  # by a replay, the first ones
    reasons: Counter[str] = field(default_factory=Counter)
    breakers: dict[str, str] = field(default_factory=dict)
    times_opened: Counter[str] = field(default_factory=Counter)
    most_waiting: Counter[str] = field(default_factory=Counter)
    timeline: list[tuple[float, int, int, int]] = field(default_factory=list, repr=False)
    _began: float = field(default_factory=time.monotonic, repr=False)

    @property
    def balanced(self) -> bool:
        """Whether every record that came in went somewhere."""
        return self.extracted == self.loaded + self.quarantined + self.deduplicated

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for came."""
        return not self.errors

    def count(self, outcome: str, number: int) -> None:
        """Add to one of the figures of the account."""
        setattr(self, outcome, getattr(self, outcome) + number)
        self.meters.records.labels(outcome).inc(number)
        done = self.loaded + self.deduplicated + self.quarantined
        self.timeline.append((self.elapsed(), self.extracted, self.transformed, done))

    def waiting(self, stage: str, number: int) -> None:
        """So many pieces wait before `stage`."""
        self.meters.queue.labels(stage).set(number)
        self.most_waiting[stage] = max(self.most_waiting[stage], number)

    def breaker(self, source: str, state: State, opened: int) -> None:
        """The breaker of `source` is in this state, and has opened so often."""
        self.breakers[source] = state.value
        self.times_opened[source] = opened
        self.meters.breaker.labels(source).set(STATES.index(state))

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def summary(self) -> dict[str, object]:
        """The figures by the names that people see."""
        return {
            "records_extracted": self.extracted,
            "records_transformed": self.transformed,
            "records_loaded": self.loaded,
            "deduplicated": self.deduplicated,
            "quarantined": self.quarantined,
            "errors": len(self.errors),
            "retried": self.retried,
            "breakers": ", ".join(f"{name} {state}" for name, state in self.breakers.items()),
            "duration_seconds": round(self.duration_seconds, 1),
        }

    def print_summary(self) -> None:
        """Print the account of the run, one figure a line, and what could not be had."""
        for name, value in self.summary().items():
            print(f"{name}: {value}")
        for error in self.errors:
            print(f"  not extracted: {error}")
        for refusal in self.still_refused:
            print(f"  still refused: {refusal}")
        if self.still_refused and self.quarantined > len(self.still_refused):
            print(f"  and {self.quarantined - len(self.still_refused)} more")
