"""What the definitions compute, against the shop's tables in pandas; lineage and checks."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from feature_store import BadFeatures, FeatureStore, end_of_today
from feature_store.classroom import ask
from feature_store.compute import definition

from course import connect

DAYS = [date(2025, 1, 31), date(2025, 10, 26)]
SALES = """
    SELECT product_id, order_id, customer_id, quantity, unit_price::float8 AS price, ordered_at,
           (ordered_at AT TIME ZONE 'UTC')::date AS day
    FROM order_items JOIN orders USING (order_id) ORDER BY ordered_at, order_id
"""


@pytest.fixture(scope="module")
def sales(service: Callable[[str], str]) -> pd.DataFrame:
    service("postgres")
    return ask(SALES)


@pytest.mark.parametrize("day", DAYS)
def test_product_features_are_those_of_the_day(
    shared_store: FeatureStore, sales: pd.DataFrame, day: date
) -> None:
    found = shared_store.compute_product_features(day).set_index("product_id")
    age = sales["day"].map(lambda sold: (day - sold).days)
    known, age = sales[age >= 0], age[age >= 0]
    products = ask("SELECT * FROM products WHERE added_on <= %s", day).set_index("product_id")
    assert sorted(found.index) == sorted(products.index)

    def units(first: int, last: int) -> pd.Series:
        within = known[(age >= first) & (age < last)].groupby("product_id")["quantity"].sum()
        return within.reindex(found.index, fill_value=0)

    month = known[age < 28]
    revenue = (month["quantity"] * month["price"]).groupby(month["product_id"]).sum()
    buyers = month.groupby("product_id")["customer_id"].nunique()
    prices = known.groupby("product_id")["price"].last()
    weeks = np.array([units(7 * back, 7 * back + 7) for back in range(11, -1, -1)])
    gone = products["discontinued_on"].map(lambda left: left is not None and left <= day)
    expected = {
        "units_sold": known.groupby("product_id")["quantity"].sum(),
        "units_28d": units(0, 28),
        "units_7d": units(0, 7),
        "units_7d_lag_7d": units(7, 14),
        "units_7d_lag_364d": units(364, 371),
        "revenue_28d": revenue.reindex(found.index, fill_value=0),
        "buyers_28d": buyers.reindex(found.index, fill_value=0),
        "price": prices.reindex(found.index),
        "popularity_rank": units(0, 28).rank(method="min", ascending=False),
        "units_week_mean_12w": pd.Series(weeks.mean(0), found.index),
        "units_week_std_12w": pd.Series(weeks.std(0, ddof=1), found.index),
        "units_week_trend_12w": pd.Series(np.polyfit(range(12), weeks, 1)[0], found.index),
        "days_since_sale": age.groupby(known["product_id"]).min().reindex(found.index),
        "on_sale": ~gone,
    }
    for name, series in expected.items():
        ours = found[name].astype("Float64").to_numpy(float, na_value=np.nan)
        theirs = series.reindex(found.index).to_numpy(float, na_value=np.nan)
        np.testing.assert_allclose(ours, np.nan_to_num(theirs) if name == "units_sold" else theirs,
                                   atol=6e-5, err_msg=name)  # fmt: skip


def test_customer_features_are_those_of_the_views(shared_store: FeatureStore) -> None:
    found = shared_store.compute_customer_features(DAYS[1]).set_index("customer_id")
    view = ask("SELECT * FROM analytics.customer_features").set_index("customer_id")
    kinds = ask("SELECT customer_id, kind FROM analytics.customer_kinds").set_index("customer_id")
    same = {"recency_days": "days_since_last_order", "frequency": "total_orders",
            "monetary_value": "total_spent", "orders_90d": "orders_90d"}  # fmt: skip
    for name, theirs in same.items():
        ours = found[name].astype("Float64").to_numpy(float, na_value=np.nan)
        np.testing.assert_array_equal(ours, view[theirs].loc[found.index].to_numpy(float))
    assert found["segment"].tolist() == kinds["kind"].loc[found.index].tolist()
    assert (found["event_time"] == end_of_today()).all()
    risks = found["churn_risk"].dropna()
    assert risks.between(0, 1).all()
    assert (found["lifetime_value"] >= found["monetary_value"]).all()
    assert (found["churn_risk"].isna() == (found["frequency"] == 0)).all()


def test_the_promised_calls_work_as_they_stand(store: FeatureStore) -> None:
    with FeatureStore(connect.url("postgres"), name=store.name) as ours:
        features = ours.compute_customer_features()
        ours.save_features("customer", features)
        ours.save_features("product", ours.compute_product_features())
        names = ["recency_days", "frequency", "monetary_value"]
        training = ours.get_training_dataset(entity_type="customer", feature_names=names)
        assert training[names].equals(features[names])
        with pytest.warns(UserWarning, match="materialise"):
            before = ours.get_features("customer", [1, 2, 3])
        ours.materialise("customer")
        assert ours.get_features("customer", [1, 2, 3]) == before
        assert list(before) == [1, 2, 3]
        assert set(names) < set(before[1])


def test_lineage_tells_which_sql_which_data_and_when(store: FeatureStore) -> None:
    store.clock.now = end_of_today()
    saved = store.save_features("customer", store.compute_customer_features(DAYS[0]))
    (run,) = store.runs("customer")
    orders = ask("SELECT count(*) AS n FROM orders WHERE ordered_at < '2025-02-01 00:00+00'")
    assert run["sources"]["orders"]["rows"] == orders["n"][0]
    assert run["parameters"] == {"as_of": "2025-01-31"}
    assert run["created"] == end_of_today()
    assert "analytics.customer_features_as_of" in run["definition"]
    assert "analytics.customer_features_as_of(date)" in run["sources"]
    assert store.reproduce("customer", saved.run_id) == []
    forge = (
        f"UPDATE {store.name}.customer_v1 SET frequency = frequency + 1 WHERE entity_id = 1;"
        f"UPDATE {store.name}.runs SET sources = jsonb_set(sources, '{{orders,rows}}', '1')"
    )
    with closing(connect.postgres()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(forge)
    differences = ["orders has changed", "the values differ"]
    assert store.reproduce("customer", saved.run_id) == differences


def test_other_sql_under_an_old_version_is_refused(store: FeatureStore) -> None:
    store.save_features("customer", store.compute_customer_features(DAYS[0]))
    sql = definition("customer").replace("orders_90d,", "orders_30d AS orders_90d,")
    other = store.compute_customer_features(DAYS[1], definition=sql)
    with pytest.raises(BadFeatures, match="another SQL"):
        store.save_features("customer", other)
    assert store.save_features("customer", other, version=2).version == 2


def test_checks_find_what_is_stale_and_what_is_null(store: FeatureStore) -> None:
    day, now = timedelta(days=1), datetime(2025, 1, 1, tzinfo=UTC)
    store.clock.now = now
    store.define("thing", "thing_id")

    def save(*values: float | None) -> None:
        frame = pd.DataFrame({"thing_id": range(4), "event_time": store.now()})
        store.save_features("thing", frame.assign(x=pd.array(values, "Float64"), y=1))

    save(1, 2, 3, None)
    assert [f.ok for f in store.check("thing")] == [False, True, True]
    store.materialise("thing")
    assert all(f.ok for f in store.check("thing"))
    assert [f.ok for f in store.check("thing", max_nulls={"x": 0.2})] == [True, False, True]
    store.clock.now = now + 2 * day
    save(1, 2, None, None)
    assert [f.ok for f in store.check("thing")] == [True, False, True]
    assert [f.ok for f in store.check("thing", max_null_rise=0.25)] == [True, True, True]
    store.clock.now += timedelta(microseconds=1)
    assert [f.ok for f in store.check("thing", max_null_rise=0.25)] == [False, True, True]
