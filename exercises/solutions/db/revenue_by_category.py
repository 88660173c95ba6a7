"""Let the database add up: eight rows travel, pandas makes the shares."""

from datetime import date

import pandas as pd
from sqlalchemy import Connection, text

REVENUE = text(
    """
    SELECT category, sum(quantity * unit_price)::float AS revenue
    FROM order_items
    JOIN orders USING (order_id)
    JOIN products USING (product_id)
    WHERE status = 'completed' AND ordered_at >= :since
    GROUP BY category
    ORDER BY revenue DESC
    """
)


def revenue_by_category(connection: Connection, since: date) -> pd.DataFrame:
    """category, revenue, share: one row a category, the largest revenue first."""
    frame = pd.read_sql(REVENUE, connection, params={"since": since})
    frame["share"] = (100 * frame["revenue"] / frame["revenue"].sum()).round(1)
    return frame
