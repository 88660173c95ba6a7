"""Split in time: train, validate, test.

A model is used on days that it hasn't seen. So it is tested on days that it hasn't seen: the
first 60 % of the flights train it, the next 20 % choose between models, the last 20 % are the
exam. Write `time_split`: three DataFrames, each sorted by departure_time.

Whole days stay together: flights of one day share their weather, and must not be on both sides of
a cut. So a cut is moved to the beginning of the day in which it falls: the day goes to the later
part. The flights may come in any order. `flights` must not be changed.
"""

import pandas as pd


def time_split(
    flights: pd.DataFrame, train: float = 0.6, validate: float = 0.2
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """(train, validate, test) by departure_time, whole days together."""
    raise NotImplementedError("TODO: sort, find the two cuts, move them to midnight")
