"""The engine: what it says about customers, what it refuses, what it may know, what it keeps."""

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection  # noqa: N812
from shop_profile.churn import features
from shop_profile.engine import OFFERS, Engine, Profile, Purchase, Segment, segment_of
from shop_profile.history import Behaviour, behaviour
from shop_profile.training import Journal

from course.settings import TODAY
from course.shop import truths
from course.shop.people import kind_of
from tests.support import run_python

REGISTERED = date(2024, 1, 1)
A_YEAR_AGO = TODAY - timedelta(365)
PURCHASES = """
    SELECT customer_id, order_id, product_id, (quantity * unit_price)::float, ordered_at
    FROM orders JOIN order_items USING (order_id) ORDER BY order_id, line_number
"""
days = st.integers(0, 600).map(lambda days: REGISTERED + timedelta(days))
orders = st.lists(st.tuples(days, st.floats(0, 5_000)), max_size=60)


@pytest.fixture(scope="module")
def connection(service: Callable[[str], str]) -> Iterator[Connection]:
    with closing(psycopg2.connect(service("postgres"))) as opened:
        opened.autocommit = True
        yield opened


@pytest.fixture(scope="module")
def engine(connection: Connection) -> Engine:
    return Engine.fit(connection)


@pytest.fixture(scope="module")
def names(connection: Connection) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, product_id FROM products")
        return dict(cursor.fetchall())


@pytest.fixture(scope="module")
def customers(connection: Connection) -> dict[int, tuple[date, list[Purchase]]]:
    bought = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(PURCHASES)
        for customer_id, *purchase in cursor.fetchall():
            bought[customer_id].append(Purchase(*purchase))
        cursor.execute("SELECT customer_id, registration_date FROM customers")
        return {customer_id: (day, bought[customer_id]) for customer_id, day in cursor.fetchall()}


def purchase(order_id: int, at: date | datetime, amount: float = 20.0) -> Purchase:
    return Purchase(order_id, 7, amount, at)


def test_the_offers_are_those_that_were_promised() -> None:
    assert {segment.value: offer for segment, offer in OFFERS.items()} == {
        "dormant": "30 % off",
        "active": "personalised goods",
        "vip": "exclusive preview and support",
        "at risk": "free delivery",
    }


def test_the_thresholds_are_the_planted_ones() -> None:
    from shop_profile import engine

    planted = (truths.ACTIVE_WITHIN, truths.DORMANT_AFTER, truths.VIP_ORDERS)
    assert planted == (engine.ACTIVE_WITHIN, engine.DORMANT_AFTER, engine.VIP_ORDERS)
    assert (TODAY - truths.NEWCOMERS_FROM).days == engine.NEWCOMER_WITHIN


def test_the_planted_kinds_are_found_again(engine: Engine, customers: dict) -> None:
    wrong = Counter()
    for customer_id, (registered, bought) in customers.items():
        profile = engine.profile(bought, registered, TODAY)
        assert profile.offer == OFFERS[profile.segment]
        if profile.segment != kind_of(customer_id):
            wrong[kind_of(customer_id).value, profile.segment.value] += 1
    # Three active customers happened to order as often as VIPs do.
    assert wrong == {("active", "vip"): 3}


def test_kinds_differ_in_risk_and_value(engine: Engine, customers: dict) -> None:
    risk, value = defaultdict(list), defaultdict(list)
    for customer_id, (registered, bought) in customers.items():
        profile = engine.profile(bought, registered, TODAY)
        risk[kind_of(customer_id).value].append(profile.churn_risk)
        value[kind_of(customer_id).value].append(profile.lifetime_value)
    risks = {kind: sum(found) / len(found) for kind, found in risk.items()}
    values = {kind: sum(found) / len(found) for kind, found in value.items()}
    assert sorted(risks, key=risks.get) == ["vip", "active", "at risk", "dormant"]
    assert sorted(values, key=values.get) == ["dormant", "at risk", "active", "vip"]


def test_all_values_together_are_what_a_year_brings(engine: Engine, customers: dict) -> None:
    profiles = [engine.profile(bought, day, TODAY) for day, bought in customers.values()]
    last_year = sum(
        line.amount
        for _, bought in customers.values()
        for line in bought
        if (TODAY - line.at.date()).days < 365
    )
    assert sum(p.lifetime_value for p in profiles) == pytest.approx(last_year, rel=0.25)


def test_features_are_those_of_the_view(connection: Connection) -> None:
    """Serving and the SQL of sql/05 count the same."""
    day = TODAY - timedelta(200)
    journal = Journal.read(connection, TODAY).as_of(day)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, days_since_last_order, total_orders, orders_365d, tenure_days "
            "FROM analytics.customer_features_as_of(%s)",
            (day,),
        )
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    assert journal.keys() == rows.keys()
    for customer_id, (recency, count, last_year, tenure) in rows.items():
        found = journal[customer_id]
        expected = (tenure if recency is None else recency, count, last_year, tenure)
        assert expected == (
            found.recency,
            found.orders,
            found.orders_last_year,
            found.registered_ago,
        )


