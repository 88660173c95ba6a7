"""A/B tests: who sees what, how many are needed, and what the result says.

Conversion is the share of users who buy. The unit is the user and not the visit: visits of one user
resemble each other, and a test that counts them as independent is too sure of itself.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, sqrt
from statistics import NormalDist

NORMAL = NormalDist()
BUCKETS = 10_000
LEVEL, POWER = 0.05, 0.80
# With ten looks, each at this level, all together err in 5 %: z = 2.555 (Pocock: Group sequential
# methods, 1977; Jennison and Turnbull: Group Sequential Methods, 2000, table 2.1).
POCOCK_10 = 2 * (1 - NORMAL.cdf(2.555))


def bucket(experiment: str, user_id: int) -> int:
    """The user's place in this experiment, 0 to 9,999: the same on every machine, for ever.

    The experiment's name is hashed as well, so that who was in B last time is anywhere this time.
    Python's own `hash` won't do: for text it differs from process to process.
    """
    digest = blake2b(f"{experiment}:{user_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def variant(experiment: str, user_id: int, share_of_b: float = 0.5) -> str:
    """A or B. A larger share of B moves users from A to B only, never back."""
    return "B" if bucket(experiment, user_id) < share_of_b * BUCKETS else "A"


def sample_size(base: float, wanted: float, level: float = LEVEL, power: float = POWER) -> int:
    """Users needed in each group to find a change of conversion from `base` to `wanted`.

    (z_level/2 √(2 p̄ q̄) + z_power √(p₁q₁ + p₂q₂))² / (p₁ - p₂)², rounded up; two-sided. (Fleiss,
    Levin, Paik: Statistical Methods for Rates and Proportions, 2003, formula 4.14.) ValueError
    for rates that are equal or not between 0 and 1.
    """
    if not (0 < base < 1 and 0 < wanted < 1) or base == wanted:
        raise ValueError("the two rates must lie between 0 and 1 and differ")
    mean = (base + wanted) / 2
    chance = NORMAL.inv_cdf(1 - level / 2) * sqrt(2 * mean * (1 - mean))
    spread = NORMAL.inv_cdf(power) * sqrt(base * (1 - base) + wanted * (1 - wanted))
    return ceil((chance + spread) ** 2 / (base - wanted) ** 2)


@dataclass(frozen=True)
class Result:
    """B against A: difference of the rates, its 95 % interval, and the p-value.

    p is how often chance alone would show a difference at least as large.
    """

    difference: float
    low: float
    high: float
    p: float

    def significant(self, level: float = LEVEL) -> bool:
        """Whether chance alone would do this less often than `level`."""
        return self.p < level


def z_test(bought_a: int, users_a: int, bought_b: int, users_b: int) -> Result:
    """The two-proportion z-test; ValueError for an empty group.

    The test pools both groups, as no difference is what it supposes; the interval does not.
    (Fleiss, Levin, Paik 2003, chapter 3.) It wants some five buyers and five others in each group.
    """
    if not (users_a and users_b):
        raise ValueError("both groups need users")
    a, b = bought_a / users_a, bought_b / users_b
    pooled = (bought_a + bought_b) / (users_a + users_b)
    error = sqrt(pooled * (1 - pooled) * (1 / users_a + 1 / users_b))
    z = (b - a) / error if error else 0.0
    margin = NORMAL.inv_cdf(0.975) * sqrt(a * (1 - a) / users_a + b * (1 - b) / users_b)
    return Result(b - a, b - a - margin, b - a + margin, 2 * NORMAL.cdf(-abs(z)))


def ratio_is_wrong(users_a: int, users_b: int, share_of_b: float = 0.5) -> bool:
    """Whether the groups' sizes can't be chance (p < 0.001): then trust nothing that follows.

    A sample ratio mismatch means that users were lost on one side. (Fabijan and others: Diagnosing
    sample ratio mismatch, 2019.)
    """
    users = users_a + users_b
    z = (users_b - users * share_of_b) / sqrt(users * share_of_b * (1 - share_of_b))
    return 2 * NORMAL.cdf(-abs(z)) < 0.001


def buyers(users: int, rng: random.Random) -> int:
    """How many of `users` buy when each does with a chance of 1/16.

    Tosses four coins for each at once: a number of `users` random bits is a row of coins, and `&`
    leaves a 1 where all four show heads.
    """
    coins = [rng.getrandbits(users) for _ in range(4)]
    return (coins[0] & coins[1] & coins[2] & coins[3]).bit_count()


def looks(each_look: int, times: int, rng: random.Random) -> list[float]:
    """The p-values that someone sees who looks `times` times at a test of A against the same A."""
    a = b = users = 0
    seen = []
    for _ in range(times):
        users += each_look
        a, b = a + buyers(each_look, rng), b + buyers(each_look, rng)
        seen.append(z_test(a, users, b, users).p)
    return seen


def false_alarms(tests: Sequence[Sequence[float]], times: int, level: float = LEVEL) -> float:
    """The share of tests that find something in the first `times` looks, where nothing is."""
    return sum(min(seen[:times]) < level for seen in tests) / len(tests)
