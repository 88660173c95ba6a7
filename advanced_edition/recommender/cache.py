"""Three tiers: this process, a Redis that other processes share, and the store that knows all.

The first tier is bounded in bytes and not in entries, because memory is what runs out. Many callers
who miss the same key at the same moment make one load between them (single-flight).
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from sys import getsizeof
from typing import Any, Protocol

# What an OrderedDict keeps for one entry beside key and value: a place in the hash table and one in
# the list that holds the order. tracemalloc says 70 to 190, as the table has more empty places when
# it has just grown. A limit is a promise, so the largest figure counts.
BYTES_OF_A_PLACE = 190


def deep_size(value: Any) -> int:
    """Bytes of `value` with all that it holds: numbers, text, bytes, and tuples of these.

    What several values share is counted for each, so the figure is never too small.
    """
    size = getsizeof(value)
    if isinstance(value, tuple):
        for one in value:
            size += deep_size(one) if isinstance(one, tuple) else getsizeof(one)
    return size


class NearTier:
    """The first tier: least recently used goes first, at most `limit` bytes. Threads may share it.

    Reading takes no lock: each of its two steps on the OrderedDict is atomic, and an entry that
    another thread throws out between them is a miss.
    """

    name = "process"

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self.entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: Hashable, value: Any) -> None:
        """Keep `value`; throw out the oldest until all fits. What alone is too big isn't kept."""
        size = self._size(key, value)
        with self._lock:
            if key in self.entries:
                self.bytes -= self._size(key, self.entries.pop(key))
            if size > self.limit:
                return
            self.bytes += size
            self.entries[key] = value
            while self.bytes > self.limit:
                self.bytes -= self._size(*self.entries.popitem(last=False))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.entries.clear()
            self.bytes = 0

    @staticmethod
    def _size(key: Hashable, value: Any) -> int:
        return BYTES_OF_A_PLACE + deep_size(key) + deep_size(value)


class MiddleTier(Protocol):
    """What the second tier must be able to do; it answers None for a miss and never raises."""

    name: str

    def get(self, key: int) -> Any | None:
        """The value, or None."""

    def put(self, key: int, value: Any) -> None:
        """Keep the value."""


class Store(Protocol):
    """The last tier: it has an answer to everything, which is never None, or raises."""

    name: str

    def get(self, key: int) -> Any:
        """The value."""


class Flight:
    """One load under way: who waits for it waits for the lock that it holds until it has landed."""

    __slots__ = ("error", "followers", "landed", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self.followers = 0
        self.landed = threading.Lock()
        self.landed.acquire()


class SingleFlight:
    """At most one load of a key at a time; who comes meanwhile waits for its result."""

    def __init__(self) -> None:
        self.flights: dict[Hashable, Flight] = {}
        self._lock = threading.Lock()

    def do(self, key: Hashable, load: Callable[[Any], Any]) -> Any:
        """What `load(key)` returns, called by one of all who ask for `key` at once.

        Its error reaches all of them, and the next one to ask tries again. When the one who loads
        is stopped (Ctrl-C), another of those who wait takes over.
        """
        while True:
            with self._lock:
                flight = self.flights.get(key)
                if leads := flight is None:
                    flight = self.flights[key] = Flight()
                else:
                    flight.followers += 1
            if leads:
                return self._fly(key, flight, load)
            with flight.landed:
                pass
            if flight.error is None:
                return flight.value
            if isinstance(flight.error, Exception):
                raise flight.error

    def _fly(self, key: Hashable, flight: Flight, load: Callable[[Any], Any]) -> Any:
        try:
            flight.value = load(key)
        except BaseException as error:
            flight.error = error
            raise
        finally:
            del self.flights[key]  # before it lands: who comes later begins a new one
            flight.landed.release()
        return flight.value


@dataclass
class Answers:
    """How many questions reached a tier, and how many it answered."""

    tier: str
    asked: int
    answered: int

    @property
    def hit_rate(self) -> float:
        """The share that it answered, 0 to 1."""
        return self.answered / self.asked if self.asked else 0.0


class TieredCache:
    """Ask the nearest tier that knows; what a far one knew is kept in those before it.

    The counts are exact in one thread; several may lose a few.
    """

    def __init__(self, limit: int, store: Store, middle: MiddleTier | None = None) -> None:
        self.near, self.middle, self.store = NearTier(limit), middle, store
        self._entries, self._touch = self.near.entries, self.near.entries.move_to_end
        self._single_flight = SingleFlight()
        self.forget_counts()

    def get(self, key: int) -> Any:
        """The value of `key` from the nearest tier that has it."""
        try:
            value = self._entries[key]
            self._touch(key)
        except KeyError:
            return self._single_flight.do(key, self._from_afar)
        self.near_hits += 1
        return value

    def _from_afar(self, key: int) -> Any:
        value = self._entries.get(key)  # perhaps a flight has just landed
        if value is not None:
            self.near_hits += 1
            return value
        value = self.middle.get(key) if self.middle else None
        if value is not None:
            self.middle_hits += 1
        else:
            value = self.store.get(key)
            self.store_hits += 1
            if self.middle:
                self.middle.put(key, value)
        self.near.put(key, value)
        return value

    def warm(self, keys: Iterable[int]) -> None:
        """Fetch `keys` before anybody asks, uncounted."""
        counts = self.near_hits, self.middle_hits, self.store_hits
        for key in keys:
            self.get(key)
        self.near_hits, self.middle_hits, self.store_hits = counts

    def forget_counts(self) -> None:
        """Count from zero."""
        self.near_hits = self.middle_hits = self.store_hits = 0

    def answers(self) -> list[Answers]:
        """What each tier was asked and answered since the counts began."""
        far = self.middle_hits + self.store_hits
        found = [Answers(self.near.name, self.near_hits + far, self.near_hits)]
        if self.middle:
            found.append(Answers(self.middle.name, far, self.middle_hits))
        return [*found, Answers(self.store.name, self.store_hits, self.store_hits)]
