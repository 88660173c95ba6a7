"""How right each version was about flights that have landed since the rollout began."""

from __future__ import annotations

import logging
import time

import redis

from src.monitoring.outcomes import accuracy, judged
from src.rollout.limits import Seen

REST = 10  # a reading that took a second is not repeated for ten
log = logging.getLogger("rollout")


class Truth:
    """Reads predictions and landed flights from Redis; `since` in seconds since 1970."""

    def __init__(self, url: str, prefix: str, since: float) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=10.0, socket_connect_timeout=2.0)
        self._prefix, self._since = prefix, since
        self._known: dict[str, Seen] = {}
        self._next = 0.0

    def seen(self, version: str, anew: bool = False) -> Seen:
        """Wrong ones of all landed flights that `version` predicted; `anew`: as of this moment.

        Nothing is known while Redis is away: 0 of 0, with which no version is promoted.
        """
        if anew or time.monotonic() >= self._next:
            began = time.monotonic()
            self._known = self._read()
            self._next = time.monotonic() + REST * (time.monotonic() - began)
        return self._known.get(version, Seen(0, 0))

    def _read(self) -> dict[str, Seen]:
        try:
            pairs = judged(self._redis, self._prefix, since=self._since)
        except (redis.RedisError, OSError) as error:
            log.warning("Accuracy can't be judged now: %s", error)
            return {}
        found = {}
        for version in {pair.version for pair in pairs}:
            own = [pair for pair in pairs if pair.version == version]
            right = round((accuracy(own) or 0.0) * len(own))
            found[version] = Seen(len(own) - right, len(own))
        return found


def share_right(seen: Seen) -> float | None:
    """The accuracy; None when no flight has landed."""
    return None if seen.of == 0 else 1 - seen.bad / seen.of
