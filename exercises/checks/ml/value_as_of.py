"""The same values, and comparisons are counted."""

from dataclasses import dataclass
from functools import total_ordering

from course.exercises import expect, require


@total_ordering
@dataclass(frozen=True)
class Moment:
    """A time that counts how often it is compared."""

    hour: int

    def __lt__(self, other: "Moment") -> bool:
        Counter.comparisons += 1
        return self.hour < other.hour

    def __eq__(self, other: object) -> bool:
        Counter.comparisons += 1
        return isinstance(other, Moment) and self.hour == other.hour

    __hash__ = None


class Counter:
    comparisons = 0


def history(*hours: int) -> list[tuple[Moment, float]]:
    return [(Moment(hour), place * 1.5) for place, hour in enumerate(hours)]


def check_values(their):
    """Between two entries the earlier one counts"""
    known = history(10, 20, 30)
    answers = [their.value_as_of(known, Moment(hour)) for hour in (10, 19, 20, 29, 99)]
    expect(answers, [0.0, 0.0, 1.5, 1.5, 3.0], "An entry counts from its own moment on.")


def check_edges(their):
    """Nothing is known before the first; of equal moments the last counts"""
    expect(their.value_as_of(history(10, 20), Moment(9)), None, "Before the first: None.")
    expect(their.value_as_of([], Moment(9)), None, "An empty history: None.")
    expect(their.value_as_of(history(5, 10, 10, 10, 20), Moment(10)), 4.5, "Three at hour 10.")


def check_comparisons(their):
    """100,000 entries, few comparisons"""
    long = [(Moment(n), float(n)) for n in range(100_000)]
    Counter.comparisons = 0
    expect(their.value_as_of(long, Moment(77_777)), 77777.0)
    count = Counter.comparisons
    require(
        count <= 60,
        f"{count:,} comparisons for 100,000 entries, 17 are enough",
        "Look into the middle first: half of the entries are out with one comparison.",
    )
