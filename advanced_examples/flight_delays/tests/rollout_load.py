"""Steady traffic of named flights until standard input closes; then the result as JSON.

    python tests/rollout_load.py --url http://127.0.0.1:9695 --rps 200 --flights 2000

The flights are called LOAD-0, LOAD-1 and so on, so that their truth can be told. Open loop as
load_test.py has it, or with --connections in closed loop: then exactly so many requests are under
way at any moment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

from load_test import Load, pace, predictions, run

PIECE = 1.0  # seconds
MOST_UNDER_WAY = 48


def named(requests: list[bytes]) -> list[bytes]:
    """The same requests, each of a flight with a name."""
    made = []
    for number, request in enumerate(requests):
        head, _, body = request.partition(b"\r\n\r\n")
        flight = json.dumps(json.loads(body) | {"flight_id": f"LOAD-{number}"}).encode()
        old, new = (f"Content-Length: {len(text)}".encode() for text in (body, flight))
        made.append(head.replace(old, new) + b"\r\n\r\n" + flight)
    return made


async def open_loop(load: Load, rate: float, ended: asyncio.Task[str]) -> None:
    """`rate` requests a second until `ended`, fewer on a machine that can't keep up."""
    loop, under_way = asyncio.get_running_loop(), set()

    def begin(due: float) -> None:
        if len(under_way) >= MOST_UNDER_WAY:
            return
        task = loop.create_task(load.send(due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    while not ended.done():
        await asyncio.to_thread(pace, loop, begin, rate, PIECE)
    await asyncio.sleep(0)  # the last ones begin
    while under_way:
        await asyncio.wait(under_way)


async def traffic(load: Load, options: argparse.Namespace) -> dict[str, object]:
    """Send until the end of standard input."""
    load.idle.append(await load.connect())
    print("under way", file=sys.stderr, flush=True)
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    began = time.perf_counter()
    if options.rps:
        await open_loop(load, options.rps, ended)
    while not ended.done():
        await load.closed_loop(options.connections, PIECE)
    return load.result(time.perf_counter() - began)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="demo-key")
    parser.add_argument("--rps", type=float)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--flights", type=int, default=500)
    options = parser.parse_args()
    load = Load(options.url, named(predictions(options.key, options.flights)))
    print(json.dumps(run(traffic(load, options))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
