"""Is what was just delivered alive? `python tests/smoke_test.py --url http://... --key KEY`.

Asks every route of a running service once, sends what must be refused, and measures how long one
prediction takes. Standard library only, so it runs wherever Python does. Exits 1 with the first
thing that is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

FLIGHT = {
    "route": "JFK-LAX", "airline": "AA", "departure_time": "2024-12-31T23:30:00Z",
    "aircraft_type": "A321", "weather_condition": "snow",
}  # fmt: skip
TIMED = 200  # predictions, one after another


class SmokeError(Exception):
    """The service isn't as it should be; the text says what was wrong."""


class Service:
    """A running service, asked over one connection."""

    def __init__(self, url: str, key: str) -> None:
        at = urlsplit(url)
        self.connection = HTTPConnection(at.hostname or "", at.port or 80, timeout=35)
        self.key = key

    def ask(self, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """Status and answer; text where it isn't JSON."""
        headers = {"X-API-Key": self.key if key is None else key}
        if body is not None:
            headers["Content-Type"] = "application/json"
        sent = None if body is None else json.dumps(body)
        self.connection.request("GET" if body is None else "POST", path, sent, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        is_json = (answer.headers.get("content-type") or "").startswith("application/json")
        return answer.status, json.loads(text) if is_json else text


def expect(
    status: int, service: Service, path: str, body: Any = None, key: str | None = None
) -> Any:
    """The answer, when its status is `status`."""
    got, answer = service.ask(path, body, key)
    if got != status:
        raise SmokeError(f"{path} answered {got}, not {status}: {str(answer)[:200]}")
    print(f"  {status}  {path}")
    return answer


def routes(service: Service) -> None:
    """Every route once, and what must be refused."""
    expect(200, service, "/health")
    ready = expect(200, service, "/ready")
    if ready["feature_store"] != "up":
        raise SmokeError(f"the feature store is {ready['feature_store']}: usual values stand in")
    version = expect(200, service, "/model-info")["version"]
    one = expect(200, service, "/predict", FLIGHT)
    many = expect(200, service, "/predict-batch", {"flights": [FLIGHT, FLIGHT]})["predictions"]
    why = expect(200, service, "/explain", FLIGHT)
    if not one["delay_minutes"] == many[0]["delay_minutes"] == why["delay_minutes"]:
        raise SmokeError(f"one flight, three answers: {one}, {many[0]}, {why}")
    if "flight_requests_total" not in expect(200, service, "/metrics"):
        raise SmokeError("/metrics counts no requests")
    expect(401, service, "/predict", FLIGHT, key="nobody's key")
    expect(400, service, "/predict", FLIGHT | {"route": "JFK-QQQ"})
    expect(422, service, "/predict", FLIGHT | {"airline": 7})
    print(f"Model {version} answers: {one['delay_minutes']} minutes.")


def latency(service: Service, most: float) -> None:
    """p99 of predictions asked one after another, in ms; SmokeError when it is over `most`."""
    took = []
    for _ in range(TIMED):
        began = time.perf_counter()
        status, answer = service.ask("/predict", FLIGHT)
        took.append((time.perf_counter() - began) * 1000)
        if status != 200:
            raise SmokeError(f"/predict answered {status}: {answer}")
    p99 = sorted(took)[int(TIMED * 0.99) - 1]
    print(f"p99 of {TIMED} predictions, one after another: {p99:.1f} ms (at most {most:g}).")
    if p99 > most:
        raise SmokeError(f"p99 is {p99:.1f} ms, over {most:g}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True, help="a running service")
    parser.add_argument("--key", default="demo-key", help="API key (%(default)s)")
    parser.add_argument("--p99", type=float, default=500.0, metavar="MS", help="(%(default)g)")
    options = parser.parse_args(argv)
    service = Service(options.url, options.key)
    try:
        routes(service)
        latency(service, options.p99)
    except SmokeError as error:
        print(f"Not as it should be: {error}", file=sys.stderr)
        return 1
    except (OSError, HTTPException) as error:
        print(f"{options.url} does not answer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
