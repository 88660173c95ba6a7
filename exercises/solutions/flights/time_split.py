"""Split in time: two cuts, moved to the midnight before them."""

import pandas as pd


def time_split(
    flights: pd.DataFrame, train: float = 0.6, validate: float = 0.2
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """(train, validate, test) by departure_time, whole days together."""
    ordered = flights.sort_values("departure_time", kind="stable")
    time = ordered["departure_time"]
    first = midnight(time, train)
    second = midnight(time, train + validate)
    return (
        ordered[time < first],
        ordered[(time >= first) & (time < second)],
        ordered[time >= second],
    )


def midnight(time: pd.Series, share: float) -> pd.Timestamp:
    """The midnight before the first flight that doesn't belong to the first `share`."""
    # 0.6 + 0.2 is not exactly 0.8: without rounding, a cut could be one flight off.
    place = int(round(len(time) * share, 9))
    return time.iloc[min(place, len(time) - 1)].normalize()
