"""The second tier, an option: a Redis that all processes share. Without it: slower, not broken.

This file needs no Redis library. It is given a client and the kind of errors that the client
raises; the lesson imports them if they are there.
"""

import struct
import time
from collections.abc import Callable
from typing import Any

from recommender.similarity import Neighbours

PAIR = struct.Struct("<Id")  # a product's number and its score: 12 bytes, the same on any machine


def packed(neighbours: Neighbours) -> bytes:
    """Neighbours as bytes, which all tiers unpack to exactly the same."""
    return b"".join(PAIR.pack(*pair) for pair in neighbours)


def unpacked(raw: bytes) -> Neighbours:
    """Neighbours from bytes; struct.error for bytes that are none."""
    return tuple(PAIR.iter_unpack(raw))


class RedisTier:
    """Neighbours in Redis under `prefix`, for `ttl` seconds.

    After an error it rests for `rest` seconds and answers "not known" at once: a Redis that hangs
    would otherwise cost each caller a timeout. Put the version of the data into the prefix, then
    new similarities never meet old ones.
    """

    name = "Redis"

    def __init__(
        self,
        client: Any,
        prefix: str,
        away: type[Exception],
        ttl: int = 3600,
        rest: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._prefix, self._away, self._ttl = client, prefix, away, ttl
        self._rest, self._clock, self._rests_until = rest, clock, float("-inf")
        self.errors = 0

    def get(self, key: int) -> Neighbours | None:
        """What is stored, None if nothing is or Redis is away."""
        if self._clock() < self._rests_until:
            return None
        try:
            raw = self._client.get(f"{self._prefix}{key}")
            return None if raw is None else unpacked(raw)
        except struct.error:
            return None  # not ours: a miss, which is then overwritten
        except self._away:
            return self._pause()

    def put(self, key: int, value: Neighbours) -> None:
        """Store it, if Redis is there."""
        if self._clock() < self._rests_until:
            return
        try:
            self._client.set(f"{self._prefix}{key}", packed(value), ex=self._ttl)
        except self._away:
            self._pause()

    def _pause(self) -> None:
        self.errors += 1
        self._rests_until = self._clock() + self._rest
