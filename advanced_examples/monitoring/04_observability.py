"""Observability: know that the pipeline works, and where to look when it does not.

You will see an order pipeline of two processes tell about itself: metrics that are scraped, logs
with a run id, one trace across HTTP and a queue. Then it is killed and cut off, and says so. At
last the data themselves are watched, and a planted drift is caught on a page.

Run      python advanced_examples/monitoring/04_observability.py
Needs    PostgreSQL, RabbitMQ
Minutes  60
Next     advanced_examples/data_services/01_sqlalchemy_advanced.py
"""

import json
import random
import re
from contextlib import closing
from pathlib import Path

import numpy as np
from observability import dashboard, scrape, tracing
from observability.batches import history
from observability.checking import open_engine
from observability.data_parts import catching, data_checks, measures, too_much
from observability.metrics import SECONDS
from observability.orders import TABLES
from observability.processes import until
from observability.shop import RUN_ID, Shop, open_shop
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest

from course import connect
from course.lesson import Lesson, run
from course.workspace import own_schema

NAME = "monitoring_04"
HERE = Path(__file__).parent
RULES = (HERE / "alerts.yml").read_text(encoding="utf-8")


def page_of(registry: CollectorRegistry) -> dict[scrape.Series, float]:
    """What Prometheus would read from a registry."""
    return scrape.parse(generate_latest(registry).decode())


def kinds(lesson: Lesson) -> None:
    """Four kinds of metrics, and the question that each one answers.

    A counter only rises: orders, errors, bytes. Ask for its rate, never for its value. A gauge goes
    up and down: what waits, what is connected, when something happened last. A histogram counts
    observations into buckets, each with all smaller ones: how long, how large. A summary has a
    count and a sum here; in other languages it brings ready-made quantiles.

    /metrics is text, one line a series. Prometheus comes by and reads it: who is observed sends
    nothing and needs to know nothing. When a scrape fails, that is news too (`up` becomes 0).
    """
    registry = CollectorRegistry()
    orders = Counter("demo_orders", "Orders taken", registry=registry)
    waiting = Gauge("demo_waiting", "Orders in the queue", registry=registry)
    time = Histogram("demo_seconds", "Seconds", buckets=(0.1, 0.5), registry=registry)
    size = Summary("demo_lines", "Lines of an order", registry=registry)
    for seconds in (0.05, 0.07, 0.3, 0.9):
        orders.inc()
        time.observe(seconds)
        size.observe(3)
    waiting.set(7)
    waiting.dec(2)
    for line in generate_latest(registry).decode().splitlines():
        if not line.startswith("#") and "_created" not in line:
            lesson.console.line(f"  {line}", "dim")
    page = page_of(registry)
    lesson.check("a counter's name ends in _total", scrape.get(page, "demo_orders_total") == 4)
    with lesson.expected_error(ValueError):
        orders.inc(-1)
    lesson.check("a gauge went down", scrape.get(page, "demo_waiting") == 5)
    counts = list(scrape.buckets(page, "demo_seconds").values())
    lesson.check("each bucket holds the smaller ones too", counts == [2, 3, 4], f"{counts}")


def quantiles(lesson: Lesson) -> None:
    """Why a histogram and not a summary: quantiles can't be averaged.

    Two servers. The first answers 960 requests fast, the second 40 slowly. What is p95 of all? The
    mean of the two p95 is a number that nobody experienced. Buckets are counts: add them up, then
    ask. The price: the answer is as exact as the buckets are narrow. Choose them around the limit
    that you promised.
    """
    registry, dice = CollectorRegistry(), random.Random(4)
    time = Histogram("demo_seconds", "Seconds", ["server"], buckets=SECONDS, registry=registry)
    fast = [dice.uniform(0.01, 0.05) for _ in range(960)]
    slow = [dice.uniform(1.0, 2.0) for _ in range(40)]
    for server, values in (("a", fast), ("b", slow)):
        for value in values:
            time.labels(server).observe(value)
    truth = float(np.quantile(fast + slow, 0.95))
    averaged = float(np.mean([np.quantile(fast, 0.95), np.quantile(slow, 0.95)]))
    merged = scrape.quantile(0.95, scrape.buckets(page_of(registry), "demo_seconds"))
    rows = [("all requests", truth), ("mean of two p95", averaged), ("buckets added up", merged)]
    lesson.table([(what, f"{value:.3f}") for what, value in rows], ["p95 of", "seconds"])
    lesson.check("the mean of quantiles is wrong, by more than 10 times", averaged > 10 * truth)
    bounds = [b for b in SECONDS if b >= min(truth, merged)]
    lesson.check("added-up buckets: in the right bucket", max(truth, merged) <= bounds[1])


