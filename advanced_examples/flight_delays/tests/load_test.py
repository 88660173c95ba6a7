"""Load for the service: `python tests/load_test.py --duration 2m --rps 100`.

With `--rps` the load is open loop: requests leave at fixed times whether or not earlier ones were
answered, as real users' do, and the time counts from when a request was due. Without `--rps` it is
closed loop: each of `--connections` sends the next request when it has its answer, as fast as that
goes. Without `--url` the test starts a service of its own, without a limit for each key.

It speaks just enough HTTP/1.1 on kept-open connections to be much cheaper than the server, since a
slow client measures itself. Exits 1 when any answer was not 200.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from src.service.process import service
from src.simulation.network import CARRIERS, ROUTES
from src.simulation.schedule import tail_number

SEED = 7
LAST_HOUR = datetime(2024, 12, 31, 23, tzinfo=UTC)  # of the simulated flights
FLEET = 8  # aircraft of an airline that requests name: about as many as the largest have
UNLIMITED = {"FLIGHTS_REQUESTS_PER_MINUTE": "1000000000"}
# What the capstone's text promises at 500 requests a second, on other machines than yours.
PROMISED = {"p50": 45.0, "p95": 120.0, "p99": 250.0}
MOST_CONNECTIONS = 512
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Connection(NamedTuple):
    """One kept-open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Load:
    """Connections to one server, and what came of the requests on them."""

    def __init__(self, url: str, requests: list[bytes]) -> None:
        at = urlsplit(url)
        self.host, self.port = at.hostname or "127.0.0.1", at.port or 80
        self.requests = requests
        self.chance = random.Random(SEED)
        self.milliseconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.first_bad = ""
        self.idle: list[Connection] = []
        self._open = 0

    async def send(self, due: float) -> None:
        """One request; its time counts from `due`. What goes wrong is counted, not raised."""
        connection = None
        try:
            if not self.idle and self._open >= MOST_CONNECTIONS:
                raise ConnectionError(f"{MOST_CONNECTIONS} requests wait for an answer")
            connection = self.idle.pop() if self.idle else await self.connect()
            head, body = await exchange(connection, self.chance.choice(self.requests))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.statuses[type(error).__name__] += 1
            self.first_bad = self.first_bad or str(error)
            if connection is not None:  # what broke isn't used again
                connection.writer.close()
                self._open -= 1
            return
        self.milliseconds.append((time.perf_counter() - due) * 1000)
        status = head[9:12].decode()
        self.statuses[status] += 1
        if status != "200":
            self.first_bad = self.first_bad or body.decode(errors="replace")
        self.idle.append(connection)

    async def connect(self) -> Connection:
        """Another connection; OSError when nothing listens."""
        made = Connection(*await asyncio.open_connection(self.host, self.port))
        self._open += 1
        return made

    async def closed_loop(self, connections: int, seconds: float) -> None:
        """As fast as `connections` get their answers."""
        end = time.perf_counter() + seconds

        async def one_after_another() -> None:
            while (now := time.perf_counter()) < end:
                await self.send(now)

        await asyncio.gather(*(one_after_another() for _ in range(connections)))

    async def open_loop(self, rate: float, seconds: float) -> None:
        """`rate` requests a second at even distances, whatever the answers do."""
        loop, under_way = asyncio.get_running_loop(), set()

        def begin(due: float) -> None:
            task = loop.create_task(self.send(due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

        await asyncio.to_thread(pace, loop, begin, rate, seconds)
        await asyncio.sleep(0)  # the last ones begin
        while under_way:
            await asyncio.wait(under_way)

    def result(self, elapsed: float) -> dict[str, object]:
        """What was measured: milliseconds, requests a second, answers by status."""
        ranked = sorted(self.milliseconds) or [float("nan")]
        shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
        named = {n: ranked[min(len(ranked) - 1, int(len(ranked) * s))] for n, s in shares.items()}
        total = sum(self.statuses.values())
        return {
            **named, "slowest": ranked[-1], "rate": self.statuses["200"] / elapsed,
            "answers": total, "bad": total - self.statuses["200"],
            "statuses": dict(self.statuses), "first_bad": self.first_bad,
        }  # fmt: skip


def pace(loop: asyncio.AbstractEventLoop, begin: object, rate: float, seconds: float) -> None:
    """Let `begin` run in the loop at each due time.

    In a thread, since an event loop's timers are only good to a millisecond.
    """
    start = time.perf_counter() + 0.1
    for number in range(round(rate * seconds)):
        due = start + number / rate
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        loop.call_soon_threadsafe(begin, due)


async def exchange(connection: Connection, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer to `request`."""
    connection.writer.write(request)
    head = await connection.reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return head, await connection.reader.readexactly(length)


def predictions(key: str, count: int = 500) -> list[bytes]:
    """Requests for `count` different flights."""
    chance = random.Random(SEED)
    made = []
    for _ in range(count):
        airline = chance.choice(list(CARRIERS))
        departure = LAST_HOUR + timedelta(minutes=chance.randint(5, 115))
        flight = {
            "route": chance.choice(ROUTES),
            "airline": airline,
            "departure_time": departure.isoformat(),
            "aircraft_type": chance.choice(CARRIERS[airline].fleet),
            "weather_condition": chance.choice(("clear", "rain", "snow", "fog")),
            "tail_number": tail_number(airline, chance.randrange(FLEET)),
        }
        body = json.dumps(flight).encode()
        head = (
            f"POST /predict HTTP/1.1\r\nHost: test\r\nX-API-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


async def measure(load: Load, options: argparse.Namespace) -> dict[str, object]:
    """Run the load; OSError when nothing listens at all."""
    load.idle.append(await load.connect())
    began = time.perf_counter()
    if options.rps:
        await load.open_loop(options.rps, options.duration)
    else:
        await load.closed_loop(options.connections, options.duration)
    return load.result(time.perf_counter() - began)


def told(result: dict[str, object], options: argparse.Namespace) -> str:
    """The result for people."""
    kind = f"{options.rps:g} requests a second, open loop" if options.rps else (
        f"{options.connections} connections, closed loop")  # fmt: skip
    lines = [f"{kind}, {options.duration:g} s: {result['answers']} answers, "
             f"{result['rate']:.0f} good ones a second"]  # fmt: skip
    for name, promised in PROMISED.items():
        lines.append(f"  {name} {result[name]:8.2f} ms   (course text, at 500/s: {promised:g} ms)")
    lines.append(f"  slowest {result['slowest']:5.1f} ms")
    lines.append(f"  by status: {result['statuses']}")
    if result["bad"]:
        lines.append(f"  {result['bad']} answers were not 200, the first: {result['first_bad']}")
        if "429" in result["statuses"]:
            lines.append("  429 is the limit for each key: start the service with a higher "
                         "FLIGHTS_REQUESTS_PER_MINUTE, or leave --url out.")  # fmt: skip
    return "\n".join(lines)


def duration(text: str) -> float:
    """Seconds in `90`, `30s`, `2m` or `1h`."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    seconds = float(number) * UNITS[unit]
    if not 0 < seconds < float("inf"):
        raise ValueError("not a duration")
    return seconds


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--duration", type=duration, default=10.0, help="30s, 2m (default: 10s)")
    parser.add_argument("--rps", type=float, help="requests a second (default: closed loop)")
    parser.add_argument("--connections", type=int, default=32, help="closed loop (%(default)s)")
    parser.add_argument("--url", help="a running service (default: start one)")
    parser.add_argument("--key", default="demo-key", help="API key (%(default)s)")
    parser.add_argument("--get", metavar="PATH", help="ask for PATH instead of predictions")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    options = arguments(argv)
    simple = f"GET {options.get} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    with ExitStack() as ends:
        url = options.url or ends.enter_context(service(UNLIMITED)).url
        load = Load(url, [simple] if options.get else predictions(options.key))
        result = run(measure(load, options))
    print(json.dumps(result) if options.json else told(result, options))
    return 1 if result["bad"] or not result["answers"] else 0


def run(coroutine: object) -> dict[str, object]:
    """`asyncio.run`, on uvloop where there is one: a slow client measures itself."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, RuntimeError) as error:
        sys.exit(f"No load test: {error}")
