"""A gate in front of a real server: open, shut (connections refused or cut), or silent.

Tests and the demo shut it where they must not stop the server itself, which others use.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE = 65_536


class Gate:
    """Relays connections to `target`; used by one thread at a time."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._open, self._speaks = True, threading.Event()
        self._speaks.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        """Cut all connections and every new one."""
        self._open = False
        self._cut()

    def silence(self) -> None:
        """Keep connections, and let nothing through."""
        self._speaks.clear()

    def heal(self) -> None:
        """Let everything through again."""
        self._open = True
        self._speaks.set()

    def close(self) -> None:
        """The end."""
        self.listener.close()
        self._speaks.set()
        self._cut()

    def _cut(self) -> None:
        for end in (end for pair in self._pairs for end in pair):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._pairs = []

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                if not self._open:
                    near.close()
                    continue
                far = socket.create_connection(self.target)
                self._pairs.append((near, far))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._relay, args=(one, other), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                self._speaks.wait()
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def gate(host: str, port: int) -> Iterator[Gate]:
    """A gate to host:port while the block runs."""
    made = Gate((host, port))
    try:
        yield made
    finally:
        made.close()