def cardinality(lesson: Lesson) -> None:
    """Labels: each combination of values is a series of its own, for ever.

    A label with a handful of values (status, outcome, route pattern) is what makes a metric useful.
    A label with the customer's number is a series for each customer, on each server, for weeks: it
    is how people bring Prometheus down. Put numbers of customers and orders into logs and traces.
    A label must have values that you could write on a sticky note.
    """
    sizes = {}
    for label, values in {"outcome": 3, "route": 20, "customer_id": 2_000}.items():
        registry = CollectorRegistry()
        time = Histogram("demo_seconds", "Seconds", [label], buckets=SECONDS, registry=registry)
        for value in range(values):
            time.labels(value).observe(0.1)
        page = generate_latest(registry)
        series = len([key for key in scrape.parse(page.decode()) if "_created" not in key[0]])
        sizes[label] = (values, series, len(page))
    rows = [(label, *map("{:,}".format, size)) for label, size in sizes.items()]
    lesson.table(rows, ["label", "values", "series", "bytes a scrape"])
    per_value = len(SECONDS) + 3  # the buckets, +Inf, sum and count
    grown = sizes["customer_id"][1] == 2_000 * per_value
    lesson.check(f"a histogram makes {per_value} series for each value", grown)
    lesson.check("one careless label: over 1 MB in each scrape", sizes["customer_id"][2] > 1e6)


def scraping(lesson: Lesson, shop: Shop) -> None:
    """A pipeline that is observed: look, let it work, look again.

    client → intake (HTTP) → RabbitMQ → worker → PostgreSQL. Both services run as processes of their
    own and serve /metrics. Twenty good orders, two that are no orders, one with an amount that the
    shop's rules forbid. A single value says little; the difference between two scrapes is the news.
    """
    before = shop.scrape()
    for number in range(1, 21):
        shop.order(number)
    answers = [shop.post("not an order"), shop.post({"order_id": 0}), shop.order(21, "-5.00")]
    shop.settle(21)
    moved = scrape.changes(before, shop.scrape())
    rows = [
        (name, ", ".join(f"{key}={value}" for key, value in labels), f"+{difference:.0f}")
        for (name, labels), difference in moved.items()
        if name in ("shop_intake_requests_total", "shop_orders_processed_total")
    ]
    lesson.table(sorted(rows), ["series", "labels", "change"])
    lesson.check("the intake refused two, with 400", answers == [400, 400, 202])
    good = scrape.get(moved, "shop_orders_processed_total", outcome="stored")
    lesson.check("counted and stored: 20", good == len(shop.rows()) == 20)
    counted = scrape.get(moved, "shop_order_seconds_count")
    lesson.check("a histogram counts what it measures: 21", counted == 21)


def restarting(lesson: Lesson, shop: Shop) -> None:
    """Killed: a counter begins at 0 again, and that is no problem.

    Metrics live in memory and die with the process. `rate` and `increase` know: a counter that
    falls has begun anew, so what it shows is what it rose by. What was counted after the last
    scrape is lost. Never bill customers by metrics: for that there are rows.
    """
    name, label = "shop_orders_processed_total", {"outcome": "stored"}
    seen = [scrape.get(shop.scrape(), name, **label)]
    shop.worker.kill()
    with lesson.expected_error(OSError):
        scrape.page(shop.worker.url)
    for number in range(31, 36):
        shop.order(number)
    shop.worker.start()
    shop.settle(5)
    seen.append(scrape.get(shop.scrape(), name, **label))
    lesson.table([("before", seen[0]), ("after", seen[1])], ["scrape", "orders stored"])
    lesson.check("the counter fell", seen[1] < seen[0])
    lesson.check("its increase is 5 all the same", scrape.increase(seen) == 5)
    lesson.check("no order was lost: they waited in the queue", len(shop.rows()) == 25)


