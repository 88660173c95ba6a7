"""Read a /metrics page as Prometheus does, and do its arithmetic in plain Python."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, tuple[tuple[str, str], ...]]  # a name, and labels in order


def page(url: str) -> str:
    """The text at `url`/metrics; OSError when nobody answers."""
    with urlopen(f"{url}/metrics", timeout=5) as answer:
        return answer.read().decode()


def parse(text: str) -> dict[Series, float]:
    """Every series of a page with its value; ValueError when it isn't Prometheus' format."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def get(series: Mapping[Series, float], name: str, **labels: str) -> float:
    """The value of one series; KeyError when the page has none such."""
    return series[name, tuple(sorted(labels.items()))]


def changes(before: Mapping[Series, float], after: Mapping[Series, float]) -> dict[Series, float]:
    """What is different in the second scrape, by how much."""
    moved = {key: value - before.get(key, 0.0) for key, value in after.items()}
    return {key: difference for key, difference in moved.items() if difference}


def increase(values: Sequence[float]) -> float:
    """How far a counter rose over these scrapes; a fall means that its process began anew at 0.

    As PromQL's `increase` without its extrapolation to the ends of the window.
    https://prometheus.io/docs/prometheus/latest/querying/functions/#increase
    """
    return sum(after - before if after >= before else after for before, after in pairwise(values))


def buckets(series: Mapping[Series, float], name: str) -> dict[float, float]:
    """A histogram's cumulative buckets, upper bound → count; those of all labels are added up."""
    found: dict[float, float] = {}
    for (sample, labels), value in series.items():
        if sample == f"{name}_bucket":
            bound = float(dict(labels)["le"])
            found[bound] = found.get(bound, 0.0) + value
    return dict(sorted(found.items()))


def quantile(share: float, cumulative: Mapping[float, float]) -> float:
    """The `share` quantile as PromQL's histogram_quantile estimates it; NaN without observations.

    Within its bucket the values count as spread evenly. In the last bucket, which has no end, the
    answer is the bucket's lower bound.
    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    bounds = sorted(cumulative)
    total = cumulative[bounds[-1]]
    if total == 0:
        return math.nan
    rank = share * total
    place = next(i for i, bound in enumerate(bounds) if cumulative[bound] >= rank)
    if bounds[place] == math.inf:
        return bounds[place - 1]
    lower, below = (bounds[place - 1], cumulative[bounds[place - 1]]) if place else (0.0, 0.0)
    inside = cumulative[bounds[place]] - below
    return lower + (bounds[place] - lower) * (rank - below) / inside if inside else bounds[place]


def names_in(queries: Iterable[str]) -> set[str]:
    """The metrics that PromQL expressions of this pipeline ask for."""
    return {name for query in queries for name in re.findall(r"\bshop_\w+", query)}
