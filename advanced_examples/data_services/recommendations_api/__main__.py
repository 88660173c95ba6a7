"""The service as a command: `python -m recommendations_api --port 8000`; Ctrl-C ends it.

What it needs is made by `recommendations_api.prepare`, which the lesson does:
`python advanced_examples/data_services/06_recommendations_api.py --serve`.
"""

import argparse
import asyncio
import socket
import sys

import uvicorn
from fastapi import FastAPI

from recommendations_api.app import create_app
from recommendations_api.process import LISTENS
from recommendations_api.settings import from_environment

HOST = "127.0.0.1"
IDLE_MINUTES = 10.0
LOOK = 1.0  # seconds between two looks at the clock


async def serve(app: FastAPI, port: int, idle_seconds: float) -> None:
    """Serve on `port` (0: any free one) until interrupted, or nobody asked for `idle_seconds`."""
    listening = socket.create_server((HOST, port))
    # Accepted connections inherit it. Without it the kernel holds the body back until the header
    # is acknowledged, up to 40 ms. uvicorn asks for it only on sockets that it opened itself.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    # uvicorn has no event for "started".
    while not server.started and not serving.done():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    if server.started:
        print(f"{LISTENS}http://{HOST}:{listening.getsockname()[1]} (Ctrl-C ends it)", flush=True)
    clock = asyncio.get_running_loop().time
    seen, since = -1, clock()
    while not serving.done() and clock() - since < idle_seconds:
        if server.server_state.total_requests != seen:
            seen, since = server.server_state.total_requests, clock()
        await asyncio.wait([serving], timeout=LOOK)
    server.should_exit = True
    await serving


def main() -> int:
    """Run the command; 0 when it ended as it should, 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m recommendations_api", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0: any free one (%(default)s)")
    parser.add_argument(
        "--idle-minutes", type=float, metavar="N",
        default=float("inf") if sys.stdin.isatty() else IDLE_MINUTES,
        help=f"end after N minutes without a request (off a terminal: {IDLE_MINUTES:g})",
    )  # fmt: skip
    options = parser.parse_args()
    try:
        app = create_app(from_environment())
        asyncio.run(serve(app, options.port, options.idle_minutes * 60))
    except KeyboardInterrupt:
        print("\nStopped.")
    except (OSError, ValueError) as error:
        print(f"The service can't start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
