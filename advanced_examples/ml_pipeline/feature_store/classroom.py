"""What the lesson needs besides: its calendar, the shop's answers, a corner of its own."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pandas as pd

from course import connect
from course.settings import TODAY
from course.workspace import own_schema, own_turn
from feature_store.store import FeatureStore

NAME = "ml_03"
# Ends of months, and the last day whose label is known: it looks 90 days ahead.
DAYS = [date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 31), date(2025, 4, 29),
        date(2025, 5, 31), date(2025, 6, 30), TODAY - timedelta(days=90)]  # fmt: skip
NIGHT, MORNING = timedelta(hours=2), timedelta(hours=6)  # when features are made, and asked for
IN_PLAIN_SQL = """
    SELECT customer_id, days_since_last_order AS recency_days, total_orders AS frequency,
           total_spent::float8 AS monetary_value, tenure_days,
           avg_order_value::float8, avg_days_between_orders::float8, orders_90d, spent_90d::float8
    FROM analytics.customer_features_as_of(%s) ORDER BY customer_id
"""
LABELS = "SELECT customer_id, as_of, churned FROM analytics.churn_labels_as_of(%s) ORDER BY 1"


@dataclass
class Calendar:
    """A clock that the lesson sets: a store asks it for the present."""

    now: datetime = datetime(2025, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def end_of(day: date) -> datetime:
    """The first moment after a day, when its features begin to hold."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def ask(query: str, *values: object) -> pd.DataFrame:
    """The answer of the shop's database."""
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])


def labelled(days: list[date]) -> pd.DataFrame:
    """Who left after each of these days; `at` is the morning after it, when we would be asked."""
    labels = pd.concat([ask(LABELS, day) for day in days], ignore_index=True)
    midnight = pd.to_datetime(labels.pop("as_of"), utc=True) + timedelta(days=1)
    return labels.assign(at=(midnight + MORNING).dt.as_unit("us"))


def plain_values(offline: pd.DataFrame) -> list[dict[str, object]]:
    """The features of each row as plain values, None for NULL: what Redis should answer."""
    rows = offline.drop(columns=["customer_id", "at"]).astype(object)
    return rows.where(rows.notna(), None).to_dict("records")


def bad_frames(good: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """(entity type, frame) that a store must refuse, each for a reason of its own."""
    number = good["frequency"].astype("float64")
    return [
        ("customer", good.drop(columns="customer_id")),
        ("customer", good.assign(churn_risk=number.where(number > 0))),
        ("customer", good.assign(churn_risk=1 / number.where(number > 0, 0.0))),
        ("customer", pd.concat([good, good.head(1)])),
        ("customer", good.assign(frequency=good["frequency"].astype("string"))),
        ("supplier", good),
    ]


def remove_keys() -> None:
    """Take the lesson's keys out of Redis."""
    with connect.redis() as client:
        for key in client.scan_iter(f"{NAME}:*", count=1_000):
            client.unlink(key)


@contextmanager
def own_store(clock: Calendar) -> Iterator[FeatureStore]:
    """A store of the lesson's own, of which nothing is left behind."""
    with own_turn(NAME), own_schema(NAME), tempfile.TemporaryDirectory() as folder:
        remove_keys()
        try:
            with FeatureStore(name=NAME, clock=clock, parquet_folder=Path(folder)) as store:
                yield store
        finally:
            remove_keys()
