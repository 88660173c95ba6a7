"""Sketches: answers about a stream of any length from a few kilobytes, with a known error.

All of them add up: the sketch of a whole is the sum of the sketches of its parts, whatever the
parts and their order. That is why these were chosen and not others (a t-digest or KLL is smaller
or closer, but depends on the order in which it was fed).
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from operator import add

SMALLEST, LARGEST = 1e-18, 1e18
ROWS, WIDTH = 5, 2_719  # of Count-Min: e^-5 is under 1 %, e / 2,719 under 0.1 %
WORDS = 4_096  # hashes kept, for words that come again soon


@lru_cache(WORDS)
def hash64(text: str) -> int:
    """64 bits that look random and, unlike hash(), are the same in every process."""
    data = text.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


class DDSketch:
    """Quantiles with a relative error of at most `error` (Masson, Rim and Lee, VLDB 2019).

    Buckets grow by the same factor, so that the middle of a bucket is within `error` of all that
    is in it. Sizes beyond 10^18 share the last bucket and what is under 10^-18 counts as 0, so at
    1 % there can't be more than 8,300 buckets; most data fills a few hundred.
    """

    def __init__(self, error: float = 0.01) -> None:
        self.error = error
        self.factor = (1 + error) / (1 - error)
        self.buckets: Counter[int] = Counter()
        self._log = math.log(self.factor)
        self._first = self._size(SMALLEST) - 1

    def _size(self, value: float) -> int:
        return math.ceil(math.log(value) / self._log)

    def _bucket(self, value: float) -> int:
        """0 for what is next to 0, else 1, 2, … as it grows; negative ones mirrored."""
        size = abs(value)
        if size < SMALLEST:
            return 0
        number = self._size(min(size, LARGEST)) - self._first
        return number if value > 0 else -number

    def add_all(self, values: Iterable[float]) -> None:
        """Count the values."""
        self.buckets.update(map(self._bucket, values))

    def merge(self, other: "DDSketch") -> None:
        """Count all that `other` has counted."""
        self.buckets.update(other.buckets)

    def quantile(self, q: float) -> float:
        """A value within `error` of the one that has the share `q` of all values under it."""
        rank = q * (self.buckets.total() - 1)
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen > rank:
                break
        if bucket == 0:
            return 0.0
        middle = 2 * self.factor ** (abs(bucket) + self._first) / (self.factor + 1)
        return math.copysign(middle, bucket)


class HyperLogLog:
    """How many different words, to 0.8 % (standard error 1.04 / √16,384), in 16 KB.

    Flajolet et al. 2007: of the hashes that fall into a register, it keeps the longest run of
    leading zeros. The estimate is Ertl's (arXiv 1702.01284), right for small numbers too.
    """

    BITS = 14

    def __init__(self) -> None:
        self.registers = bytearray(1 << self.BITS)

    @property
    def error(self) -> float:
        """The standard error of the estimate, as a share."""
        return 1.04 / math.sqrt(len(self.registers))

    def add_all(self, words: Iterable[str]) -> None:
        """Note the words; one that was seen before changes nothing."""
        rest = 64 - self.BITS
        for word in set(words):
            hashed = hash64(word)
            register = hashed >> rest
            zeros = rest + 1 - (hashed & ((1 << rest) - 1)).bit_length()
            if zeros > self.registers[register]:
                self.registers[register] = zeros

    def merge(self, other: "HyperLogLog") -> None:
        """Note all that `other` has noted."""
        self.registers = bytearray(map(max, self.registers, other.registers))

    def estimate(self) -> float:
        """How many different words, by Ertl's algorithm 6."""
        m, rest = len(self.registers), 64 - self.BITS
        of_length = Counter(self.registers)
        z = m * _tau(1 - of_length[rest + 1] / m)
        for length in range(rest, 0, -1):
            z = 0.5 * (z + of_length[length])
        z += m * _sigma(of_length[0] / m)
        return m * m / (2 * math.log(2) * z)


def _sigma(x: float) -> float:
    """x + Σ x^(2^k) 2^(k-1): what the registers that are still empty tell."""
    if x == 1:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x, before = x * x, z
        z, y = z + x * y, 2 * y
    return z


def _tau(x: float) -> float:
    """(1 - x - Σ (1 - x^(2^-k))^2 2^-k) / 3: what the registers that are full tell."""
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x, before, y = math.sqrt(x), z, y / 2
        z -= (1 - x) ** 2 * y
    return z / 3


@lru_cache(WORDS)
def places(word: str) -> list[int]:
    """A word's cell in each row of Count-Min: two halves of one hash stand for five hashes."""
    hashed = hash64(word)
    first, step = hashed >> 32, hashed & 0xFFFFFFFF
    return [row * WIDTH + (first + row * step) % WIDTH for row in range(ROWS)]


class HeavyHitters:
    """The words that make up at least `share` of all, and how often each one came.

    Count-Min (Cormode and Muthukrishnan 2005) counts: never too few, and too many by over 0.1 % of
    all with a probability under 1 %. It can't name its words; Misra-Gries (1982, merged as by
    Agarwal et al. 2012) can. It keeps 400 candidates and loses none that makes up 0.25 % of all,
    however the rows are parted. Only candidates that Count-Min finds heavy are told, so which of
    the light ones are still candidates, which does depend on the order, can't show.
    """

    CANDIDATES = 400

    def __init__(self, share: float = 0.01) -> None:
        self.share = share
        self.total = 0
        self.cells = array("Q", bytes(8 * ROWS * WIDTH))
        self.candidates: Counter[str] = Counter()

    def add_all(self, words: Iterable[str]) -> None:
        """Count the words."""
        new = Counter(words)
        for word, count in new.items():
            for place in places(word):
                self.cells[place] += count
        self.total += new.total()
        self._keep(new)

    def merge(self, other: "HeavyHitters") -> None:
        """Count all that `other` has counted."""
        self.cells = array("Q", map(add, self.cells, other.cells))
        self.total += other.total
        self._keep(other.candidates)

    def _keep(self, new: Counter[str]) -> None:
        """When there are many candidates, keep the greatest, less what the first to go has."""
        self.candidates.update(new)
        if len(self.candidates) > 4 * self.CANDIDATES:
            greatest = self.candidates.most_common(self.CANDIDATES + 1)
            _, least = greatest.pop()
            self.candidates = Counter({w: count - least for w, count in greatest if count > least})

    def count(self, word: str) -> int:
        """How often the word came: not less, and hardly more."""
        return min(self.cells[place] for place in places(word))

    def heavy(self) -> list[tuple[str, int]]:
        """The heavy words with their counts, the heaviest first."""
        least = max(1, math.ceil(self.share * self.total))
        counts = {word: self.count(word) for word in self.candidates}
        heavy = [(word, count) for word, count in counts.items() if count >= least]
        return sorted(heavy, key=lambda pair: (-pair[1], pair[0]))
