"""A point-in-time leak: the model that knew the future.

A model is trained on what customers had spent when a label was made. In training it was
brilliant, in production it is useless: the training set holds values that nobody knew at that
moment. A day's figure is about `day`, but it arrives later, at `known_at`, and some days are
corrected later still.

Repair `training_set`. For each label: of what was *known* by `as_of` (known_at <= as_of), take
the value of the latest day; when that day was known twice by then, the value that came last. A
label for which nothing was known has NaN. The result has one row for each label, in the order of
`labels`.

labels: customer_id, as_of (datetime), churned.   history: customer_id, day, known_at, spent.
"""

import pandas as pd


def training_set(labels: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """customer_id, as_of, churned, spent: one row for each label."""
    # TODO: what was known at that moment?
    latest = history.sort_values("day").drop_duplicates("customer_id", keep="last")
    return labels.merge(latest[["customer_id", "spent"]], on="customer_id", how="left")
