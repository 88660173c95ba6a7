"""Lesson sql/05: every view says what pandas says, and finds what was planted."""

import re
from collections.abc import Callable

import pandas as pd
import psycopg2.extensions as pg
import pytest

from course.analytics import LESSON
from course.shop import truths
from course.shop.baskets import outlier_order_ids
from course.shop.people import kind_of
from tests.sql_examples import features_in_pandas as features
from tests.sql_examples import more_views_in_pandas as more
from tests.sql_examples import views_in_pandas as views
from tests.sql_examples.shop_frames import Shop, frame

EPSILON = 1e-6  # beside half a unit of the last digit that a view shows
SECONDS = "SELECT *, extract(epoch FROM median_time) AS seconds FROM analytics.funnel"

# For each view: the other way, the key, and how many digits rounded columns show.
CASES: dict[str, tuple[Callable[[Shop], pd.DataFrame], list[str], dict[str, int]]] = {
    "daily_sales": (views.daily_sales, ["date"], {"ma_7day": 2, "ma_28day": 2}),
    "monthly_sales": (views.monthly_sales, ["month"], {"mom_pct": 1, "yoy_pct": 1}),
    "seasonality_weekday": (
        views.seasonality_weekday,
        ["weekday"],
        {"orders_a_day": 2, "revenue_a_day": 2, "orders_index": 3, "revenue_index": 3},
    ),
    "seasonality_month": (
        views.seasonality_month,
        ["month_of_year"],
        {"orders_index": 3, "revenue_index": 3},
    ),
    "sales_trend": (
        views.sales_trend,
        ["measure"],
        {"growth_month_pct": 2, "growth_year_pct": 1, "r2": 3},
    ),
    "cohort_retention": (
        views.cohort_retention,
        ["cohort", "month_number"],
        {"retention_pct": 1},
    ),
    "retention_curve": (views.retention_curve, ["month_number"], {"retention_pct": 1}),
    "cohort_ltv": (views.cohort_ltv, ["cohort", "month_number"], {"ltv": 2}),
    "web_sessions": (views.web_sessions, ["session_id"], {}),
    "funnel": (
        views.funnel,
        ["journey", "step_number"],
        {"conversion_pct": 1, "of_first_pct": 1, "seconds": 0},
    ),
    "rfm": (views.rfm, ["customer_id"], {}),
    "customer_kinds": (views.customer_kinds, ["customer_id"], {}),
    "product_affinity": (
        more.product_affinity,
        ["product_a", "product_b"],
        {"support_pct": 3, "confidence_pct": 1, "confidence_back_pct": 1, "lift": 2},
    ),
    "abc": (more.abc, ["place"], {"share_pct": 2, "cumulative_pct": 2}),
    "price_changes": (more.price_changes, ["product_id"], {"change_pct": 2}),
    "order_percentiles": (
        more.order_percentiles,
        ["channel"],
        dict.fromkeys(["mean", "stddev", "p25", "median", "p75", "p90", "p99"], 2),
    ),
    "order_outliers": (
        more.order_outliers,
        ["order_id", "measure"],
        {"lower_fence": 2, "upper_fence": 2},
    ),
    "correlations": (
        more.correlations,
        ["x_name", "y_name"],
        {"r": 3, "r2": 3, "slope": 3, "intercept": 2},
    ),
    "ab_test": (
        more.ab_test,
        ["step"],
        {"rate_a_pct": 2, "rate_b_pct": 2, "z": 2, "p_value": 6, "ci_low": 2, "ci_high": 2},
    ),
    "channel_status": (
        more.channel_status,
        ["channel"],
        {"completed_pct": 1, "cancelled_pct": 1, "refunded_pct": 1},
    ),
    "customer_features": (features.of_today, ["customer_id"], features.DIGITS),
    "churn_features": (features.of_today, ["customer_id"], features.DIGITS),
    "churn_training": (features.training, ["customer_id"], features.DIGITS),
    "sales_features": (
        features.sales_features,
        ["date"],
        {"mean_7": 2, "std_7": 2, "mean_28": 2},
    ),
}


