"""The feature store as the service sees it: one MGET, a short wait, and a pause when it is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from src.service.metrics import Metrics

PAUSE = 1.0  # seconds
Values = Sequence[bytes | None]
log = logging.getLogger("flights")


class Store:
    """Packed features in Redis.

    When Redis doesn't answer it isn't asked again for a second: who asks in that second gets the
    fallback at once instead of waiting for the same silence (a circuit breaker).
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        wait_seconds: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.redis = Redis.from_url(
            url, socket_timeout=wait_seconds, socket_connect_timeout=wait_seconds,
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        self.prefix, self.metrics, self._clock = prefix, metrics, clock
        self._again = 0.0
        self._up = True
        self._complained = ""

    async def read(self, keys: list[str]) -> Values | None:
        """The values of all `keys`, None for each that isn't there; None when Redis is away."""
        if self._clock() < self._again:
            return None
        try:
            values: Values = await self.redis.mget(keys)
        except (RedisError, OSError, TimeoutError) as error:
            self._again = self._clock() + PAUSE
            self._tell(up=False, why=f": {error}")
            return None
        self._tell(up=True)
        return values

    async def alive(self) -> bool:
        """Whether Redis answers now."""
        try:
            await self.redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            self._tell(up=False, why=f": {error}")
            return False
        self._tell(up=True)
        return True

    def unreadable(self, error: ValueError) -> None:
        """Note that a value can't be read; logged once, since every request would say it again."""
        if str(error) != self._complained:
            self._complained = str(error)
            log.error("The feature store can't be read, usual values stand in. %s", error)

    def _tell(self, up: bool, why: str = "") -> None:
        """Note the state; log it once for each change, not for each request."""
        if up != self._up:
            log.warning("The feature store %s%s", "answers again" if up else "is away", why)
        self._up = up
        self.metrics.store_up.set(up)

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()
