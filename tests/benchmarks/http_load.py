"""A load client in a process of its own: `python -m tests.benchmarks.http_load …`.

It speaks just enough HTTP/1.1 on kept-open connections to be much cheaper than the server, since
a slow client measures itself. Prints one JSON object: answers a second, p50 and p99 in ms, how
many answers were not 200, and milliseconds by store from the Server-Timing headers.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

STORES = re.compile(rb"(\w+);dur=([\d.]+)")


class Load:
    """Connections that ask for `paths`, and what came of it."""

    def __init__(self, port: int, paths: list[str], key: str) -> None:
        self.port = port
        text = "GET {} HTTP/1.1\r\nHost: test\r\nX-API-Key: {}\r\n\r\n"
        self.requests = [text.format(path, key).encode() for path in paths]
        self.seconds: list[float] = []
        self.stores: dict[str, list[float]] = defaultdict(list)
        self.bad = 0

    def random_ones(self, number: int, end: float) -> Iterator[bytes]:
        """Random requests until `end`; `number` is the seed."""
        chance = random.Random(number)
        while time.perf_counter() < end:
            yield chance.choice(self.requests)

    async def connection(self, requests: Iterator[bytes]) -> None:
        """Send one request after another on one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for request in requests:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            self.seconds.append(time.perf_counter() - began)
            self.bad += not head.startswith(b"HTTP/1.1 200")
            for store, milliseconds in STORES.findall(head):
                self.stores[store.decode()].append(float(milliseconds))
        writer.close()

    def result(self, elapsed: float) -> dict[str, object]:
        """What was measured."""
        stores = {name: sum(values) / len(values) for name, values in self.stores.items()}
        return {
            "rate": len(self.seconds) / elapsed,
            "p50": percentile(self.seconds, 0.50) * 1000,
            "p99": percentile(self.seconds, 0.99) * 1000,
            "bad": self.bad,
            "answers": len(self.seconds),
            "stores": stores,
        }


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


async def main(options: argparse.Namespace) -> None:
    """Run the load and print what came out."""
    load = Load(options.port, options.paths, options.key)
    began = time.perf_counter()
    end = began + options.seconds
    shared = iter(load.requests)
    await asyncio.gather(*(
        load.connection(shared if options.once else load.random_ones(number, end))
        for number in range(options.connections)
    ))  # fmt: skip
    print(json.dumps(load.result(time.perf_counter() - began)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--key", default="none")
    parser.add_argument("--once", action="store_true", help="each path once, however long it takes")
    if sys.platform == "win32":
        asyncio.run(main(parser.parse_args()))
    else:
        import uvloop

        uvloop.run(main(parser.parse_args()))
