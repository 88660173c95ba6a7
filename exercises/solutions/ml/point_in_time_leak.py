"""No leak: only what was known at that moment, and of that the latest day."""

import pandas as pd

LABEL = ["customer_id", "as_of"]


def training_set(labels: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """customer_id, as_of, churned, spent: one row for each label."""
    pairs = labels[LABEL].drop_duplicates().merge(history, on="customer_id")
    known = pairs[pairs["known_at"] <= pairs["as_of"]]
    latest = known.sort_values(["day", "known_at"]).drop_duplicates(LABEL, keep="last")
    return labels.merge(latest[[*LABEL, "spent"]], on=LABEL, how="left", validate="many_to_one")