def logging(lesson: Lesson, shop: Shop) -> None:
    """Structured logs: an event with fields, not a sentence to take apart later.

    Off a terminal each line is a JSON object, on one it is text in colours. `run_id` stands for
    this run of the whole pipeline and is bound once, at the start, in a context variable.
    `order_id` is bound for one order. asyncio gives every task a copy of the context, so two
    requests at the same time never mix. A new thread starts with nothing bound.
    """
    until(lambda: any(line.get("order_id") == 35 for line in shop.log(shop.worker)))
    lines = [*shop.log(shop.intake), *shop.log(shop.worker)]
    story = [line for line in lines if line.get("order_id") == 20]
    columns = ["service", "run_id", "order_id", "level", "event"]
    lesson.table([[line[column] for column in columns] for line in story], columns)
    lesson.check("every line carries the run id", {x["run_id"] for x in lines} == {RUN_ID})
    lesson.check("one order's story, from both", [x["service"] for x in story] ==
                 ["intake", "worker"])  # fmt: skip
    lesson.check("and one trace id in its lines", len({x["trace_id"] for x in story}) == 1)
    reasons = [x["reason"] for x in lines if x["event"] == "order dead"]
    lesson.check("the dead order's line says why", reasons == ["total -5.00 is not above 0"])


def tracing_one(lesson: Lesson, shop: Shop) -> None:
    """One trace across HTTP and a queue.

    The header `traceparent` carries the trace id and the caller's span id: in the HTTP request, and
    again in the message's headers. So spans of three programs become one tree. Metrics say that
    something is slow, the trace says where. To see it as a picture, start Jaeger and set
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318.
    """
    file = shop.folder / "client.spans"
    client = tracing.start("client", RUN_ID, file)
    with client.get_tracer("lesson").start_as_current_span("buy", kind=SpanKind.CLIENT) as span:
        header = tracing.headers()["traceparent"]
        shop.order(51)
    client.shutdown()  # spans wait in memory: a short program that just ends loses them
    trace = format(span.get_span_context().trace_id, "032x")

    def mine() -> list[tracing.Span]:
        return [each for each in shop.spans(file) if each.trace == trace]

    until(lambda: len(mine()) == 5)
    branches = list(tracing.tree(mine()))
    rows = [("  " * depth + each.name, each.service, each.kind) for depth, each in branches]
    lesson.table(rows, ["span", "service", "kind"])
    lesson.check("traceparent: version, trace, span, flags",
                 re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-0[13]", header))  # fmt: skip
    services = {each.service for each in mine()}
    lesson.check("one trace id in all three", services == {"client", "intake", "worker"})
    depths = [depth for depth, _ in branches]
    lesson.check("each span's parent is the one before", depths == [0, 1, 2, 3, 4])


def sampling(lesson: Lesson) -> None:
    """A trace for each request is too much: sample.

    The first service decides by the trace id and writes the decision into the flags; all others
    follow, so a trace is whole or not there at all. That keeps the ordinary ones. To keep all with
    an error, decide at the end, in a collector that has seen the whole trace (tail sampling).
    """
    dice, tenth = random.Random(4), TraceIdRatioBased(0.1)
    ids = [dice.getrandbits(128) for _ in range(10_000)]
    first = [tenth.should_sample(None, each, "buy").decision.is_sampled() for each in ids]
    again = [tenth.should_sample(None, each, "buy").decision.is_sampled() for each in ids]
    lesson.check("one in ten is kept", 900 < sum(first) < 1_100, f"{sum(first)} of 10,000")
    lesson.check("the same trace id, the same decision everywhere", first == again)


def cutting(lesson: Lesson, shop: Shop) -> None:
    """A neighbour goes away: the worker says so, and goes on.

    PostgreSQL ends the worker's connection, as a restart does. The order in hand goes back to the
    queue, the worker connects again, the order is stored once. The signals agree: the metric wakes
    somebody, the log names the neighbour and the reason.
    """
    name, label = "shop_worker_connections_lost_total", {"service": "postgres"}
    before = scrape.get(shop.scrape(), name, **label)
    kill = """
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s
    """
    with closing(connect.postgres()) as database, database, database.cursor() as cursor:
        cursor.execute(kill, (NAME,))
    shop.order(61)
    until(lambda: 61 in shop.rows())
    after = scrape.get(shop.scrape(), name, **label)
    lines = [x for x in shop.log(shop.worker) if x["event"] == "connection lost"]
    columns = ["service", "level", "event", "neighbour"]
    lesson.table([[line[column] for column in columns] for line in lines], columns)
    lesson.check("the metric says so", after - before == 1)
    lesson.check("the log says who", [x["neighbour"] for x in lines] == ["postgres"])
    connected = scrape.get(shop.scrape(), "shop_worker_connected", service="postgres")
    lesson.check("it is connected again, and the order is stored", connected == 1)


def alerting(lesson: Lesson, shop: Shop) -> None:
    """Alerts: a rule, a duration, and what to do.

    An alert is a question in PromQL. True: it is pending. Still true after `for`: it fires. False:
    it clears. Rules are code, so they have tests: `promtool test rules` plays invented series to
    them and compares. alerts_test.yml fires and clears every one.

    Too many alerts are worse than none: who gets fifty a day reads none of them. Alert on what
    users feel, let one alert name one thing to do, and delete those that nobody acted on.
    """
    alerts = re.findall(r"- alert: (\w+).*?for: (\w+)\s+labels: {severity: (\w+)}", RULES, re.S)
    lesson.table(alerts, ["alert", "true for", "severity"])
    lesson.check("every alert says what to do", RULES.count("description:") == len(alerts))
    tests = (HERE / "alerts_test.yml").read_text(encoding="utf-8")
    fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", tests))
    cleared = set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", tests))
    names = {name for name, *_ in alerts}
    lesson.check("every alert is tested firing and clear", fired == cleared == names)
    asked = {name for name in scrape.names_in([RULES]) if not name.startswith("shop_data_")}
    there = {name for name, _ in shop.scrape()}
    lesson.check("every pipeline metric they ask for exists", asked <= there, f"{len(asked)} names")


def looking(lesson: Lesson, shop: Shop) -> None:
    """A dashboard as code, and a real Prometheus.

    A dashboard answers questions from top to bottom: do users get what they want, do orders get
    through, are the data what they were? Ours is Python that writes Grafana's JSON, so a review
    sees what changed. With Docker, all of it (Prometheus on 9090, Grafana on 3000):

      docker compose --profile monitoring up -d --wait

    Without: start `python -m observability`, and where there is a `prometheus` (Debian and Ubuntu:
    the package of that name; others: prometheus.io/download):

      prometheus --config.file=advanced_examples/monitoring/prometheus.yml \\
        --storage.tsdb.path=output/prometheus
    """
    rows = [(title, len(panels)) for title, panels in dashboard.ROWS.items()]
    lesson.table(rows, ["question", "panels"])
    asked = {n for n in scrape.names_in(dashboard.queries()) if not n.startswith("shop_data_")}
    there = {name for name, _ in shop.scrape()}
    lesson.check(
        "every pipeline metric that it draws exists", asked <= there, f"{len(asked)} names"
    )
    written = json.loads(dashboard.FILE.read_text(encoding="utf-8"))
    lesson.check("the file is what the code writes", written == dashboard.dashboard())


def main(lesson: Lesson) -> None:
    """Kinds of metrics; the pipeline with its three signals; then the data themselves."""
    for part in (kinds, quantiles, cardinality):
        lesson.step(part, lesson)
    with own_schema(NAME, TABLES), open_shop(NAME) as shop:
        for part in (scraping, restarting, logging, tracing_one):
            lesson.step(part, lesson, shop)
        lesson.step(sampling, lesson)
        for part in (cutting, alerting, looking):
            lesson.step(part, lesson, shop)
    engine = open_engine(connect.url("postgres"))
    past = history(engine)
    engine.dispose()
    lesson.step(data_checks, lesson, past)
    lesson.step(measures, lesson)
    lesson.step(catching, lesson, past)
    lesson.step(too_much, lesson)


if __name__ == "__main__":
    run(main)
