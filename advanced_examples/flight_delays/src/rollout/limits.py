"""What a version may not do while it is on trial, and how many requests it takes to say so.

Each limit is a share of bad ones: failed requests, requests slower than 2000 ms (p99 is over
2000 ms exactly when more than 1 % of them are), landed flights that were called wrong. One bad
request of ten proves nothing, so two questions are kept apart:

- *Is the limit surely broken?* Asked at every look. Yes when even the lower bound of the share is
  over the limit: one-sided Clopper-Pearson (Biometrika 26, 1934), so strict that all looks of a
  step together raise a false alarm in 1 step of 100 at most.
- *Did it hold the limit?* Asked when the window is over and there were at least `least` requests.
  Then the plain share decides: the burden of proof lies with the new version.

`least` is more than the number of which none may be bad to show at 95 % that the limit holds:
log(0.05) / log(1 - most), the rule of three, which is 59, 299 and 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from scipy.special import betaincinv

ERRORS, P99, ACCURACY = "errors", "p99", "accuracy"
P99_SECONDS = 2.0
FALSE_ALARMS = 0.01  # of all steps of a version that is just within its limits


class Limit(NamedTuple):
    """At most `most` of all may be bad; with fewer than `least` of them nobody can say."""

    most: float
    least: int
    bad: str  # what a bad one is, after "12 of 40"
    says: str  # the limit in words


LIMITS: Mapping[str, Limit] = {
    ERRORS: Limit(0.05, 100, "requests failed", "at most 5 % may fail"),
    P99: Limit(
        0.01, 300, "requests took more than 2000 ms", "p99 may be 2000 ms: at most 1 % above it"
    ),
    ACCURACY: Limit(
        0.25, 100, "landed flights were called wrong", "accuracy must be 0.75: at most 25 % wrong"
    ),
}


class Seen(NamedTuple):
    """So many bad ones of so many."""

    bad: int
    of: int


class Verdict(StrEnum):
    """What can be said of a version so far."""

    BROKEN = "broken"
    HELD = "held"
    OPEN = "open"


class Judgement(NamedTuple):
    """A verdict, the limit that led to it ('' for none) and the reason in words."""

    verdict: Verdict
    limit: str
    reason: str


def surely_over(seen: Seen, chance: float) -> float:
    """The share that `seen` is surely over, but for a `chance` of being wrong (Clopper-Pearson)."""
    if seen.bad == 0:
        return 0.0
    return float(betaincinv(seen.bad, seen.of - seen.bad + 1, chance))


def judge(seen: Mapping[str, Seen], looks: int, over: bool) -> Judgement:
    """The judgement on counts by limit, with `looks` looks a step; `over`: the window is over.

    A limit that isn't in `seen` isn't judged.

    Raises:
        ValueError: a count makes no sense.
    """
    for name, counts in seen.items():
        if not 0 <= counts.bad <= counts.of:
            raise ValueError(f"{name}: {counts.bad} bad ones of {counts.of}")
    chance = FALSE_ALARMS / (len(LIMITS) * looks)
    for name, counts in seen.items():
        if (bound := surely_over(counts, chance)) > LIMITS[name].most:
            reason = f"{words(name, counts)}; surely over {bound:.1%}"
            return Judgement(Verdict.BROKEN, name, reason)
    if not over:
        return Judgement(Verdict.OPEN, "", "the window is not over yet")
    for name, counts in seen.items():
        if counts.of >= LIMITS[name].least and counts.bad / counts.of > LIMITS[name].most:
            return Judgement(Verdict.BROKEN, name, words(name, counts))
    for name, counts in seen.items():
        if counts.of < (least := LIMITS[name].least):
            reason = f"too little to judge {name} by: {counts.of} of the {least} that it takes"
            return Judgement(Verdict.OPEN, name, reason)
    return Judgement(Verdict.HELD, "", "; ".join(words(*item) for item in seen.items()))


def words(name: str, seen: Seen) -> str:
    """Counts and their limit as a sentence."""
    limit = LIMITS[name]
    share = f" ({seen.bad / seen.of:.1%})" if seen.of else ""
    return f"{seen.bad} of {seen.of} {limit.bad}{share}; {limit.says}"