def test_targets_are_those_of_the_view(connection: Connection) -> None:
    day = TODAY - timedelta(90)
    journal = Journal.read(connection, TODAY)
    came = journal.after(day, 90)
    buyers = {key: c for key, c in journal.as_of(day).items() if c.orders}
    with connection.cursor() as cursor:
        cursor.execute("SELECT customer_id, churned FROM analytics.churn_training")
        assert dict(cursor.fetchall()) == {key: key not in came for key in buyers}


def test_an_engine_of_a_year_ago_knows_nothing_since(connection: Connection) -> None:
    """Where the later rows are missing it learns the same: nothing leaks backwards.

    Temporary tables stand before the shop's own under their names.
    """
    complete = Engine.fit(connection, A_YEAR_AGO)
    known = {
        "customers": "registration_date <= %s",
        "products": "added_on <= %s",
        "orders": "(ordered_at AT TIME ZONE 'UTC')::date <= %s",
        "order_items": "order_id IN (SELECT order_id FROM orders)",
    }
    with connection.cursor() as cursor:
        for table, condition in known.items():
            query = f"CREATE TEMPORARY TABLE {table} AS SELECT * FROM public.{table} WHERE "
            cursor.execute(query + condition, (A_YEAR_AGO,) if "%s" in condition else None)
        past = Engine.fit(connection, A_YEAR_AGO)
        cursor.execute(f"DROP TABLE {', '.join(f'pg_temp.{table}' for table in known)}")
    assert asdict(past.churn) == asdict(complete.churn)
    assert asdict(past.lifetime) == asdict(complete.lifetime)
    for owned in ([], [1], [2, 3], range(1, 40)):
        assert past.recommend(owned, 20) == complete.recommend(owned, 20)


def test_a_short_history_is_refused(connection: Connection) -> None:
    with pytest.raises(ValueError, match="fitting needs 730 days"):
        Engine.fit(connection, date(2024, 1, 1))
    with pytest.raises(ValueError, match="fitting needs 730 days"):
        Engine.fit(connection, date(2020, 1, 1))


def test_bad_input_is_refused_with_a_reason(engine: Engine) -> None:
    day = date(2025, 6, 1)
    for bought, registered, says in (
        ([purchase(1, date(2025, 6, 2))], REGISTERED, "is after 2025-06-01"),
        ([purchase(1, date(2023, 12, 31))], REGISTERED, "before the registration"),
        ([], date(2025, 6, 2), "registered on 2025-06-02"),
        ([purchase(1, day, -1.0)], REGISTERED, "order 1 has an amount of -1.0"),
        ([purchase(1, day, math.nan)], REGISTERED, "order 1 has an amount of nan"),
    ):
        with pytest.raises(ValueError, match=says):
            engine.profile(bought, registered, day)
    for count in (0, -3):
        with pytest.raises(ValueError, match="1 or more"):
            engine.recommend([1], count)
    with pytest.raises(TypeError, match="'str' object"):
        engine.recommend(["1"])


def test_who_never_ordered_gets_an_answer_from_the_days_of_waiting(engine: Engine) -> None:
    waited = [engine.profile([], TODAY - timedelta(days), TODAY) for days in (0, 86, 87, 800)]
    assert [profile.segment for profile in waited] == ["active", "active", "dormant", "dormant"]
    risks = [profile.churn_risk for profile in waited]
    values = [profile.lifetime_value for profile in waited]
    assert risks == sorted(risks)
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0


def test_moments_are_days_in_utc(engine: Engine) -> None:
    late = datetime(2025, 6, 1, 23, 30, tzinfo=UTC)
    east = late.astimezone(datetime.fromisoformat("2025-06-02T08:30:00+09:00").tzinfo)
    answers = {
        engine.profile([purchase(1, at)], REGISTERED, date(2025, 6, 1))
        for at in (late, east, late.replace(tzinfo=None), date(2025, 6, 1))
    }
    assert len(answers) == 1


def test_lines_of_an_order_are_one_order(engine: Engine) -> None:
    at = date(2025, 5, 1)
    lines = [Purchase(1, product, 10.0, at) for product in (1, 2, 3)]
    assert engine.profile(lines, REGISTERED, TODAY) == engine.profile(
        [purchase(1, at, 30.0)], REGISTERED, TODAY
    )


@settings(deadline=None, max_examples=200)
@given(history=orders, later=st.integers(0, 400))
def test_risks_are_probabilities_that_grow_with_silence(
    engine: Engine, history: list, later: int
) -> None:
    bought = [purchase(number, *order) for number, order in enumerate(history)]
    profiles = [
        engine.profile(bought, REGISTERED, day)
        for day in (TODAY, TODAY + timedelta(later), TODAY + timedelta(later + 1))
    ]
    risks = [profile.churn_risk for profile in profiles]
    assert all(0 <= risk <= 1 for risk in risks)
    assert risks == sorted(risks)
    assert all(0 <= profile.lifetime_value < math.inf for profile in profiles)
    assert all(isinstance(profile.segment, Segment) for profile in profiles)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 4_000), st.integers(0, 4_000), st.integers(1, 3_000))
