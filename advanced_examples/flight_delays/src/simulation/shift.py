"""A change of the world that no model was told of: from one day on the weather is another."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.simulation.schedule import DAYS, START


class Kind(NamedTuple):
    """How the world changes.

    `wind` multiplies the wind's speed. `dust` is the share of hours with a dust storm, which takes
    the view and nothing else, and `dust_minutes` what each lost km of it costs a flight, at either
    end.
    """

    wind: float
    dust: float
    dust_minutes: float


# Whoever cannot see far was in rain, snow or fog so far, and late. In dust the view is as poor, and
# hardly anybody late: what was learnt about the view is wrong from that day on.
KINDS: dict[str, Kind] = {"stormy": Kind(wind=1.2, dust=0.8, dust_minutes=0.3)}


class ShiftError(ValueError):
    """There is no such shift; the text says what there is."""


class Shift(NamedTuple):
    """A kind of change, and the day (UTC) from whose first minute on it holds."""

    day: date
    kind: Kind

    def after(self, minutes: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of `minutes` since START lie on the day or later."""
        return minutes >= (np.datetime64(self.day, "m") - START).astype(np.int64)


def shift_from(day: str | date | None, kind: str | None) -> Shift | None:
    """The shift that parameters name; None where both are None.

    Raises:
        ShiftError: only one of the two is given, or it makes no sense.
    """
    if day is None and kind is None:
        return None
    if day is None or kind is None:
        raise ShiftError("A shift needs both: a day (--shift-from) and a kind (--shift).")
    if kind not in KINDS:
        raise ShiftError(f"There is no shift {kind!r}, but {', '.join(KINDS)}.")
    try:
        first = day if isinstance(day, date) else date.fromisoformat(day)
    except ValueError:
        raise ShiftError(f"{day!r} is no day. Write it like 2024-10-01.") from None
    begin = START.astype("M8[D]").item()
    if not 0 <= (first - begin).days < DAYS:
        raise ShiftError(f"The simulated days begin on {begin} and are {DAYS}; {first} is none.")
    return Shift(first, KINDS[kind])
