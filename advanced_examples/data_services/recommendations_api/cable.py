"""A cable to a server that can be pulled: how lessons and tests take a neighbour away.

The servers of the course are shared, so nobody may stop them. A cable forwards a port of its own
to one of them. Pulled, it breaks every connection and refuses new ones, as a dead server does.
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from course.stack.ports import any_free_port

HOST = "127.0.0.1"


class Cable:
    """Use as `with Cable(url) as cable`: `cable.url` is the server's URL through the cable."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._port = any_free_port()

    def __enter__(self) -> "Cable":
        self._thread.start()
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The server's URL with the cable's port."""
        credentials, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{credentials}{at}{HOST}:{self._port}"))

    def plug_in(self) -> None:
        """Forward connections."""
        self._do(self._listen())

    def pull(self) -> None:
        """Break all connections and refuse new ones."""
        self._do(self._break())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._forward, HOST, self._port)

    async def _break(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()
        while self._open:  # noqa: ASYNC110 (until every forwarding task has seen it)
            await asyncio.sleep(0.01)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with suppress(OSError):
                away, back = await asyncio.open_connection(self._parts.hostname, self._parts.port)
                self._open.add(back)
                await asyncio.gather(pump(reader, back), pump(away, writer))
                self._open.discard(back)
        finally:
            self._open.discard(writer)
            writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until one side ends, then end the other."""
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
