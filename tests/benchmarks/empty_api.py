"""The peer of the recommendations API: `python -m tests.benchmarks.empty_api`, one empty route.

Served as the recommendations API is: the same server and options, one worker, memory frozen.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from recommendations_api.__main__ import serve


@asynccontextmanager
async def frozen(_: FastAPI) -> AsyncIterator[None]:
    gc.collect()
    gc.freeze()
    yield


app = FastAPI(lifespan=frozen)


@app.get("/")
async def nothing() -> dict[str, str]:
    """The least that FastAPI can do."""
    return {}


if __name__ == "__main__":
    asyncio.run(serve(app, 0, 600))
