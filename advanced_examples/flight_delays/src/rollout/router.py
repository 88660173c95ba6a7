"""A router in front of two versions of the service: `python -m src.rollout.router`.

    --stable http://127.0.0.1:9696 --candidate http://127.0.0.1:9698 --port 9695

Each flight goes to the stable side or, for a share of the flights, to the candidate; the same
flight always to the same side. Answers carry X-Model-Side. What one backend fails is asked of the
next, so callers don't notice a candidate that breaks, or a process that dies. --stable may be given
several times: two processes of one version are two backends.

GET /rollout says how things are; PUT /rollout {"share": 0.1} sets the share (python -m
src.rollout.canary does it step by step); /metrics is for Prometheus. See docs/ROLLOUT.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web

from src.ending import asked_to_end
from src.rollout.control import Control
from src.rollout.proxy import Proxy
from src.rollout.sides import CANDIDATE, STABLE, Backend, Side
from src.service.process import LISTENS_ON
from src.service.server import fastest_loop, listening
from src.service.settings import LOOPBACK, port_number, seconds

KEY_VARIABLE = "FLIGHTS_ROLLOUT_KEY"
LEASE_CHECK = 0.25  # seconds
GRACE = 45.0  # seconds for requests under way when the router ends


def base_url(text: str) -> str:
    """`http://host:port`; ArgumentTypeError for anything else."""
    parts = urlsplit(text)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise argparse.ArgumentTypeError(f"{text!r} must have the form http://host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"http://{host}{port}"


def share(text: str) -> float:
    """A number from 0 to 1; ValueError otherwise."""
    if not 0 <= (value := float(text)) <= 1:
        raise ValueError("must be a share from 0 to 1")
    return value


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ends the process (2) when it can't be used."""
    parser = argparse.ArgumentParser(
        prog="python -m src.rollout.router", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    # fmt: off
    add("--stable", type=base_url, action="append", required=True, metavar="URL",
        help="a backend of the version that answers today; may be given again")
    add("--candidate", type=base_url, action="append", default=[], metavar="URL",
        help="a backend of the version on trial; may be given again")
    add("--port", type=port_number, default=9695, help="0: any free one (default: 9695)")
    add("--host", default="127.0.0.1",
        help=f"0.0.0.0 for all interfaces; then {KEY_VARIABLE} must be set")
    add("--share", type=share, default=0.0, help="the candidate's at first (default: 0)")
    add("--patience", type=seconds, default=5.0, metavar="SECONDS",
        help="wait so long for one backend, then ask the next (default: 5)")
    add("--check", type=seconds, default=1.0, metavar="SECONDS",
        help="between two health checks (default: 1)")
    add("--no-failover", action="store_true",
        help="never repeat a request that a backend may have begun with")
    add("--mirror", action="store_true",
        help="show the candidate copies of what the stable side is asked")
    add("--salt", default="", help="another word deals the flights anew")
    # fmt: on
    options = parser.parse_args(argv)
    if (options.share or options.mirror) and not options.candidate:
        parser.error("--share and --mirror need a --candidate to send flights to")
    if len(set(options.stable + options.candidate)) < len(options.stable + options.candidate):
        parser.error("a backend is given twice")
    if options.host not in LOOPBACK and not os.environ.get(KEY_VARIABLE):
        parser.error(f"host {options.host} can be reached from other machines, and whoever reaches "
                     f"the router may set its share: set {KEY_VARIABLE} to a key.")  # fmt: skip
    return options


def control(options: argparse.Namespace) -> Control:
    """What the options ask for; nothing is connected yet."""
    stable, candidate = (
        Side(name, [Backend(url) for url in urls])
        for name, urls in ((STABLE, options.stable), (CANDIDATE, options.candidate))
    )
    proxy = Proxy(
        stable, candidate, patience=options.patience, failover=not options.no_failover,
        mirror=options.mirror, salt=options.salt,
    )  # fmt: skip
    proxy.share = options.share
    return Control(proxy, os.environ.get(KEY_VARIABLE, ""))


async def serve(made: Control, options: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished."""
    ended = asked_to_end()
    at = listening(options.host, options.port)
    made.proxy.open()
    server = web.Server(made.answer, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=GRACE)
    await runner.setup()
    await web.SockSite(runner, at).start()
    gc.collect()
    gc.freeze()  # as in the service: looks at what stays for good make the slowest answers slow
    tasks = [asyncio.create_task(made.proxy.watch(options.check)), asyncio.create_task(lease(made))]
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"The flight delay router{LISTENS_ON}http://{host}:{at.getsockname()[1]} "
          "(Ctrl-C ends it)", flush=True)  # fmt: skip
    await ended.wait()
    for task in tasks:
        task.cancel()
    await runner.cleanup()
    await made.proxy.close()


async def lease(made: Control) -> None:
    """Look again and again whether the share's lease has run out, until cancelled."""
    while True:
        await asyncio.sleep(LEASE_CHECK)
        made.expire()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it ended as it should, 1 when it could not start."""
    options = arguments(argv)
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "info").upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    try:
        with asyncio.Runner(loop_factory=fastest_loop()) as runner:
            runner.run(serve(control(options), options))
    except OSError as error:
        print(f"The router can't start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
