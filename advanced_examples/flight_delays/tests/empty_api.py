"""The peer of the service: one route that does nothing, served by the same server, memory frozen.

python tests/empty_api.py --port 0
"""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from src.service.server import run
from src.service.settings import from_environment


@asynccontextmanager
async def frozen(_: FastAPI) -> AsyncIterator[None]:
    """Give the peer what the service gives itself."""
    gc.collect()
    gc.freeze()
    yield


app = FastAPI(lifespan=frozen)


@app.get("/")
async def nothing() -> dict[str, str]:
    """The least that FastAPI can do."""
    return {}


if __name__ == "__main__":
    run(app, from_environment(port=int(sys.argv[-1])))
