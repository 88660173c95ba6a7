"""Run the embedded MongoDB: `python -m course.stack.mongo_server --port 27017`."""

import argparse
import asyncio
import contextlib
import decimal
import itertools
import logging
import os
import signal
import sys
from asyncio import StreamReader, StreamWriter
from concurrent.futures import ThreadPoolExecutor

from course.stack.mongo_server import catalogue, handshake, reads, writes
from course.stack.mongo_server.commands import Context, Registry
from course.stack.mongo_server.cursors import Cursors
from course.stack.mongo_server.errors import CommandError, mongomock_errors
from course.stack.mongo_server.storage import Server
from course.stack.mongo_server.wire import (
    Document,
    ProtocolError,
    Request,
    encode_reply,
    read_request,
)

log = logging.getLogger("mongo_server")
COMMANDS = Registry(
    handshake.registry.handlers
    | reads.registry.handlers
    | writes.registry.handlers
    | catalogue.registry.handlers
)


class EmbeddedMongo:
    """The server: connections on the event loop, commands on data one by one on one thread.

    One thread makes every command atomic. Commands that touch no data (ping, hello) are answered
    on the loop, so that a client sees a living server while a long aggregation is at work.
    """

    def __init__(self) -> None:
        self._server = Server()
        self._cursors = Cursors()
        self._worker = ThreadPoolExecutor(
            max_workers=1, initializer=decimal.setcontext, initargs=(decimal.Context(prec=34),)
        )
        self._connection_ids = itertools.count(1)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one client until it hangs up or sends something that is no message."""
        number = next(self._connection_ids)
        try:
            while (request := await read_request(reader)) is not None:
                name = str(request.command.get("$db", "admin"))
                context = Context(self._server, self._cursors, number, name)
                reply = await self._answer(context, request)
                if request.wants_reply:
                    writer.write(encode_reply(request, reply))
                    await writer.drain()
        except ProtocolError as problem:
            log.warning("connection %d closed: %s", number, problem)
        except ConnectionError:
            log.debug("connection %d lost", number)
        finally:
            writer.close()

    async def _answer(self, context: Context, request: Request) -> Document:
        if COMMANDS.is_instant(request.command):
            return answered(context, request.command)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, answered, context, request.command)


def answered(context: Context, command: Document) -> Document:
    """The reply to a command; every failure becomes an error reply."""
    try:
        with mongomock_errors():
            return COMMANDS.answer(context, command)
    except CommandError as problem:
        return problem.as_reply()
    except Exception as problem:
        name = next(iter(command))
        log.exception("the command %s failed", name)
        message = f"the embedded MongoDB could not carry out {name}: {problem!r}"
        return CommandError(1, message).as_reply()


async def listen(host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C, then end the process at once.

    Data is in memory only, so nothing is lost by not waiting for a command that is at work.

    Raises:
        OSError: the address is taken or not ours.
    """
    embedded = EmbeddedMongo()
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as an exception
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await asyncio.start_server(embedded.serve, host, port)
    log.info("embedded MongoDB (%s) on %s:%d", handshake.EMBEDDED, host, port)
    await stop.wait()
    log.info("stopped; the data is gone")
    logging.shutdown()
    os._exit(0)


def main() -> int:
    """Read the command line and serve; the exit code is 1 if the address can't be had."""
    parser = argparse.ArgumentParser(prog="course.stack.mongo_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(listen(options.host, options.port))
    except OSError as problem:
        reason = problem.strerror or problem
        print(f"cannot listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
