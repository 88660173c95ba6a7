"""A Welford merge: count, mean and m2 of two halves are those of the whole."""

import math
from dataclasses import dataclass


@dataclass
class Moments:
    """Count, mean and the sum of squared distances from the mean."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> None:
        """Take one value in."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.m2 += delta * (value - self.mean)

    def merge(self, other: "Moments") -> "Moments":
        """The moments of all values of both; neither of the two is changed."""
        count = self.count + other.count
        if count == 0:
            return Moments()
        delta = other.mean - self.mean
        mean = self.mean + delta * other.count / count
        m2 = self.m2 + other.m2 + delta**2 * self.count * other.count / count
        return Moments(count, mean, m2)

    @property
    def variance(self) -> float:
        """The variance of a sample (divided by count - 1); NaN for fewer than two values."""
        return self.m2 / (self.count - 1) if self.count > 1 else math.nan
