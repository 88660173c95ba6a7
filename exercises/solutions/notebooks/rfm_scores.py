"""RFM scores: cut the ranks, not the values, so that equal ones can be divided."""

import pandas as pd

UPWARDS = [1, 2, 3, 4, 5]


def rfm_scores(customers: pd.DataFrame) -> pd.DataFrame:
    """r, f, m from 1 to 5 (5 is best), the index of `customers`."""
    return pd.DataFrame(
        {
            "r": fifths(customers["recency"], UPWARDS[::-1]),
            "f": fifths(customers["frequency"], UPWARDS),
            "m": fifths(customers["monetary"], UPWARDS),
        }
    )


def fifths(values: pd.Series, labels: list[int]) -> pd.Series:
    """The label of the fifth in which each value lies, from the smallest values on."""
    return pd.qcut(values.rank(method="first"), 5, labels=labels).astype(int)
