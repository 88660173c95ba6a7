"""The online store: the newest values of each entity, in Redis.

One key holds all values of an entity as a JSON list: event_time, created, then the features in the
order of their version. One SET replaces them all at once, so nobody ever reads half of an update.
JSON writes floats so that they read back exactly, and `redis-cli GET` shows them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from feature_store.definitions import (
    EPOCH,
    MICROSECOND,
    TIME,
    Feature,
    FeatureSet,
    microseconds,
)
from feature_store.errors import StoreUnavailable, UnknownFeature

T = TypeVar("T")
BATCH = 1_000
PATIENCE = 2.0  # seconds
Value = int | float | bool | str | datetime | None


class OnlineStore:
    """The newest values under keys that begin with `prefix`."""

    def __init__(self, url: Callable[[], str], prefix: str) -> None:
        self._url, self.prefix = url, prefix
        self._client: redis.Redis | None = None

    def close(self) -> None:
        """End the connections; the next call would open new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """The client; StoreUnavailable if Redis doesn't answer within a few seconds."""
        try:
            if self._client is None:
                self._client = redis.Redis.from_url(
                    self._url(), socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE,
                    retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 2),
                )  # fmt: skip
            yield self._client
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise StoreUnavailable(
                f"Redis does not answer: {error}. The history is safe in PostgreSQL. Bring Redis "
                "back (python3 learn.py up) and repeat the call."
            ) from None

    def key(self, entity_type: str, version: int, name: object) -> str:
        """The key of an entity by its id, or of what is known about the version by name."""
        return f"{self.prefix}:{entity_type}:v{version}:{name}"

    # Writing -------------------------------------------------------------------------------------

    def begin(self, features: FeatureSet) -> None:
        """Write down what the values of a version mean, before the first of them."""
        ttl = None if features.ttl is None else features.ttl // MICROSECOND
        pairs = [[feature.name, feature.type] for feature in features.features]
        about = {"key": features.key, "features": pairs, "ttl_us": ttl}
        with self.client() as client:
            client.set(self.key(features.entity_type, features.version, "about"), json.dumps(about))

    def write(self, features: FeatureSet, rows: Iterable[tuple[int, tuple]]) -> int:
        """Bring rows (id, (event_time, created, values…)) online; how many there were."""
        place = (features.entity_type, features.version)
        times = [n + 2 for n, feature in enumerate(features.features) if feature.type == TIME]
        written = 0
        with self.client() as client:
            for batch in batches(rows):
                client.mset({self.key(*place, id_): encode(row, times) for id_, row in batch})
                written += len(batch)
        return written

    def remove(self, features: FeatureSet, ids: Iterable[int]) -> None:
        """Take offline who has no values any more."""
        place = (features.entity_type, features.version)
        with self.client() as client:
            for batch in batches(ids):
                client.unlink(*(self.key(*place, id_) for id_ in batch))

    def finish(self, features: FeatureSet, at: datetime, rows: int) -> None:
        """Write down that everything up to `at` is online; the newest version becomes current."""
        note = json.dumps({"at_us": microseconds(at), "rows": rows})
        entity_type, version = features.entity_type, features.version
        with self.client() as client:
            client.set(self.key(entity_type, version, "materialised"), note)
            if version >= (self.current(entity_type) or 0):
                client.set(f"{self.prefix}:{entity_type}:current", version)

    # Reading -------------------------------------------------------------------------------------

    def current(self, entity_type: str) -> int | None:
        """The newest version that is online; None if there is none."""
        with self.client() as client:
            found = client.get(f"{self.prefix}:{entity_type}:current")
        return None if found is None else int(found)

    def feature_set(self, entity_type: str, version: int) -> FeatureSet:
        """What the values of a version mean; UnknownFeature if it was never online."""
        with self.client() as client:
            found = client.get(self.key(entity_type, version, "about"))
        if found is None:
            raise UnknownFeature(
                f"{entity_type} version {version!r} is not online: "
                f"materialise({entity_type!r}, version={version!r}) brings it there."
            )
        about = json.loads(found)
        ttl = None if about["ttl_us"] is None else about["ttl_us"] * MICROSECOND
        features = tuple(Feature(*pair) for pair in about["features"])
        return FeatureSet(entity_type, version, about["key"], features, ttl)

    def materialised(self, features: FeatureSet) -> datetime | None:
        """Up to when everything is online; None if no materialisation came to its end."""
        with self.client() as client:
            found = client.get(self.key(features.entity_type, features.version, "materialised"))
        return None if found is None else EPOCH + json.loads(found)["at_us"] * MICROSECOND

    def read(self, features: FeatureSet, ids: Sequence[int]) -> list[list | None]:
        """For each id its list as it is kept, None for those who have none: one question."""
        place = f"{self.prefix}:{features.entity_type}:v{features.version}:"
        with self.client() as client:
            found = client.mget([f"{place}{id_}" for id_ in ids])
        # All lists in one call: a call for each takes twice as long.
        rows: list[list | None] = json.loads(b"[%s]" % b",".join(row or b"null" for row in found))
        return rows


def answer(
    features: FeatureSet, wanted: tuple[Feature, ...], rows: Mapping[int, list | None],
    now: datetime,
) -> dict[int, dict[str, Value]]:  # fmt: skip
    """What was read, as {id: {name: value}}; None where nothing is known or it is too old."""
    names = [feature.name for feature in wanted]
    places = [features.places[feature] + 2 for feature in wanted]
    times = [name for name, feature in zip(names, wanted, strict=True) if feature.type == TIME]
    oldest = oldest_alive(features.ttl, now)
    in_order = places == list(range(2, len(places) + 2))
    found: dict[int, dict[str, Value]] = {}
    for id_, row in rows.items():
        if row is None or row[0] < oldest:
            found[id_] = dict.fromkeys(names)
        elif in_order:
            found[id_] = dict(zip(names, row[2:], strict=False))
        else:
            found[id_] = {name: row[n] for name, n in zip(names, places, strict=True)}
        for name in times:
            value = found[id_][name]
            found[id_][name] = None if value is None else EPOCH + value * MICROSECOND
    return found


def oldest_alive(ttl: timedelta | None, now: datetime) -> float:
    """The earliest event_time, in microseconds, whose values may still be used."""
    return float("-inf") if ttl is None else microseconds(now) - ttl // MICROSECOND


def encode(row: tuple, times: Sequence[int]) -> str:
    """A row as Redis keeps it: times as microseconds, everything else as it is."""
    values = [microseconds(row[0]), microseconds(row[1]), *row[2:]]
    for n in times:
        values[n] = None if values[n] is None else microseconds(values[n])
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in lists of BATCH."""
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
