"""What the router in front of the flights' service costs, beside nginx that splits the traffic.

The same service behind both, asked directly and through each in turn, by a client in a process of
its own. nginx has one worker, as the router has, and keeps its connections open. It deals requests
by a hash of their body, but knows no flight ids, no fail-over by answer, and no evidence: it is the
floor of what forwarding costs, no substitute.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.benchmarks.test_flight_delays import load
from tests.flights.flight_service import started, stocked

Measure = Callable[..., None]
ROUNDS, SECONDS, RATE = 4, 2, 200
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  split_clients "$request_body" $side {{ 10% candidate; * stable; }}
  upstream stable {{ server {service}; keepalive 64; }}
  upstream candidate {{ server {service}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://$side; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, service: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An nginx in front of `service`: its URL and process; skips where there is none."""
    command = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if command is None:
        pytest.skip("the peer is nginx: apt-get install nginx-light, brew install nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = folder / "nginx.conf"
    text = NGINX.format(folder=folder, port=port, service=service.removeprefix("http://"))
    file.write_text(text, encoding="utf-8")
    folder.chmod(0o777)  # started by root it works as another user
    process = subprocess.Popen(
        [command, "-c", str(file), "-p", str(folder)], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int) -> None:
    """Until somebody listens on `port`."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}")


@dataclass
class Way:
    """One way to the service: where, by which process, and what was measured of it."""

    url: str
    process: psutil.Process
    answers: int = 0
    cpu: float = 0.0  # seconds of its process for these answers
    paced: list[dict[str, Any]] = field(default_factory=list)

    def seconds(self) -> float:
        """Processor time of the process and its children so far."""
        times = [one.cpu_times() for one in (self.process, *self.process.children())]
        return sum(each.user + each.system for each in times)

    def measure(self) -> None:
        """As fast as it goes, then at a fixed rate."""
        before = self.seconds()
        self.answers += load(self.url, SECONDS)["answers"]
        self.cpu += self.seconds() - before
        self.paced.append(load(self.url, SECONDS, "--rps", str(RATE)))

    @property
    def each(self) -> float:
        """Milliseconds of processor time for a request."""
        return 1000 * self.cpu / self.answers

    def median(self, figure: str) -> float:
        return statistics.median(result[figure] for result in self.paced)


@pytest.fixture(scope="module")
def ways(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Way, Way, Way]]:
    """The service asked directly, through nginx and through the router."""
    folder = tmp_path_factory.mktemp("rollout")
    with ExitStack() as ends:
        given = ends.enter_context(stocked(service("redis"), folder / "models", trees=200))
        api = ends.enter_context(started(folder / "api", "-m", "src.api", "--port", "0", **given))
        front = ["-m", "src.rollout.router", "--port", "0", "--stable", api[0], "--share", "0.1"]
        # The same process by another name: a second one would take a core from both ways.
        front += ["--candidate", api[0].replace("127.0.0.1", "localhost")]
        router = ends.enter_context(started(folder / "router", *front, **given))
        peer = ends.enter_context(nginx(folder, api[0]))
        found = [Way(url, psutil.Process(process.pid)) for url, process in (api, peer, router)]
        for way in found:
            load(way.url, 1)
        for _ in range(ROUNDS):
            for way in found:
                way.measure()
        yield found[0], found[1], found[2]


def test_what_the_router_costs_the_processor(measured: Measure, ways: tuple[Way, Way, Way]) -> None:
    """Processor time: who else runs on this machine changes it little."""
    direct, peer, ours = ways
    says = f"a request costs the router {ours.each:.2f} ms, nginx {peer.each:.2f}, " \
           f"the service itself {direct.each:.2f}"  # fmt: skip
    measured("the router's work over the service's", ours.each / direct.each, 1.2, "lower", says)


def test_what_the_router_costs_in_milliseconds(
    measured: Measure, ways: tuple[Way, Way, Way]
) -> None:
    p50, p99 = ([way.median(name) for way in ways] for name in ("p50", "p99"))
    says = f"p99 router {p99[2]:.1f} ms, nginx {p99[1]:.1f}, direct {p99[0]:.1f}; " \
           f"p50 {p50[2]:.2f}, {p50[1]:.2f}, {p50[0]:.2f}"  # fmt: skip
    measured(f"p99 at {RATE}/s, router over nginx", p99[2] / p99[1], 4, "lower", says)
