"""Count, mean, variance, least and greatest of a stream, in the memory of five numbers.

Two kinds of number, two ways. Decimals with a fixed number of places (money, most measurements)
are whole numbers of the smallest unit: whole numbers don't round, so the sums are exact and the
order of the rows can't show. For floating point there is Welford's way.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter
from typing import Any, ClassVar

DECIMAL = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d*)(?:\.(?P<part>\d*))?")


class Exact:
    """Moments of whole numbers: their sum and the sum of their squares never round."""

    __slots__ = ("count", "high", "low", "squares", "total")

    def __init__(self) -> None:
        self.count = self.total = self.squares = 0
        self.low, self.high = math.inf, -math.inf

    def add(self, value: int) -> None:
        """Count one value."""
        self.count += 1
        self.total += value
        self.squares += value * value
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    def add_all(self, values: Sequence[int]) -> None:
        """Count many values at once, with functions that loop in C."""
        self.count += len(values)
        self.total += sum(values)
        self.squares += sum([value * value for value in values])
        low, high = min(values), max(values)
        self.low, self.high = min(self.low, low), max(self.high, high)

    def merge(self, other: "Exact") -> None:
        """Count all that `other` has counted."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    @property
    def mean(self) -> Fraction:
        """The mean, exactly."""
        return Fraction(self.total, self.count)

    @property
    def variance(self) -> Fraction:
        """The sample variance (n - 1), exactly; 0 for one value."""
        n = self.count
        return Fraction(n * self.squares - self.total**2, n * (n - 1)) if n > 1 else Fraction(0)


class Welford:
    """Moments of floats: keep the mean and the squared distance from it, never the squares.

    Welford 1962 for one value, Chan, Golub and LeVeque 1979 for many. Sums of squares lose every
    digit when the mean is large and the spread is small; distances from the mean don't.
    """

    __slots__ = ("count", "high", "low", "mean", "spread")

    def __init__(self) -> None:
        self.count, self.mean, self.spread = 0, 0.0, 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, value: float) -> None:
        """Count one value."""
        self.count = count = self.count + 1
        distance = value - self.mean
        self.mean = mean = self.mean + distance / count
        self.spread += distance * (value - mean)
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    def add_all(self, values: Sequence[float]) -> None:
        """Count many at once: `math.dist` squared is their squared distance from their mean."""
        count, mean = len(values), math.fsum(values) / len(values)
        self._merge(count, mean, math.dist(values, [mean] * count) ** 2)
        low, high = min(values), max(values)
        self.low, self.high = min(self.low, low), max(self.high, high)

    def merge(self, other: "Welford") -> None:
        """Count all that `other` has counted; the order shows in the last digits only."""
        if other.count:
            self._merge(other.count, other.mean, other.spread)
            self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def _merge(self, count: int, mean: float, spread: float) -> None:
        distance, total = mean - self.mean, self.count + count
        self.mean += distance * count / total
        self.spread += spread + distance * distance * self.count * count / total
        self.count = total

    @property
    def variance(self) -> float:
        """The sample variance (n - 1); 0 for one value."""
        return self.spread / (self.count - 1) if self.count > 1 else 0.0


@dataclass(frozen=True)
class Fixed:
    """Decimals with at most `places` (1 or more) after the point, read as whole numbers.

    A number with more places is refused: dropping digits in silence is no reading.
    """

    places: int = 2
    moments: ClassVar[type] = Exact

    def parse(self, text: str) -> int:
        """'12.5' is 1250 with two places; ValueError for what is no such number."""
        whole, _, part = text.partition(".")
        digits = whole + part
        try:
            if len(part) == self.places and digits.isdecimal():
                return int(digits)
            return self._parse_with_care(text)
        except ValueError as problem:
            said = str(problem) if "decimals" in str(problem) else "no number"
            raise ValueError(f"{said}: {text!r:.30}") from None

    def _parse_with_care(self, text: str) -> int:
        """The same for fewer places, no point, or blanks around the number."""
        found = DECIMAL.fullmatch(text.strip())
        if not found or not (found["whole"] or found["part"]):
            raise ValueError
        part = found["part"] or ""
        if len(part) > self.places:
            raise ValueError(f"more than {self.places} decimals")
        return int(found["sign"] + found["whole"] + part.ljust(self.places, "0"))

    def parse_all(self, texts: Sequence[str]) -> list[int]:
        """The same for many texts at once, a few times as fast; ValueError if one is unusual.

        Numbers are parted by a comma, which none of them can hold, so a single `replace` takes all
        points out. Each one must have its point in the right place and none another; blanks and
        underscores, which int() would forgive, there must not be.
        """
        together = ",".join(texts)
        digits = together.replace(".", "")
        values: list[int] = []
        if (
            len(together) - len(digits) == len(texts)
            and self._points_in_place(texts)
            and together.split() == [together]
            and "_" not in together
        ):
            values = list(map(int, digits.split(",")))
        if len(values) != len(texts):
            raise ValueError("not all are numbers with a point in the usual place")
        return values

    def _points_in_place(self, texts: Sequence[str]) -> bool:
        try:
            return set(map(itemgetter(-1 - self.places), texts)) == {"."}
        except IndexError:
            return False

    def shown(self, value: int | Fraction, power: int = 1) -> Decimal:
        """A value in units again, to 28 digits; `power` is 2 for a variance, whose unit is squared.

        Decimal keeps digits that a float would lose.
        """
        value = Fraction(value)
        return Decimal(value.numerator) / (value.denominator * 10 ** (self.places * power))


@dataclass(frozen=True)
class Floating:
    """Any finite number as a float."""

    moments: ClassVar[type] = Welford

    def parse(self, text: str) -> float:
        """ValueError for what is no finite number."""
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"no number: {text!r:.30}") from None
        if not math.isfinite(value):
            raise ValueError(f"not finite: {text!r:.30}")
        return value

    def parse_all(self, texts: Sequence[str]) -> list[float]:
        """The same for many texts at once."""
        values = list(map(float, texts))
        if not all(map(math.isfinite, values)):
            raise ValueError("not all are finite")
        return values

    def shown(self, value: float, power: int = 1) -> float:
        """A float is shown as it is."""
        return value


Number = Fixed | Floating
Moments = Any  # Exact or Welford, as the number says
