"""The same features once more, as somebody wrote them for the website: step 2 of the lesson.

Nothing here is a mistake in itself. Compare it with `customer_features_as_of`, line by line.
"""

from datetime import datetime, timedelta

import pandas as pd

from course.settings import TODAY
from feature_store.classroom import IN_PLAIN_SQL, ask

ORDERS = "SELECT customer_id, ordered_at, status, total::float8 FROM orders ORDER BY ordered_at"


def features_for_the_website(now: datetime) -> pd.DataFrame:
    """A row for each customer, with the columns of IN_PLAIN_SQL, as of `now`."""
    orders = ask(ORDERS)
    kept = orders[orders["status"] == "completed"].groupby("customer_id")
    recent = orders[orders["ordered_at"] > now - timedelta(days=90)].groupby("customer_id")
    found = pd.DataFrame({
        "recency_days": (now - orders.groupby("customer_id")["ordered_at"].max()).dt.days,
        "frequency": kept.size(),
        "monetary_value": kept["total"].sum(),
        "avg_order_value": kept["total"].mean(),
        "orders_90d": recent.size(),
        "spent_90d": recent["total"].sum(),
    })  # fmt: skip
    rest = ask(IN_PLAIN_SQL, TODAY)[["customer_id", "tenure_days", "avg_days_between_orders"]]
    return rest.merge(found.reset_index(), how="left").fillna(0)
