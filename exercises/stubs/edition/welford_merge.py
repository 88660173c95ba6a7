"""A Welford merge: two halves make one whole.

Three numbers are enough for the mean and the variance of any file: how many values, their mean, and
`m2`, the sum of the squares of their distances from the mean. Welford's method takes one value at a
time. Two machines can each do half of the file, if their numbers can be merged. Write both.

`add` (B. P. Welford, 1962):     delta = value - mean;  mean += delta / count;
                                 m2 += delta * (value - mean), with the new mean
`merge` (Chan, Golub, LeVeque, 1979), with delta = other.mean - mean:
                                 mean += delta * other.count / count of both
                                 m2 += other.m2 + delta² * count * other.count / count of both

The textbook's way, sum of squares minus square of sums, loses all its digits when the values are
large and close together. The check tries that.
"""

from dataclasses import dataclass


@dataclass
class Moments:
    """Count, mean and the sum of squared distances from the mean."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> None:
        """Take one value in."""
        raise NotImplementedError("TODO: one value")

    def merge(self, other: "Moments") -> "Moments":
        """The moments of all values of both; neither of the two is changed."""
        raise NotImplementedError("TODO: two halves")

    @property
    def variance(self) -> float:
        """The variance of a sample (divided by count - 1); NaN for fewer than two values."""
        raise NotImplementedError("TODO: from m2")
