"""Ctrl-C at a moment that would leave something half made: heard a moment later."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C is heard at the end of the block, and so not between a start and a note of it."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears Ctrl-C
        yield
        return
    heard: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if heard:
        signal.raise_signal(signal.SIGINT)
