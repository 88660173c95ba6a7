"""The real service with faults that a test switches on: `python tests/faulty_service.py --port 0`.

    PUT /fault {"errors": 0.3, "slow": 0.5, "seconds": 2.2}

Of the predictions from then on, so many end in an error inside the service (500) or take `seconds`
longer. A version that is wrong rather than broken needs no fault: it is a
model of its own (tiny_model.py --usual 60).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys

from fastapi import FastAPI
from starlette.middleware import Middleware

from src.rollout.sides import SPLIT_PATHS
from src.service.app import create_app
from src.service.server import run
from src.service.settings import from_environment, port_number

SEED = 1


class Fault:
    """ASGI middleware that hurts some of the predictions, as `shares` says."""

    def __init__(self, app: object, shares: dict[str, float]) -> None:
        self.app, self.shares, self.chance = app, shares, random.Random(SEED)

    async def __call__(self, scope: dict, receive: object, send: object) -> None:
        if scope["type"] == "http" and scope["path"] in SPLIT_PATHS:
            dice = self.chance.random()
            if dice < self.shares.get("slow", 0.0):
                await asyncio.sleep(self.shares["seconds"])
            if dice < self.shares.get("errors", 0.0):
                raise RuntimeError("the fault of the tests")
        await self.app(scope, receive, send)


def faulty(app: FastAPI) -> FastAPI:
    """`app` with the page that switches its faults."""
    shares: dict[str, float] = {}
    # Last in the list is next to the routes: what the fault does is counted like any request.
    app.user_middleware.append(Middleware(Fault, shares=shares))

    @app.put("/fault", include_in_schema=False)
    async def fault(wanted: dict[str, float]) -> dict[str, float]:
        shares.clear()
        shares.update(wanted)
        return shares

    return app


def main() -> int:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=port_number, default=0)
    options = parser.parse_args()
    logging.basicConfig(level="CRITICAL")  # each fault would fill the log with its trace
    settings = from_environment(port=options.port)
    run(faulty(create_app(settings)), settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
