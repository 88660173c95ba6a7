"""The same names, and comparisons are counted."""

import random

from course.exercises import expect, require


class Score:
    """A score that counts how often scores are compared."""

    comparisons = 0

    def __init__(self, value: int) -> None:
        self.value = value

    def __lt__(self, other: "Score") -> bool:
        Score.comparisons += 1
        return self.value < other.value

    def __gt__(self, other: "Score") -> bool:
        Score.comparisons += 1
        return self.value > other.value

    def __eq__(self, other: object) -> bool:
        Score.comparisons += 1
        return isinstance(other, Score) and self.value == other.value

    __hash__ = None


def check_names(their):
    """The highest first, equal ones in the order they came"""
    scored = [(3, "cup"), (9, "tea"), (3, "jam"), (7, "pot"), (9, "hat"), (3, "fan")]
    expect(their.best(scored, 5), ["tea", "hat", "pot", "cup", "jam"])
    expect(their.best(iter(scored), 2), ["tea", "hat"], "Any iterable, also one read once.")


def check_few(their):
    """More asked for than there are; none asked for"""
    expect(their.best([(1, "a"), (2, "b")], 10), ["b", "a"])
    expect(their.best([(1, "a")], 0), [])
    expect(their.best([], 3), [])


def check_comparisons(their):
    """10,000 products, hardly more comparisons than products"""
    values = list(range(10_000))
    random.Random(3).shuffle(values)
    Score.comparisons = 0
    names = their.best([(Score(value), str(value)) for value in values], 10)
    expect(names, [str(value) for value in range(9_999, 9_989, -1)])
    require(
        Score.comparisons <= 25_000,
        f"{Score.comparisons:,} comparisons for 10,000 products",
        "Keep the ten best so far; each new product is compared with the worst of them.",
    )
