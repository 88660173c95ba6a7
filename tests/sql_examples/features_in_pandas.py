"""The feature views once more: customer by customer, in plain Python."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pandas as pd

from tests.sql_examples.shop_frames import NOW, Shop
from tests.sql_examples.views_in_pandas import daily_sales

DIGITS = {
    "avg_order_value": 2,
    "avg_days_between_orders": 2,
    "web_share": 4,
    "mobile_share": 4,
    "store_share": 4,
    "country_share": 4,
}
HORIZON = timedelta(days=90)


def customer_features_as_of(shop: Shop, day: pd.Timestamp) -> pd.DataFrame:
    """What analytics.customer_features_as_of(day) answers."""
    category = dict(zip(shop.products.product_id, shop.products.category, strict=True))
    known = [row for row in shop.customers.itertuples() if row.registration_date <= day]
    countries = Counter(row.country for row in known)
    rows = []
    for person in known:
        own = [order for order in shop.orders_of.get(person.customer_id, ()) if order.day <= day]
        row = {
            "customer_id": person.customer_id,
            "as_of": day,
            "tenure_days": (day - person.registration_date).days,
            "registration_month": person.registration_date.month,
            "country": person.country,
            "country_share": countries[person.country] / len(known),
            **_windows(own, day),
        }
        tastes: Counter[str] = Counter()
        for order in own:
            for product, quantity in shop.lines_of[order.order_id]:
                tastes[category[product]] += quantity
        favourite = min(tastes, key=lambda name: (-tastes[name], name), default=None)
        rows.append({**row, **_history(own, day), "favourite_category": favourite})
    return pd.DataFrame(rows)


def _windows(own: list[Any], day: pd.Timestamp) -> dict[str, Any]:
    """Counts and sums of the days before."""
    ages = [(day - order.day).days for order in own]
    spent = [(age, order.cents) for age, order in zip(ages, own, strict=True)]
    return {
        "total_orders": len(own),
        "total_spent": sum(order.cents for order in own) / 100,
        "orders_30d": sum(age < 30 for age in ages),
        "orders_90d": sum(age < 90 for age in ages),
        "orders_365d": sum(age < 365 for age in ages),
        "spent_90d": sum(cents for age, cents in spent if age < 90) / 100,
        "spent_90d_before": sum(cents for age, cents in spent if 90 <= age < 180) / 100,
    }


def _history(own: list[Any], day: pd.Timestamp) -> dict[str, Any]:
    """What can be said of those only who ordered: None where there is nothing to know."""
    dates = [order.day for order in own]
    gaps = [(later - earlier).days for earlier, later in pairwise(dates)]
    channels = Counter(order.channel for order in own)
    some = len(own) or None
    return {
        "days_since_last_order": (day - dates[-1]).days if some else None,
        "avg_order_value": sum(order.cents for order in own) / 100 / some if some else None,
        "last_order_value": own[-1].cents / 100 if some else None,
        "previous_order_value": own[-2].cents / 100 if gaps else None,
        "days_between_last_two": gaps[-1] if gaps else None,
        "avg_days_between_orders": sum(gaps) / len(gaps) if gaps else None,
        "last_order_weekday": dates[-1].isoweekday() if some else None,
        **{f"{c}_share": channels[c] / some if some else None for c in ("web", "mobile", "store")},
        "last_channel": own[-1].channel if some else None,
    }


def of_today(shop: Shop) -> pd.DataFrame:
    return customer_features_as_of(shop, NOW)


def churn_labels_as_of(shop: Shop, day: pd.Timestamp) -> pd.DataFrame:
    """Customers who had ordered, less those who ordered in the 90 days after."""
    end = day + timedelta(days=1)
    before = set(shop.orders.customer_id[shop.orders.ordered_at < end])
    after = shop.orders[(shop.orders.ordered_at >= end) & (shop.orders.ordered_at < end + HORIZON)]
    stayed = before & set(after.customer_id)
    rows = [(number, day, number not in stayed) for number in sorted(before)]
    return pd.DataFrame(rows, columns=["customer_id", "as_of", "churned"])


def training(shop: Shop) -> pd.DataFrame:
    day = NOW - HORIZON
    labels = churn_labels_as_of(shop, day).drop(columns="as_of")
    return customer_features_as_of(shop, day).merge(labels, on="customer_id")


def sales_features(shop: Shop) -> pd.DataFrame:
    """Each day beside slices of the list of the days before it."""
    daily = daily_sales(shop)
    revenue = daily.revenue.tolist()
    rows = []
    for n, (date, value) in enumerate(zip(daily.date, revenue, strict=True)):
        week, month = pd.Series(revenue[max(n - 7, 0) : n]), revenue[max(n - 28, 0) : n]
        lags = {f"lag_{k}": revenue[n - k] if n >= k else None for k in (1, 7, 364)}
        rows.append(
            {
                "date": date,
                "revenue": value,
                **lags,
                "mean_7": week.mean() if n else None,
                "std_7": week.std() if n > 1 else None,
                "mean_28": sum(month) / len(month) if n else None,
                "weekday": date.isoweekday(),
                "is_weekend": date.isoweekday() in (6, 7),
                "day_of_month": date.day,
                "month": date.month,
            }
        )
    return pd.DataFrame(rows)
