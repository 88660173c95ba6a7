"""What watches the drill: the project's exporter, and Prometheus with the project's alert rules."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from src.monitoring.drift import CRITICAL
from src.monitoring.rules import FILE, shortened
from src.paths import PROJECT

# A simulated day takes about half a second: what must last for five minutes may last for 1.5 s.
FACTOR = 200.0
FASTER = {"15s": "250ms", "10s": "250ms"}
FEWEST_JUDGED, LEAST_ACCURACY = 100, 0.75
PATIENCE = 30.0
SEEN = "origin_visibility"  # what the dust takes


class Figures(NamedTuple):
    """What the exporter says: of the version that answers, and of all; None where it can't yet."""

    accuracy: float | None
    mae: float | None
    judged: int
    psi: float | None
    landed: int


class Watcher:
    """Reads the exporter at `exporter`, and the alerts of Prometheus at `prometheus` if there."""

    def __init__(self, exporter: str, prometheus: str | None) -> None:
        self.exporter, self.prometheus = exporter, prometheus

    def figures(self, version: str) -> Figures:
        """The exporter's figures now."""
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(fetch(f"{self.exporter}/metrics")):
            for sample in family.samples:
                labels = sample.labels
                mine = labels.get("by") == "all" and labels["version"] == version
                if mine or labels.get("input") == SEEN or sample.name == "flight_landed_total":
                    found[sample.name] = sample.value
        return Figures(
            found.get("flight_accuracy"),
            found.get("flight_mae_minutes"),
            int(found.get("flight_judged_flights", 0)),
            found.get("flight_drift_psi"),
            int(found.get("flight_landed_total", 0)),
        )

    def caught_up(self, version: str, told: int) -> Figures:
        """The figures once the exporter has seen all `told` landings.

        Raises:
            TimeoutError: it doesn't.
        """
        deadline = time.monotonic() + PATIENCE
        while (found := self.figures(version)).landed < told:
            if time.monotonic() > deadline:
                raise TimeoutError(f"The exporter has seen {found.landed} of {told} landings.")
            time.sleep(0.05)
        return found

    def alerts(self, figures: Figures) -> set[str]:
        """The alerts that fire, without mere news; by the figures alone without Prometheus."""
        if self.prometheus is None:
            return by_figures(figures)
        answer = json.loads(fetch(f"{self.prometheus}/api/v1/alerts"))["data"]["alerts"]
        return {
            one["labels"]["alertname"]
            for one in answer
            if one["state"] == "firing" and one["labels"]["severity"] != "info"
        }


def by_figures(figures: Figures) -> set[str]:
    """The two alerts of the drill, by the limits of monitoring/alerts.yml."""
    alerts = set()
    low = figures.accuracy is not None and figures.accuracy < LEAST_ACCURACY
    if low and figures.judged >= FEWEST_JUDGED:
        alerts.add("FlightAccuracyLow")
    if figures.psi is not None and figures.psi > CRITICAL:
        alerts.add("FlightDriftCritical")
    return alerts


@contextmanager
def prometheus(folder: Path, service: str, exporter: str) -> Iterator[str | None]:
    """Prometheus on the project's configuration, with shorter windows; None where there is none."""
    program = shutil.which("prometheus")
    if program is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    text = (PROJECT / "monitoring" / "prometheus.yml").read_text(encoding="utf-8")
    places = {"127.0.0.1:9696": service[7:], "127.0.0.1:9697": exporter[7:]}
    for old, new in (FASTER | places).items():
        text = text.replace(old, new)
    text = re.sub(r"(?ms)^alerting:.*?(?=^\S)", "", text)  # nobody is to be woken by a drill
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    rules = shortened(FILE.read_text(encoding="utf-8"), FACTOR)
    (folder / "alerts.yml").write_text(rules, encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [
        program, f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until_ready(process, f"http://{address}", folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """RuntimeError with its last words when Prometheus ends, or isn't ready in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            fetch(f"{url}/-/ready")
        except OSError:
            time.sleep(0.1)
        else:
            return
    last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    raise RuntimeError(f"Prometheus did not start:\n{last}")


def free_port() -> int:
    """A port that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        return int(place.getsockname()[1])


def fetch(url: str) -> str:
    """What is there; OSError when nobody answers."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())
