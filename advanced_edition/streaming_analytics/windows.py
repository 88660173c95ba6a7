"""Sliding windows over the time at which things happened, whatever the order in which they come.

Each day is a pane with moments of its own, and a window is some panes merged (Li et al., *No Pane,
No Gain*, 2005). So the memory is one pane a day, not the rows of a window.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from streaming_analytics.moments import Moments, Number

ONE_DAY = timedelta(days=1)


class Panes:
    """Moments per day, for the last `keep` days before the newest one.

    What is older counts as `late`. A row dated after `today` is refused: a single one would make
    all that is true late.
    """

    def __init__(self, number: Number, today: date, keep: int = 400) -> None:
        self.number, self.today, self.keep = number, today, keep
        self.days: dict[date, Moments] = {}
        self.late = 0
        self._known: dict[str, date] = {}

    def day_of(self, text: str) -> date:
        """The day of '2025-10-26T12:00'; ValueError for what is none, or in the future."""
        text = text[:10]
        if text not in self._known:
            try:
                day = date.fromisoformat(text)
            except ValueError:
                raise ValueError(f"no date: {text!r}") from None
            if day > self.today:
                raise ValueError(f"a date in the future: {text}")
            if len(self._known) > 2 * self.keep:
                self._known.clear()
            self._known[text] = day
        return self._known[text]

    def add_all(self, values_of_day: Mapping[date, Sequence[float]]) -> None:
        """Count the values of some days."""
        for day, values in values_of_day.items():
            self._pane(day).add_all(values)
        self._forget()

    def merge(self, other: "Panes") -> None:
        """Count all that `other` has counted."""
        for day, pane in other.days.items():
            self._pane(day).merge(pane)
        self.late += other.late
        self._forget()

    def windows(self, width: int) -> Iterator[tuple[date, Moments]]:
        """For each day from the first to the newest: the moments of the `width` days up to it."""
        if not self.days:
            return
        day, newest = min(self.days), max(self.days)
        while day <= newest:
            window = self.number.moments()
            for back in range(width):
                if pane := self.days.get(day - back * ONE_DAY):
                    window.merge(pane)
            yield day, window
            day += ONE_DAY

    def _pane(self, day: date) -> Moments:
        if day not in self.days:
            self.days[day] = self.number.moments()
        return self.days[day]

    def _forget(self) -> None:
        """Drop the panes that are too old; in any order of the rows the same ones end here."""
        oldest = max(self.days, default=self.today) - (self.keep - 1) * ONE_DAY
        for day in [day for day in self.days if day < oldest]:
            self.late += self.days.pop(day).count
