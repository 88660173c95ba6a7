"""Let the database add up, let pandas show.

Write `revenue_by_category`: a DataFrame with the columns `category`, `revenue` (euros, floats) and
`share` (percent of the whole, 1 digit), the largest revenue first. Only completed orders count,
from the day `since` on. A line brings `quantity * unit_price`.

Tables: orders(order_id, ordered_at, status), order_items(order_id, product_id, quantity,
unit_price), products(product_id, category). The database should do the adding: eight rows must
travel, not fifty thousand. `connection` is an SQLAlchemy connection: `pd.read_sql(text("…:since"),
connection, params={"since": since})`.
"""

from datetime import date

import pandas as pd
from sqlalchemy import Connection


def revenue_by_category(connection: Connection, since: date) -> pd.DataFrame:
    """category, revenue, share: one row a category, the largest revenue first."""
    raise NotImplementedError("TODO: GROUP BY in SQL, the share in either")