def assert_same(
    found: pd.DataFrame, wanted: pd.DataFrame, key: list[str], digits: dict[str, int]
) -> None:
    """The same rows, and in each column the same values, up to how a column is rounded."""
    assert set(wanted.columns) <= set(found.columns)
    assert set(found.columns) - set(wanted.columns) <= {"median_time"}
    found = found.sort_values(key).reset_index(drop=True)
    wanted = wanted.sort_values(key).reset_index(drop=True)
    assert found[key].to_numpy().tolist() == wanted[key].to_numpy().tolist()
    for name in wanted.columns:
        ours, theirs = found[name], wanted[name]
        assert ours.isna().tolist() == theirs.isna().tolist(), name
        ours, theirs = ours.dropna(), theirs.dropna()
        if name in digits or pd.api.types.is_float_dtype(theirs):
            tolerance = 0.5 * 10 ** -digits[name] + EPSILON if name in digits else EPSILON
            worst = (ours.astype(float) - theirs.astype(float)).abs().max()
            assert not worst > tolerance, f"{name}: {worst} apart"
        else:
            assert (ours == theirs).all(), name


@pytest.mark.parametrize("view", CASES)
def test_the_view_says_what_pandas_says(view: str, shop: pg.connection, tables: Shop) -> None:
    compute, key, digits = CASES[view]
    query = SECONDS if view == "funnel" else f"SELECT * FROM analytics.{view}"
    found = frame(shop, query)
    assert len(found) > 0
    assert_same(found, compute(tables), key, digits)


def test_every_view_of_the_lesson_is_compared() -> None:
    text = LESSON.read_text(encoding="utf-8")
    assert re.findall(r"^CREATE OR REPLACE VIEW analytics\.(\w+)", text, re.MULTILINE) == [*CASES]


def test_every_view_has_a_comment_that_says_for_whom(shop: pg.connection) -> None:
    comments = frame(
        shop,
        "SELECT relname::text AS view, obj_description(oid, 'pg_class') AS comment"
        " FROM pg_class WHERE relnamespace = 'analytics'::regnamespace AND relkind = 'v'",
    )
    assert set(comments.view) == set(CASES)
    people = r"data scientist|data engineer|analytics engineer"
    assert comments.comment.str.contains(people).all()


