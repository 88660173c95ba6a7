"""XFetch: renew a value before it expires, each reader deciding alone, by chance.

Source: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention",
Proceedings of the VLDB Endowment 8(8), 2015.
"""

import json
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

BETA = 1.0  # above 1 renews earlier

Clock = Callable[[], float]
Chance = Callable[[], float]


def refresh_now(
    left: float, load_seconds: float, beta: float = BETA, chance: Chance = random.random
) -> bool:
    """True with probability exp(-left / (beta * load_seconds)), where `left` seconds remain.

    So a value that is slow to load is renewed earlier, and one that has expired always. `chance`
    draws from [0, 1); the draw is turned round to (0, 1], where the logarithm exists.
    """
    return -beta * load_seconds * math.log(1 - chance()) >= left


async def get_early(
    redis: Redis,
    key: str,
    ttl: float,
    load: Callable[[], Awaitable[Any]],
    *,
    beta: float = BETA,
    clock: Clock = time.monotonic,
    chance: Chance = random.random,
) -> Any:
    """The value of `key`, as JSON has it; loaded when it is missing, or renewed by chance.

    Beside the value stands how long loading took. How long it still lives, Redis knows: the clocks
    of those who ask need not agree, and one that jumps does no harm.
    """
    async with redis.pipeline(transaction=True) as both:
        both.get(key)
        both.pttl(key)
        text, left = await both.execute()
    if text is not None:
        entry = json.loads(text)
        if not refresh_now(left / 1000, entry["load_seconds"], beta, chance):
            return entry["value"]
    start = clock()
    value = await load()
    text = json.dumps({"value": value, "load_seconds": max(0.0, clock() - start)})
    await redis.set(key, text, px=max(1, round(ttl * 1000)))
    return json.loads(text)["value"]
