"""Three tiers: memory of this process, Redis, and whatever the loader asks. Who answers, how fast.

`ThreeTiers` is for reading; the memory tier trusts its values for `seconds`, whatever happens
elsewhere, unless `forget` is called for a key.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from shop_profile.cache import Cache, Tier

from course.charts import LOUD, QUIET, TEXT, TITLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEMORY, REDIS, DATABASE = "memory", "Redis", "database"


@dataclass
class TierReport:
    """What one tier did: how many asked it, and the milliseconds of each answer it gave."""

    name: str
    asked: int = 0
    took: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """How many it answered."""
        return len(self.took)

    @property
    def hit_rate(self) -> float:
        """The share of those who asked that it answered, 0 to 1."""
        return self.answered / self.asked if self.asked else 0.0

    @property
    def typical(self) -> float:
        """Median milliseconds of its answers, as the caller waited; 0 without answers."""
        return median(self.took) if self.took else 0.0

    @property
    def slow(self) -> float:
        """The 99th percentile of the same."""
        return quantiles(self.took, n=100)[-1] if len(self.took) > 1 else self.typical


class ThreeTiers:
    """`size` values in memory, all in Redis under the cache's prefix, the truth behind both."""

    def __init__(self, cache: Cache, ttl: float, size: int = 128, seconds: float = 5.0) -> None:
        self._cache, self._ttl = cache, ttl
        self._memory: TTLCache[str, Any] = TTLCache(size, seconds)
        self._forgotten = 0  # times
        self.reset()

    def reset(self) -> None:
        """Count anew; what is cached stays."""
        self.reports = {name: TierReport(name) for name in (MEMORY, REDIS, DATABASE)}

    def forget(self, key: str) -> None:
        """Take `key` out of the memory of this process."""
        self._memory.pop(key, None)
        self._forgotten += 1

    async def get(self, key: str, load: Callable[[], Awaitable[Any]]) -> Any:
        """The value of `key` from the first tier that has it.

        What memory holds is shared by all callers: don't change it.
        """
        start, forgotten, missing = time.perf_counter(), self._forgotten, object()
        value, name = self._memory.get(key, missing), MEMORY
        if value is missing:
            value, tier = await self._cache.get_or_load(key, self._ttl, load)
            if forgotten == self._forgotten:  # else this may be what was to be forgotten
                self._memory[key] = value
            name = REDIS if tier is Tier.REDIS else DATABASE
        self._count(name, (time.perf_counter() - start) * 1e3)
        return value

    def _count(self, answered: str, took: float) -> None:
        for name, report in self.reports.items():
            report.asked += 1
            if name == answered:
                report.took.append(took)
                return


def draw(reports: list[TierReport]) -> "Figure":
    """Two panels, a row for each tier: its share of the answers, and its typical wait (log)."""
    from matplotlib.figure import Figure

    names, total = [report.name for report in reports], sum(report.answered for report in reports)
    shares = [100 * report.answered / total for report in reports]
    waits = [report.typical * 1e3 for report in reports]
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    bars = left.barh(names, shares, color=[LOUD, QUIET, QUIET])
    left.bar_label(bars, fmt="{:.0f} %", padding=6, fontsize=TEXT)
    left.set_xlim(0, max(shares) * 1.25)
    left.set_xlabel("share of the answers, %", fontsize=TEXT)
    left.invert_yaxis()
    right.scatter(waits, names, s=260, color=[LOUD, QUIET, QUIET], zorder=2)
    for name, wait in zip(names, waits, strict=True):
        label = f"{wait:,.0f} µs" if wait >= 10 else f"{wait:.1f} µs"
        place = {"xytext": (14, 0), "textcoords": "offset points", "va": "center"}
        right.annotate(label, (wait, name), fontsize=TEXT, **place)
    right.set_xscale("log")
    right.xaxis.set_major_formatter("{x:,.0f}")
    right.set_xlim(1, max(waits) * 30)
    right.grid(axis="x", color=QUIET, alpha=0.4)
    right.set_xlabel("typical wait, µs (each line is 10 times)", fontsize=TEXT)
    for axes in (left, right):
        axes.tick_params(labelsize=TEXT)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_title("Most answers come from the fastest tier", fontsize=TITLE, loc="left", pad=16)
    return figure
