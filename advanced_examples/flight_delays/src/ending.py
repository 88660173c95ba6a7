"""How a command that runs for days ends: Ctrl-C or SIGTERM, and what it has begun is finished."""

from __future__ import annotations

import asyncio
import contextlib
import signal


def asked_to_end() -> asyncio.Event:
    """An event that is set by Ctrl-C or SIGTERM from now on; for use inside a running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no signals for loops
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