KINDS = "SELECT 100.0 * count(*) / sum(count(*)) OVER () FROM analytics.customer_kinds"
STATUSES = "FROM analytics.channel_status ORDER BY array_position('{web,mobile,store}', channel)"
# (truth, planted, the query that finds it, tolerance), in the unit that the name says
PLANTED: list[tuple[str, list[float], str, float]] = [
    (
        "weekdays, Monday to Sunday",
        [index / 1000 for index in truths.WEEKDAY_INDEX],
        "SELECT orders_index FROM analytics.seasonality_weekday ORDER BY weekday",
        0.03,
    ),
    (
        "months, January to December",
        [index / 1000 for index in truths.MONTH_INDEX],
        "SELECT orders_index FROM analytics.seasonality_month ORDER BY month_of_year",
        0.03,
    ),
    (
        "growth in a year, %",
        [100 * ((1 + truths.GROWTH_PER_MONTH / 1000) ** 12 - 1)],
        "SELECT growth_year_pct FROM analytics.sales_trend WHERE measure = 'orders'",
        1,
    ),
    (
        "retention in months 0 to 36, %",
        [rate / 10 for rate in truths.RETENTION],
        "SELECT retention_pct FROM analytics.retention_curve ORDER BY month_number",
        1,
    ),
    (
        "customers dormant, active, VIP, at risk, %",
        list(truths.KIND_SHARES.values()),
        (
            f"{KINDS} WHERE registration_date < '{truths.ESTABLISHED_BEFORE}' GROUP BY kind"
            " ORDER BY array_position('{dormant,active,vip,at risk}', kind)"
        ),
        1,
    ),
    (
        "lift of the five pairs",
        sorted((truths.lift(*counts) for counts in truths.PAIRS.values()), reverse=True),
        "SELECT lift FROM analytics.product_affinity ORDER BY lift DESC LIMIT 5",
        0.2,
    ),
    (
        "A products, their revenue in %",
        [truths.A_PRODUCTS, truths.A_REVENUE_SHARE],
        (
            "SELECT unnest(ARRAY[count(*), max(cumulative_pct)])"
            " FROM analytics.abc WHERE class = 'A'"
        ),
        2,
    ),
    (
        "outlier orders",
        [truths.DEFAULT_SCALE // truths.OUTLIER_EVERY],
        (
            "SELECT count(*) FROM analytics.order_outliers"
            " WHERE measure = 'largest line' AND grade = 'extreme'"
        ),
        0,
    ),
    (
        "cancelled on web, mobile, in store, %",
        [rate / 10 for rate in truths.CANCELLED.values()],
        f"SELECT cancelled_pct {STATUSES}",
        0.3,
    ),
    (
        "refunded on web, mobile, in store, %",
        [rate / 10 for rate in truths.REFUNDED.values()],
        f"SELECT refunded_pct {STATUSES}",
        0.3,
    ),
    (
        f"price change of {truths.PRICE_CHANGE_CATEGORY}, %",
        [truths.PRICE_CHANGE],
        "SELECT avg(change_pct) FROM analytics.price_changes",
        0.1,
    ),
    (
        "visits that reach the cart, then the checkout, %",
        [truths.CART_RATE, truths.CHECKOUT_RATE],
        (
            "SELECT conversion_pct FROM analytics.funnel"
            " WHERE step IN ('Cart', 'Checkout') ORDER BY step_number"
        ),
        0.5,
    ),
    (
        "checkouts that end with a purchase, groups A and B, %",
        list(truths.PURCHASE_RATE.values()),
        (
            "SELECT unnest(ARRAY[rate_a_pct, rate_b_pct])"
            " FROM analytics.ab_test WHERE step = 'checkout to purchase'"
        ),
        0.5,
    ),
]


def test_the_planted_truths_are_found(shop: pg.connection) -> None:
    missed = []
    for name, planted, query, tolerance in PLANTED:
        found = [float(value) for value in frame(shop, query).iloc[:, 0]]
        print(f"{name}: {planted} | {found}")
        if found != pytest.approx(planted, abs=tolerance):
            missed.append(name)
    assert not missed


def test_the_pairs_are_the_planted_ones(shop: pg.connection) -> None:
    best = frame(
        shop,
        "SELECT product_a, product_b FROM analytics.product_affinity ORDER BY lift DESC LIMIT 5",
    )
    assert {frozenset(row) for row in best.to_numpy()} == {frozenset(p) for p in truths.PAIRS}


def test_the_outliers_are_the_planted_orders(shop: pg.connection) -> None:
    found = frame(
        shop,
        "SELECT order_id FROM analytics.order_outliers"
        " WHERE measure = 'largest line' AND grade = 'extreme' ORDER BY order_id",
    )
    assert found.order_id.tolist() == outlier_order_ids(truths.DEFAULT_SCALE)


def test_kinds_are_the_planted_ones(shop: pg.connection) -> None:
    found = frame(shop, "SELECT customer_id, kind FROM analytics.customer_kinds")
    right = [kind_of(number) == kind for number, kind in found.itertuples(index=False)]
    assert sum(right) / len(right) > 0.99


def test_the_experiment_is_significant_and_its_control_is_not(shop: pg.connection) -> None:
    tests = frame(shop, "SELECT * FROM analytics.ab_test").set_index("step")
    assert tests.loc["checkout to purchase", "p_value"] < 0.01
    assert tests.loc["cart to checkout", "p_value"] > 0.05


def test_only_the_planted_category_changed_its_prices(shop: pg.connection) -> None:
    changes = frame(shop, "SELECT * FROM analytics.price_changes")
    assert set(changes.category) == {truths.PRICE_CHANGE_CATEGORY}
    assert changes.first_paid_on.min().date() == truths.PRICE_CHANGE_ON
