"""The views about products, orders and the experiment once more, in pandas and NumPy."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd

from tests.sql_examples.shop_frames import Shop
from tests.sql_examples.views_in_pandas import daily_sales, normal_tail, rfm, web_sessions


def product_affinity(shop: Shop) -> pd.DataFrame:
    """Orders × products as a matrix of 0 and 1; its square counts the pairs."""
    products = len(shop.products)
    holds = np.zeros((len(shop.orders), products), dtype=np.float32)
    orders = np.searchsorted(shop.orders.order_id, shop.order_items.order_id)
    holds[orders, shop.order_items.product_id - 1] = 1
    together = holds.T @ holds
    names = shop.products.name.tolist()
    rows = []
    for a in range(products):
        for b in range(a + 1, products):
            both, one, other = together[a, b], together[a, a], together[b, b]
            if both >= 50:
                share = both / len(shop.orders)
                chance = (one / len(shop.orders)) * (other / len(shop.orders))
                figures = (100 * share, 100 * both / one, 100 * both / other, share / chance)
                rows.append((names[a], names[b], both, *figures))
    columns = ["product_a", "product_b", "together", "support_pct", "confidence_pct"]
    return pd.DataFrame(rows, columns=[*columns, "confidence_back_pct", "lift"])


def abc(shop: Shop) -> pd.DataFrame:
    items = shop.order_items.merge(shop.orders[["order_id", "status"]])
    items = items[items.status == "completed"]
    income = (items.quantity * items.cents).groupby(items.product_id).sum()
    products = shop.products.assign(
        cents=shop.products.product_id.map(income).fillna(0).astype(int)
    ).sort_values(["cents", "product_id"], ascending=[False, True])
    whole, before, classes, cumulative = products.cents.sum(), 0, [], []
    for cents in products.cents:
        classes.append("A" if before < 0.8 * whole else "B" if before < 0.95 * whole else "C")
        before += cents
        cumulative.append(100 * before / whole)
    return products.assign(
        place=range(1, len(products) + 1),
        revenue=products.cents / 100,
        share_pct=100 * products.cents / whole,
        cumulative_pct=cumulative,
        **{"class": classes},
    ).drop(columns=["cents", "price"])


def price_changes(shop: Shop) -> pd.DataFrame:
    """Go through the items in the order of time and note each price that is new for a product."""
    items = shop.order_items.merge(shop.orders[["order_id", "ordered_at"]])
    paid: dict[int, list[int]] = {}
    rows = []
    ordered = items.sort_values(["ordered_at", "cents"])
    for product, cents, at in zip(
        ordered.product_id, ordered.cents, ordered.ordered_at, strict=True
    ):
        prices = paid.setdefault(product, [])
        if cents in prices:
            continue
        if prices:
            old = prices[-1]
            change = 100 * cents / old - 100
            rows.append((product, old / 100, cents / 100, change, at.normalize()))
        prices.append(cents)
    columns = ["product_id", "old_price", "new_price", "change_pct", "first_paid_on"]
    changes = pd.DataFrame(rows, columns=columns)
    return changes.merge(shop.products[["product_id", "name", "category"]])


def order_percentiles(shop: Shop) -> pd.DataFrame:
    orders = shop.orders[shop.orders.status == "completed"]
    groups = {"all": orders, **dict(list(orders.groupby("channel")))}
    rows = []
    for channel, group in groups.items():
        euros = group.cents.to_numpy() / 100
        quantiles = np.quantile(euros, [0.25, 0.5, 0.75, 0.9, 0.99])
        rows.append((channel, len(euros), euros.mean(), euros.std(ddof=1), *quantiles))
    columns = ["channel", "orders", "mean", "stddev", "p25", "median", "p75", "p90", "p99"]
    return pd.DataFrame(rows, columns=columns)


def order_outliers(shop: Shop) -> pd.DataFrame:
    largest = shop.order_items.groupby("order_id").quantity.max()
    totals = shop.orders.set_index("order_id").cents / 100
    parts = []
    for measure, values in (("total", totals), ("largest line", largest)):
        low, high = np.quantile(values, [0.25, 0.75])
        distance = np.maximum(low - values, values - high) / (high - low)
        found = pd.DataFrame({"value": values, "measure": measure}).loc[distance > 1.5]
        found["lower_fence"] = low - 1.5 * (high - low)
        found["upper_fence"] = high + 1.5 * (high - low)
        found["grade"] = np.where(distance[distance > 1.5] > 3, "extreme", "mild")
        parts.append(found.reset_index())
    return pd.concat(parts)


def correlations(shop: Shop) -> pd.DataFrame:
    customers, daily = rfm(shop), daily_sales(shop)
    sold = shop.order_items.groupby("product_id").quantity.sum()
    prices = shop.products.set_index("product_id").price.loc[sold.index]
    pairs = {
        ("frequency", "monetary"): (customers.frequency, customers.monetary),
        ("recency_days", "frequency"): (customers.recency_days, customers.frequency),
        ("orders of a day", "revenue of a day"): (daily.orders, daily.revenue),
        ("price", "pieces sold"): (prices, sold),
    }
    rows = []
    for names, (x, y) in pairs.items():
        r = np.corrcoef(x, y)[0, 1]
        rows.append((*names, len(x), r, r * r, *np.polyfit(x, y, 1)))
    columns = ["x_name", "y_name", "n", "r", "r2", "slope", "intercept"]
    return pd.DataFrame(rows, columns=columns)


def ab_test(shop: Shop) -> pd.DataFrame:
    visits = web_sessions(shop).merge(shop.customers[["customer_id", "ab_group"]])
    steps = {"cart to checkout": ("carted_at", "checkout_at")}
    steps["checkout to purchase"] = ("checkout_at", "purchased_at")
    rows = []
    for step, (start, goal) in steps.items():
        tried = visits[visits[start].notna()]
        wins = tried[goal].notna().groupby(tried.ab_group)
        (n_a, n_b), (p_a, p_b) = wins.count(), wins.mean()
        pooled = (n_a * p_a + n_b * p_b) / (n_a + n_b)
        z = (p_b - p_a) / math.sqrt(pooled * (1 - pooled) * (n_a + n_b) / (n_a * n_b))
        error = math.sqrt(p_a * (1 - p_a) / n_a + p_b * (1 - p_b) / n_b)
        interval = NormalDist(p_b - p_a, error)
        limits = (100 * interval.inv_cdf(0.025), 100 * interval.inv_cdf(0.975))
        rows.append((step, n_a, n_b, 100 * p_a, 100 * p_b, z, normal_tail(z), *limits))
    columns = ["step", "visits_a", "visits_b", "rate_a_pct", "rate_b_pct", "z", "p_value"]
    return pd.DataFrame(rows, columns=[*columns, "ci_low", "ci_high"])


def channel_status(shop: Shop) -> pd.DataFrame:
    shares = pd.crosstab(shop.orders.channel, shop.orders.status, normalize="index") * 100
    shares = shares.add_suffix("_pct")
    shares["orders"] = shop.orders.channel.value_counts()
    return shares.rename_axis(columns=None).reset_index()
