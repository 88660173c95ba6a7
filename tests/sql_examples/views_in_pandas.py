"""The views of lesson sql/05 once more, in pandas, NumPy and plain Python.

Each function computes what the view of its name shows, by another way than the SQL: arrays that
are cut instead of NTILE, a matrix product instead of a self-join, weights instead of two averages.
"""

import math
from collections import Counter
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pandas as pd

from tests.sql_examples.shop_frames import NOW, Shop

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def daily_sales(shop: Shop) -> pd.DataFrame:
    days = shop.orders.ordered_at.dt.normalize()
    every_day = pd.date_range(days.min(), days.max())
    kept = shop.orders.cents.where(shop.orders.status == "completed", 0)
    daily = pd.DataFrame(
        {
            "orders": days.value_counts().reindex(every_day, fill_value=0),
            "revenue": kept.groupby(days).sum().reindex(every_day, fill_value=0) / 100,
        }
    )
    daily["ma_7day"] = daily.revenue.rolling(7, min_periods=1).mean()
    daily["ma_28day"] = daily.revenue.rolling(28, min_periods=1).mean()
    daily["running_total"] = daily.revenue.cumsum()
    daily["year_to_date"] = daily.revenue.groupby(every_day.year).cumsum()
    return daily.rename_axis("date").reset_index()


def monthly_sales(shop: Shop) -> pd.DataFrame:
    daily = daily_sales(shop).set_index("date")
    monthly = daily[["orders", "revenue"]].resample("MS").sum()
    monthly["days"] = daily.resample("MS").size()
    monthly["whole"] = monthly.days == monthly.index.days_in_month
    whole = monthly.revenue.where(monthly.whole)
    monthly["mom_pct"] = 100 * whole.pct_change(1, fill_method=None)
    monthly["yoy_pct"] = 100 * whole.pct_change(12, fill_method=None)
    monthly["running_total"] = monthly.revenue.cumsum()
    return monthly.rename_axis("month").reset_index()


def seasonality_weekday(shop: Shop) -> pd.DataFrame:
    daily = daily_sales(shop)
    means = daily.groupby(daily.date.dt.day_of_week)[["orders", "revenue"]].mean()
    index = means / means.mean()
    return pd.DataFrame(
        {
            "weekday": range(1, 8),
            "name": DAYS,
            "orders_a_day": means.orders,
            "revenue_a_day": means.revenue,
            "orders_index": index.orders,
            "revenue_index": index.revenue,
        }
    )


def _season(months: pd.DatetimeIndex, a_day: np.ndarray) -> pd.Series:
    """Index by month: ratios to a centred mean of 13 months whose ends weigh half."""
    weights = np.array([0.5, *[1.0] * 11, 0.5]) / 12
    level = np.convolve(a_day, weights, mode="valid")
    ratios = pd.Series(a_day[6:-6] / level, index=months[6:-6].month)
    index = ratios.groupby(level=0).mean()
    return index / index.mean()


def seasonality_month(shop: Shop) -> pd.DataFrame:
    monthly = monthly_sales(shop)
    monthly = monthly[monthly.whole]
    months = pd.DatetimeIndex(monthly.month)
    years = pd.Series(months[6:-6].month).value_counts().sort_index()
    seasons = {
        f"{name}_index": _season(months, (monthly[name] / monthly.days).to_numpy())
        for name in ("orders", "revenue")
    }
    names = pd.date_range("2025-01-01", periods=12, freq="MS").month_name()
    table = pd.DataFrame(seasons).rename_axis("month_of_year").reset_index()
    return table.assign(name=names, years=years.to_numpy())


