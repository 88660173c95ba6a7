"""Nobody lost, nobody twice: left merges, and one row a customer on every right side."""

import pandas as pd


def spend_per_customer(
    customers: pd.DataFrame, orders: pd.DataFrame, addresses: pd.DataFrame
) -> pd.DataFrame:
    """customer_id, name, city, spent: one row a customer, in the order of `customers`."""
    spent = orders.groupby("customer_id")["total"].sum().rename("spent").reset_index()
    first = addresses.drop_duplicates("customer_id")
    merged = customers.merge(first, on="customer_id", how="left", validate="one_to_one").merge(
        spent, on="customer_id", how="left", validate="one_to_one"
    )
    merged["spent"] = merged["spent"].fillna(0.0)
    return merged[["customer_id", "name", "city", "spent"]]
