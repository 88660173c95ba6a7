"""A source that lies on purpose: it passes on the demo API's answers and spoils some rows.

For lessons and tests. The demo API itself can fail, throttle, hang and hang up, but what it says
is always right. Which rows are spoilt, and how, depends on the seed and the row alone.

    python -m async_etl.crooked --share 0.2 --seed 3
"""

import argparse
import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from course import demo_api
from course.settings import HOST

Row = dict[str, Any]
LIES: tuple[Callable[[Row], Any], ...] = (
    lambda row: {**row, "observed_at": "yesterday"},
    lambda row: {**row, "observed_at": "2199-01-01T00:00:00Z"},
    lambda row: {name: value for name, value in row.items() if name != "observed_at"},
    lambda row: {**row, "humidity": 105, "volume": -1},
    lambda row: {**row, "humidity": "70", "volume": 1.5},
    lambda row: {**row, "temperature_c": 999, "price": 0},
    lambda row: {**row, "conditions": "hail", "low": 10**6},
    lambda row: {**row, "conditions": "\x00\ud800", "high": float("nan")},
    lambda row: list(row.values()),
    lambda row: None,
)


def spoil(row: Row, key: str, share: float, seed: int) -> Any:
    """The row, or a lie in its place with the probability `share`."""
    said = f"{seed}|{key}|{row.get('observed_at')}".encode()
    dice = random.Random(int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big"))
    return dice.choice(LIES)(row) if dice.random() < share else row


@asynccontextmanager
async def serve(share: float = 0.2, seed: int = 0, port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends; yields the base URL. `share` of the rows are lies."""
    async with demo_api.serve() as url, aiohttp.ClientSession(url) as session:

        async def answer(request: web.Request) -> web.Response:
            async with session.get(request.raw_path) as response:
                said = await response.json()
                for number, row in enumerate(said.get("rows", ())):
                    said["rows"][number] = spoil(row, request.path, share, seed)
                return web.Response(
                    status=response.status, body=json.dumps(said).encode(),
                    content_type="application/json",
                )  # fmt: skip

        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            yield f"http://{HOST}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def _serve_for_ever(share: float, seed: int, port: int) -> None:
    async with serve(share, seed, port) as url:
        print(f"The crooked source listens on {url} (Ctrl-C ends it).", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m async_etl.crooked")
    parser.add_argument("--share", type=float, default=0.2, help="of the rows, 0 to 1 (0.2)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other lies")
    parser.add_argument("--port", type=int, default=0, help="any free one when not given")
    options = parser.parse_args()
    try:
        asyncio.run(_serve_for_ever(options.share, options.seed, options.port))
    except KeyboardInterrupt:
        print("\nStopped.")


if __name__ == "__main__":
    main()
