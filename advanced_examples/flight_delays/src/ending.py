"""How a command that runs for days ends: Ctrl-C or SIGTERM, and what it has begun is finished."""

from __future__ import annotations

import asyncio
import signal


def asked_to_end() -> asyncio.Event:
    """An event that is set by Ctrl-C or SIGTERM from now on; for use inside a running loop.

    On Windows by Ctrl-Break too, which is how one process there asks another to end.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows has no signals for loops
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop
