"""The prediction service as a command: `python -m src.api`; Ctrl-C or SIGTERM ends it.

Run in the serving environment, from the project's folder. It answers on port 9696: a page for
people at /, the rest for programs (docs/API.md). Asked to end, it takes no new connection and
finishes what it has begun.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from src.params import ParamsError
from src.service.app import create_app
from src.service.process import LISTENS
from src.service.settings import DEMO_KEYS, Settings, from_environment, port_number

GRACE = 5  # seconds beyond a request's time limit that the last requests get when it ends


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=2048)
    # Accepted connections inherit it. Without it the kernel holds the body back until the header
    # is acknowledged, up to 40 ms. uvicorn asks for it only on sockets that it opened itself.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return made


async def serve(app: FastAPI, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished."""
    at = listening(settings.host, settings.port)
    config = uvicorn.Config(
        app, log_level=settings.log_level, access_log=False, server_header=False,
        timeout_graceful_shutdown=int(settings.timeout_seconds) + GRACE, log_config=None,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[at]))
    # uvicorn has no event for "started".
    while not server.started and not serving.done():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    if server.started:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"{LISTENS}http://{host}:{at.getsockname()[1]} (Ctrl-C ends it)", flush=True)
    await serving


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 when it ended as it should, 1 when it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m src.api", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--port", type=port_number, help="0: any free one (default: 9696)")
    parser.add_argument("--host", help="0.0.0.0 for all interfaces (default: this machine only)")
    options = parser.parse_args(argv)
    try:
        settings = from_environment(port=options.port, host=options.host)
        logging.basicConfig(
            level=settings.log_level.upper(),
            format="%(asctime)s %(levelname)s %(name)s %(message)s",
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        if settings.api_keys == DEMO_KEYS:
            print("Anybody on this machine may ask, with the key demo-key.", flush=True)
        run(create_app(settings), settings)
    except (OSError, ValueError, ParamsError) as error:
        print(f"The service can't start: {error}", file=sys.stderr)
        return 1
    return 0


def run(app: FastAPI, settings: Settings) -> None:
    """`serve` on the fastest event loop there is; a signal that it obeyed is no failure."""
    # uvicorn ends gracefully and then raises the signal once more; by then all is done.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(serve(app, settings))


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's, where there is one (not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
