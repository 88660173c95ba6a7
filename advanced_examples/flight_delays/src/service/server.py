"""The server around an app: one process, the fastest loop there is, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from src.service.process import LISTENS

if TYPE_CHECKING:  # the router takes its socket and loop from here, and needs no app
    from fastapi import FastAPI

    from src.service.settings import Settings

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
        app, log_level="warning", access_log=False, server_header=False,
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


def run(app: FastAPI, settings: Settings) -> None:
    """`serve` on the fastest event loop there is; a signal that it obeyed is no failure."""
    # uvicorn ends gracefully and then raises the signal once more; by then all is done.
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # the last is Windows' own
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: None)
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(serve(app, settings))


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's, where there is one (not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