def test_the_value_of_any_history_is_finite(
    engine: Engine, recency: int, before: int, count: int
) -> None:
    first = recency + before
    many = min(count, before + 1)
    customer = Behaviour(first, recency, count, 0, many, first, 80.0)
    assert 0 <= engine.lifetime.value(customer) < math.inf
    assert 0 <= engine.churn.risk(customer) <= 1


@settings(deadline=None, max_examples=200)
@given(owned=st.lists(st.integers(-5, 140), max_size=130), count=st.integers(1, 200))
def test_recommendations_are_new_and_different(
    engine: Engine, names: dict, owned: list[int], count: int
) -> None:
    offered = engine.recommend(owned, count)
    assert len(offered) == len(set(offered)) <= count
    assert not set(offered) & set(owned)
    assert set(offered) <= set(names.values())
    assert offered == engine.recommend(reversed(owned + owned), count)


def test_who_owns_everything_gets_nothing(engine: Engine, names: dict) -> None:
    assert engine.recommend(names.values(), 5) == []


def test_an_empty_or_unknown_basket_gets_what_is_popular(engine: Engine) -> None:
    popular = engine.recommend([])
    assert len(popular) == 5
    assert engine.recommend([10**9]) == popular


def test_discontinued_products_are_never_offered(engine: Engine, connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT product_id FROM products WHERE discontinued_on IS NOT NULL")
        gone = {product_id for (product_id,) in cursor.fetchall()}
    assert len(gone) == 9
    assert not gone & set(engine.recommend([], 200))
    assert not gone & set(engine.recommend(list(gone), 200))


@pytest.mark.parametrize("pair", truths.PAIRS, ids=" + ".join)
def test_the_planted_pairs_are_recommended(
    engine: Engine, names: dict, pair: tuple[str, str]
) -> None:
    first, second = (names[name] for name in pair)
    assert engine.recommend([first])[0] == second
    assert engine.recommend([second])[0] == first


def test_saved_and_loaded_it_gives_the_same_answers(
    engine: Engine, customers: dict, tmp_path: Path
) -> None:
    engine.save(tmp_path / "engine.json")
    assert [file.name for file in tmp_path.iterdir()] == ["engine.json"]
    again = Engine.load(tmp_path / "engine.json")
    assert again.as_of == engine.as_of
    for registered, bought in list(customers.values())[::7]:
        answer: Profile = engine.profile(bought, registered, TODAY)
        assert again.profile(bought, registered, TODAY) == answer
        owned = [line.product_id for line in bought]
        assert again.recommend(owned) == engine.recommend(owned)


def test_a_file_of_something_else_is_refused(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "engine.json"
    with pytest.raises(FileNotFoundError):
        Engine.load(path)
    engine.save(path)
    content = json.loads(path.read_text())
    for text in (
        path.read_text()[:-50],
        "[]",
        "{}",
        json.dumps(content | {"format": 0}),
        json.dumps(content | {"churn": []}),
        json.dumps(content | {"as_of": "yesterday"}),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match="fit and save it anew"):
            Engine.load(path)


def test_an_answer_takes_well_under_a_millisecond(engine: Engine, customers: dict) -> None:
    """The best of many, for the customer with the longest history: a busy machine interrupts."""
    registered, bought = max(customers.values(), key=lambda customer: len(customer[1]))
    owned = [line.product_id for line in bought]
    took = []
    for _ in range(250):
        start = time.perf_counter()
        engine.profile(bought, registered, TODAY)
        engine.recommend(owned)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.001


def test_serving_needs_neither_sklearn_nor_pandas(engine: Engine, tmp_path: Path) -> None:
    engine.save(tmp_path / "engine.json")
    program = (
        "import sys\nfrom datetime import date\nfrom shop_profile.engine import Engine\n"
        "engine = Engine.load(sys.argv[1])\n"
        "engine.profile([], date(2025, 1, 1), date(2025, 10, 26)), engine.recommend([1])\n"
        "heavy = {'sklearn', 'pandas', 'scipy.optimize'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    result = run_python("-c", program, tmp_path / "engine.json")
    assert result.returncode == 0, result.stderr


def test_features_have_one_meaning() -> None:
    """More silence raises the first and never the second, so the risk can only grow."""
    history = [(date(2025, 1, 1), 20.0), (date(2025, 3, 1), 20.0)]
    seen = [behaviour(history, REGISTERED, TODAY + timedelta(days)) for days in (0, 30, 400)]
    waiting, last_year = zip(*(features(customer) for customer in seen), strict=True)
    assert list(waiting) == sorted(waiting)
    assert list(last_year) == sorted(last_year, reverse=True)
    assert [segment_of(customer) for customer in seen] == ["at risk", "dormant", "dormant"]
