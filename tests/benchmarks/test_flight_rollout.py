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
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.test_flight_delays import load
from tests.flights.flight_service import running, stocked

Measure = Callable[..., None]
ROUNDS, SECONDS, RATE = 5, 2, 200
WAYS = ("direct", "nginx", "router")
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
def nginx(folder: Path, service: str) -> Iterator[str]:
    """The URL of an nginx in front of `service`; skips where there is none."""
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
        yield f"http://127.0.0.1:{port}"
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


@pytest.fixture(scope="module")
def ways(
    service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, list[dict[str, Any]]]]]:
    """What the load client measured of each way, as fast as it goes and at a fixed rate."""
    folder = tmp_path_factory.mktemp("rollout")
    found: dict[str, dict[str, list[dict[str, Any]]]] = {
        way: {"fast": [], "paced": []} for way in WAYS
    }
    with ExitStack() as ends:
        given = ends.enter_context(stocked(service("redis"), folder / "models", trees=200))
        api = ends.enter_context(running(folder / "api", "-m", "src.api", "--port", "0", **given))
        front = ["-m", "src.rollout.router", "--port", "0", "--stable", api, "--share", "0.1"]
        # The same process by another name: a second one would take a core from both ways.
        front += ["--candidate", api.replace("127.0.0.1", "localhost")]
        router = ends.enter_context(running(folder / "router", *front, **given))
        peer = ends.enter_context(nginx(folder, api))
        urls = dict(zip(WAYS, (api, peer, router), strict=True))
        for url in urls.values():
            load(url, 1)
        for _ in range(ROUNDS):
            for way, url in urls.items():
                found[way]["fast"].append(load(url, SECONDS))
                found[way]["paced"].append(load(url, SECONDS, "--rps", str(RATE)))
        yield found


def median(results: list[dict[str, Any]], figure: str) -> float:
    return statistics.median(result[figure] for result in results)


def test_what_the_router_costs_in_requests_a_second(
    measured: Measure, ways: dict[str, dict[str, list[dict[str, Any]]]]
) -> None:
    direct, peer, ours = (median(ways[way]["fast"], "rate") for way in WAYS)
    says = f"router {ours:,.0f}/s, nginx {peer:,.0f}/s, direct {direct:,.0f}/s, 32 connections"
    measured("flights through the router over through nginx", ours / peer, 0.3, "higher", says)


def test_what_the_router_costs_in_milliseconds(
    measured: Measure, ways: dict[str, dict[str, list[dict[str, Any]]]]
) -> None:
    p50, p99 = ([median(ways[way]["paced"], name) for way in WAYS] for name in ("p50", "p99"))
    middle = ", ".join(f"{way} {one:.2f}" for way, one in zip(WAYS, p50, strict=True))
    says = f"p99 router {p99[2]:.2f} ms, nginx {p99[1]:.2f}, direct {p99[0]:.2f}; p50 {middle}"
    measured(f"p99 at {RATE}/s, router over nginx", p99[2] / p99[1], 4, "lower", says)