def sales_trend(shop: Shop) -> pd.DataFrame:
    monthly = monthly_sales(shop)
    monthly = monthly[monthly.whole]
    season = seasonality_month(shop).set_index("month_of_year")
    rows = []
    for name in ("orders", "revenue"):
        factor = monthly.month.dt.month.map(season[f"{name}_index"].round(3))
        level = np.log((monthly[name] / monthly.days / factor).to_numpy())
        position = np.arange(len(level))
        slope = np.polyfit(position, level, 1)[0]
        growth = math.exp(slope)
        r2 = np.corrcoef(position, level)[0, 1] ** 2
        rows.append((name, len(level), 100 * growth - 100, 100 * growth**12 - 100, r2))
    return pd.DataFrame(
        rows, columns=["measure", "months", "growth_month_pct", "growth_year_pct", "r2"]
    )


def _ages(shop: Shop) -> pd.DataFrame:
    """Every order with the cohort of its customer and the whole months since."""
    orders = shop.orders.merge(shop.customers[["customer_id", "registration_date"]])
    born = orders.registration_date.dt.to_period("M")
    now = orders.ordered_at.dt.to_period("M")
    ages = [(later - earlier).n for later, earlier in zip(now, born, strict=True)]
    return orders.assign(cohort=born, month_number=ages)


def _cohort_grid(shop: Shop) -> pd.DataFrame:
    """Every cohort with every month it has lived, and its customers."""
    sizes = shop.customers.registration_date.dt.to_period("M").value_counts()
    today = NOW.to_period("M")
    rows = [
        (cohort, month, size)
        for cohort, size in sizes.items()
        for month in range((today - cohort).n + 1)
    ]
    return pd.DataFrame(rows, columns=["cohort", "month_number", "customers"])


def cohort_retention(shop: Shop) -> pd.DataFrame:
    pairs = set(_ages(shop)[["customer_id", "cohort", "month_number"]].itertuples(index=False))
    active = Counter((cohort, month) for _, cohort, month in pairs)
    grid = _cohort_grid(shop)
    grid["active"] = [active[key] for key in zip(grid.cohort, grid.month_number, strict=True)]
    grid["retention_pct"] = 100 * grid.active / grid.customers
    return grid.assign(cohort=grid.cohort.dt.to_timestamp())


def retention_curve(shop: Shop) -> pd.DataFrame:
    sums = cohort_retention(shop).groupby("month_number")[["customers", "active"]].sum()
    sums["retention_pct"] = 100 * sums.active / sums.customers
    return sums.reset_index()


def cohort_ltv(shop: Shop) -> pd.DataFrame:
    orders = _ages(shop)
    orders = orders[orders.status == "completed"]
    income = orders.groupby(["cohort", "month_number"]).cents.sum()
    grid = _cohort_grid(shop).set_index(["cohort", "month_number"]).sort_index()
    grid["revenue"] = income.reindex(grid.index, fill_value=0) / 100
    grid["revenue_to_date"] = grid.groupby(level=0).revenue.cumsum()
    grid["ltv"] = grid.revenue_to_date / grid.customers
    grid = grid.reset_index()
    return grid.assign(cohort=grid.cohort.dt.to_timestamp())


def web_sessions(shop: Shop) -> pd.DataFrame:
    first = shop.web_events.pivot_table(
        index="session_id", columns="event_type", values="occurred_at", aggfunc="min"
    )
    names = {"view": "viewed_at", "cart": "carted_at", "checkout": "checkout_at"}
    first = first.rename(columns={**names, "purchase": "purchased_at"})
    signed_in = shop.web_events.dropna(subset="customer_id").drop_duplicates("session_id")
    first["customer_id"] = signed_in.set_index("session_id").customer_id
    return first.reset_index()


def _journey(name: str, steps: dict[str, pd.Series]) -> pd.DataFrame:
    """Steps by name; each Series says when somebody reached the step, NaT for never."""
    times = list(steps.values())
    reached = [int(time.notna().sum()) for time in times]
    waits = [(later - earlier).dropna().median() for earlier, later in pairwise(times)]
    return pd.DataFrame(
        {
            "journey": name,
            "step_number": range(1, len(steps) + 1),
            "step": list(steps),
            "reached": reached,
            "conversion_pct": [math.nan, *(100 * b / a for a, b in pairwise(reached))],
            "of_first_pct": [100 * count / reached[0] for count in reached],
            "seconds": [math.nan, *(wait.total_seconds() for wait in waits)],
        }
    )


