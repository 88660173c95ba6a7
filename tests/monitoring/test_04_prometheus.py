"""A real Prometheus on the lesson's own config: what it scrapes, computes, fires and clears."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from observability import dashboard, scrape
from observability.processes import Service, until
from observability.shop import RUN_ID, Shop

from course import panels
from course.settings import ROOT
from course.stack.ports import any_free_port
from tests.monitoring.conftest import shop_of_a_test

MONITORING = ROOT / "advanced_examples" / "monitoring"
FASTER = {
    f"{name}: {usual}": f"{name}: 1s"
    for name, usual in (("scrape_interval", "5s"), ("scrape_timeout", "4s"),
                        ("evaluation_interval", "5s"))
}  # fmt: skip


@dataclass
class Prometheus:
    """A running Prometheus and what it watches."""

    url: str
    shop: Shop
    quality: Service

    def ask(self, path: str) -> dict:
        """The data of an answer of its HTTP API."""
        with urlopen(f"{self.url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[float]:
        """The values of an instant query, one for each series."""
        found = self.ask(f"query?query={quote(expression)}")["result"]
        return [float(series["value"][1]) for series in found]

    def alerts(self, name: str, state: str = "firing") -> list[dict]:
        """The labels of the alerts of this name that are in this state."""
        return [
            alert["labels"]
            for alert in self.ask("alerts")["alerts"]
            if alert["labels"]["alertname"] == name and alert["state"] == state
        ]


def config(folder: Path, addresses: dict[str, str]) -> Path:
    """The lesson's config and rules, made fast and pointed at other ports; nothing else differs."""
    text = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    for old, new in {**FASTER, **addresses}.items():
        assert old in text
        text = text.replace(old, new)
    rules = (MONITORING / "alerts.yml").read_text(encoding="utf-8")
    for minutes in ("1m", "2m", "5m"):
        rules = rules.replace(f"for: {minutes}\n", "for: 500ms\n")
    (folder / "alerts.yml").write_text(rules, encoding="utf-8")
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    return folder / "prometheus.yml"


@contextmanager
def prometheus(program: str, folder: Path, addresses: dict[str, str]) -> Iterator[str]:
    """Prometheus while the block runs; yields its URL."""
    address = f"127.0.0.1:{any_free_port()}"
    file = config(folder, {**addresses, "127.0.0.1:9090": address})
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [program, f"--config.file={file}", f"--web.listen-address={address}",
             f"--storage.tsdb.path={folder / 'data'}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: is_ready(f"http://{address}/-/ready"))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


def is_ready(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (HTTPError, OSError):
        return False


def on_one_port(service: Service) -> None:
    """Let a service that is started again listen where it did, so that it is found."""
    service.options = (*service.options, "--port", service.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def watched(
    service: Callable[[str], str], tool: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:  # fmt: skip
    """The pipeline with some traffic, the data checks with a planted drift, and Prometheus."""
    service("postgres")
    service("rabbitmq")
    program = tool("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    quality = Service("quality", folder, ("--plant", "dearer", "--run-id", RUN_ID))
    with ExitStack() as cleaning:
        # The data checks load pandas, which takes longest: meanwhile the others start.
        cleaning.callback(quality.stop)
        quality.launch()
        shop = cleaning.enter_context(shop_of_a_test())
        quality.wait()
        ports = {"9101": shop.intake, "9102": shop.worker, "9103": quality}
        addresses = {f"127.0.0.1:{old}": one.url.removeprefix("http://")
                     for old, one in ports.items()}  # fmt: skip
        on_one_port(shop.worker)
        url = cleaning.enter_context(prometheus(program, folder, addresses))
        found = Prometheus(url, shop, quality)
        until(lambda: found.query("sum(up)") == [4.0])
        for number in range(1, 31):
            shop.order(number, total="-1" if number % 5 == 0 else "9.90")
        shop.settle(30)
        until(lambda: found.query("sum(shop_orders_processed_total)") == [30.0])
        yield found


def test_every_target_answers(watched: Prometheus) -> None:
    targets = watched.ask("targets")["activeTargets"]
    assert {target["labels"]["job"]: target["health"] for target in targets} == {
        "intake": "up", "worker": "up", "quality": "up", "prometheus": "up",
    }  # fmt: skip


def test_it_reads_what_we_read(watched: Prometheus) -> None:
    for outcome, count in {"stored": 24.0, "dead": 6.0, "duplicate": 0.0}.items():
        ours = scrape.get(watched.shop.scrape(), "shop_orders_processed_total", outcome=outcome)
        theirs = watched.query(f'shop_orders_processed_total{{outcome="{outcome}"}}')
        assert [ours] == theirs == [count]


@pytest.mark.parametrize("query", dashboard.queries())
def test_every_query_of_the_dashboard_returns_a_series(watched: Prometheus, query: str) -> None:
    expression = query.replace(panels.WINDOW, "5m")

    def finite() -> list[float]:
        return [value for value in watched.query(expression) if value == value]

    until(lambda: bool(finite()), 15)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", ["shop_order_seconds", "shop_intake_seconds"])
def test_our_quantile_is_prometheus_quantile(watched: Prometheus, name: str, share: float) -> None:
    ours = scrape.quantile(share, scrape.buckets(watched.shop.scrape(), name))
    until(lambda: watched.query(f"max({name}_count)") == [
        max(v for (n, _), v in watched.shop.scrape().items() if n == f"{name}_count")])  # fmt: skip
    theirs = watched.query(f"histogram_quantile({share}, sum by (le) ({name}_bucket))")
    assert theirs == [pytest.approx(ours)]


def test_the_planted_drift_fires_with_its_column_and_clears_when_it_is_mended(
    watched: Prometheus,
) -> None:
    until(lambda: bool(watched.alerts("DataDrifted")))
    (labels,) = watched.alerts("DataDrifted")
    assert (labels["column"], labels["severity"]) == ("total", "critical")
    watched.quality.stop()
    plain = ("--run-id", RUN_ID, "--port", watched.quality.url.rpartition(":")[2])
    watched.quality.options = plain
    watched.quality.start()
    until(lambda: not watched.alerts("DataDrifted") and watched.query('up{job="quality"}') == [1])
    assert watched.query("shop_data_psi > 0.1") == []


def test_dead_orders_fire_an_alert_and_clean_data_none(watched: Prometheus) -> None:
    until(lambda: bool(watched.alerts("OrdersDie")))
    for name in ("DataStale", "DataVolumeLow", "DataNullsHigh", "IntakeBurnsItsErrorBudget"):
        assert watched.alerts(name) == []


@pytest.mark.faults
def test_a_killed_worker_fires_and_clears_and_its_counter_still_increases(
    watched: Prometheus,
) -> None:
    watched.shop.worker.kill()
    until(lambda: "worker" in [labels["job"] for labels in watched.alerts("TargetDown")])
    for number in range(101, 106):
        assert watched.shop.order(number) == 202
    watched.shop.worker.start()
    until(lambda: "worker" not in [labels["job"] for labels in watched.alerts("TargetDown")])
    stored = 'shop_orders_processed_total{outcome="stored"}'
    until(lambda: watched.query(stored) == [5.0])
    assert watched.query(f"resets({stored}[5m])") == [1.0]
    assert watched.query(f"increase({stored}[5m])")[0] >= 5
