"""Every planted truth is found again in SQL, and the document says what was found."""

import psycopg2.extensions as pg
import pytest

from course.shop import truths
from course.shop.baskets import outlier_order_ids
from course.shop.people import kind_of
from course.shop.truths import TABLES, Kind
from tests.shop.truth_table import (
    DOCUMENT,
    Truth,
    kinds_found,
    markdown,
    queries,
    rows,
    truth_table,
)


@pytest.fixture(scope="module")
def table(shop: pg.connection) -> list[Truth]:
    found = truth_table(shop)
    print("\n" + markdown(found))
    return found


def test_truths_are_found(table: list[Truth]) -> None:
    missed = [truth for truth in table if not truth.holds()]
    assert not missed


def test_the_document_says_what_is_found(table: list[Truth]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    inside = text.partition("<!-- truths -->\n")[2].partition("<!-- /truths -->")[0]
    assert inside == markdown(table), "put this between the marks:\n" + markdown(table)


def test_the_document_counts_rows_rightly(shop: pg.connection) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in TABLES:
        (count,) = rows(shop, f"SELECT count(*) AS n FROM {name}")
        assert f"| `{name}` | {count['n']:,} |" in text


def test_every_section_about_a_truth_has_a_query() -> None:
    assert len(queries()) == 12


def test_retention_is_found_in_every_month(shop: pg.connection) -> None:
    found = [row["per_mille"] for row in rows(shop, queries()["Cohort retention"])]
    assert found == pytest.approx(truths.RETENTION, abs=10)


def test_behaviour_gives_the_kind_away(shop: pg.connection) -> None:
    found = kinds_found(shop)
    right = sum(kind_of(number) is kind for number, kind in found.items())
    assert len(found) == truths.DEFAULT_SCALE // 10
    assert right / len(found) > 0.99
    for kind in Kind:
        members = [number for number in found if kind_of(number) is kind]
        recognised = sum(found[number] is kind for number in members)
        assert recognised / len(members) > 0.95, kind


def test_the_rules_for_kinds_are_the_planted_ones() -> None:
    query = queries()["Four kinds of customers"]
    assert f"recency > {truths.ACTIVE_WITHIN} THEN 'at risk'" in query
    assert f"recency >= {truths.DORMANT_AFTER} THEN 'dormant'" in query
    assert f"last_year >= {truths.VIP_ORDERS} THEN 'vip'" in query
    assert f"registration_date < '{truths.ESTABLISHED_BEFORE}'" in query
    assert f"registration_date < '{truths.NEWCOMERS_FROM}' THEN 'dormant'" in query


def test_outliers_are_the_planted_orders(shop: pg.connection) -> None:
    found = rows(
        shop,
        "SELECT order_id FROM order_items WHERE quantity > 4 ORDER BY order_id",
    )
    assert [row["order_id"] for row in found] == outlier_order_ids(truths.DEFAULT_SCALE)


def test_planted_pairs_stand_out(shop: pg.connection) -> None:
    query = queries()["Pairs bought together"].replace("LIMIT 5", "OFFSET 5 LIMIT 1")
    (next_best,) = rows(shop, query)
    weakest = min(truths.lift(*counts) for counts in truths.PAIRS.values())
    assert float(next_best["lift"]) < weakest / 2


def test_the_experiment_is_found_at_one_per_cent(shop: pg.connection) -> None:
    (groups,) = rows(shop, queries()["The A/B experiment"])
    assert float(groups["z"]) > 2.58
    assert min(groups["a"], groups["b"]) > 2_000


def test_vips_matter_and_dormant_customers_do_not(shop: pg.connection) -> None:
    kinds = rows(shop, queries()["Four kinds of customers"])
    money = {row["kind"]: float(row["monetary"]) for row in kinds}
    assert money["vip"] > 4 * money["at risk"] > 4 * money["dormant"]