def funnel(shop: Shop) -> pd.DataFrame:
    when = shop.orders.groupby("customer_id").ordered_at.apply(sorted)
    customers = shop.customers.set_index("customer_id")
    nth = {
        n: when[when.map(len) >= n].map(lambda times, n=n: times[n - 1]).reindex(customers.index)
        for n in (1, 2, 5)
    }
    visits = web_sessions(shop)
    steps = {"Order": nth[1], "Repeat": nth[2], "Loyal": nth[5]}
    names = ("View", "Cart", "Checkout", "Purchase")
    columns = ("viewed_at", "carted_at", "checkout_at", "purchased_at")
    return pd.concat(
        [
            _journey("customers", {"Registration": customers.registration_date, **steps}),
            _journey("visits", dict(zip(names, (visits[c] for c in columns), strict=True))),
        ]
    )


def _fifths(values: pd.Series) -> dict[int, int]:
    """1 to 5 by customer: customers sorted by value and number, cut into five arrays."""
    ordered = sorted(values.items(), key=lambda item: (item[1], item[0]))
    parts = np.array_split([customer for customer, _ in ordered], 5)
    return {int(customer): n for n, part in enumerate(parts, 1) for customer in part}


def rfm(shop: Shop) -> pd.DataFrame:
    by_customer = shop.orders.groupby("customer_id")
    last = by_customer.ordered_at.max().dt.normalize()
    kept = shop.orders[shop.orders.status == "completed"].groupby("customer_id").cents.sum()
    table = pd.DataFrame(
        {
            "recency_days": (NOW - last).dt.days,
            "frequency": by_customer.size(),
            "monetary": kept.reindex(last.index, fill_value=0) / 100,
        }
    )
    scores = {
        "r": _fifths(-table.recency_days),
        "f": _fifths(table.frequency),
        "m": _fifths(table.monetary),
    }
    for name, score in scores.items():
        table[name] = table.index.map(score)
    table["segment"] = [_segment(*row) for row in table[["r", "f", "m"]].itertuples(index=False)]
    return table.reset_index()


def _segment(r: int, f: int, m: int) -> str:
    """The segment as a table: rows are recency, columns frequency."""
    champion = "Champions" if m >= 4 else "Loyal"
    board = {
        5: ["New", "New", "Loyal", champion, champion],
        4: ["New", "New", "Loyal", champion, champion],
        3: ["Promising", "Promising", "Loyal", "Loyal", "Loyal"],
        2: ["Hibernating", "Hibernating", "At Risk", "At Risk", "At Risk"],
        1: ["Lost", "Lost", "At Risk", "At Risk", "At Risk"],
    }
    return board[r][f - 1]


def customer_kinds(shop: Shop) -> pd.DataFrame:
    rows = []
    for customer, born in zip(
        shop.customers.customer_id, shop.customers.registration_date, strict=True
    ):
        own = shop.orders_of.get(customer, ())
        days = [(NOW - order.day).days for order in own]
        recency = min(days, default=(NOW - born).days)
        recent = sum(day < 365 for day in days)
        monetary = sum(order.cents for order in own if order.status == "completed") / 100
        if recency >= 240 or (not days and born < pd.Timestamp("2025-08-01")):
            kind = "dormant"
        elif recency >= 91:
            kind = "at risk"
        else:
            kind = "vip" if recent >= 14 else "active"
        rows.append((customer, born, recency, len(days), recent, monetary, kind))
    names = ["customer_id", "registration_date", "recency_days", "frequency", "orders_last_year"]
    return pd.DataFrame(rows, columns=[*names, "monetary", "kind"])


def normal_tail(z: float) -> float:
    """The chance of a standard normal figure further from 0 than z, either way."""
    return 2 * NormalDist().cdf(-abs(z))
