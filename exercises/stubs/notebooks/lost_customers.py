"""The customers that a merge lost.

`spend_per_customer` shall give one row for each customer: what they spent, 0.0 for those who never
ordered. The average comes out far too high, and some customers stand there twice. There are two
mistakes in it. Find and repair both.

`customers` has the columns customer_id, name. `orders` has order_id, customer_id, total.
`addresses` has customer_id, city: a customer may have several, of which the first one counts.
"""

import pandas as pd


def spend_per_customer(
    customers: pd.DataFrame, orders: pd.DataFrame, addresses: pd.DataFrame
) -> pd.DataFrame:
    """customer_id, name, city, spent: one row a customer, in the order of `customers`."""
    # TODO: who gets lost, and who is counted twice?
    spent = orders.groupby("customer_id")["total"].sum().rename("spent").reset_index()
    merged = customers.merge(addresses, on="customer_id").merge(spent, on="customer_id")
    return merged[["customer_id", "name", "city", "spent"]]
