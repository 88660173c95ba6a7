"""The real service with a fault: `python tests/faulty_service.py --errors 0.3 --port 0`.

    --errors SHARE     so many predictions end in an error inside the service (500)
    --slow SHARE       so many predictions take --seconds longer
    --hang SHARE       so many are never answered

A version that is wrong rather than broken needs no fault: it is a model (tiny_model.py --usual 60).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys

from starlette.middleware import Middleware

from src.rollout.sides import SPLIT_PATHS
from src.service.app import create_app
from src.service.server import run
from src.service.settings import from_environment


class Fault:
    """ASGI middleware that hurts some of the predictions."""

    def __init__(self, app: object, options: argparse.Namespace) -> None:
        self.app, self.options, self.chance = app, options, random.Random(options.seed)

    async def __call__(self, scope: dict, receive: object, send: object) -> None:
        if scope["type"] == "http" and scope["path"] in SPLIT_PATHS:
            dice = self.chance.random()
            if dice < self.options.hang:
                await asyncio.Event().wait()
            if dice < self.options.slow:
                await asyncio.sleep(self.options.seconds)
            if dice < self.options.errors:
                raise RuntimeError("the fault of the tests")
        await self.app(scope, receive, send)


def main() -> int:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    for name in ("--errors", "--slow", "--hang"):
        parser.add_argument(name, type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level="CRITICAL")  # each fault would fill the log with its trace
    settings = from_environment(port=options.port)
    app = create_app(settings)
    # Last in the list is next to the routes: what the fault does is counted like any request.
    app.user_middleware.append(Middleware(Fault, options=options))
    run(app, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
