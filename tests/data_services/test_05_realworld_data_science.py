"""Lesson data/05: it and the package give the same answers, its marks are right, it ends well."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop_profile import affinity, engine, frames, marks
from shop_profile.churn import logistic
from shop_profile.history import Behaviour
from shop_profile.lifetime import counts
from shop_profile.training import Journal

from course import connect
from course.console import Console
from course.lesson import Lesson
from course.settings import ROOT, TODAY
from course.shop.truths import PAIRS
from tests.support import load_lesson, told_without_a_service

PATH = "advanced_examples/data_services/05_realworld_data_science.py"
lesson = load_lesson(PATH)


@pytest.fixture(scope="module")
def shop(service: Callable[[str], str]) -> frames.Shop:
    service("postgres")
    return frames.read_shop()


@pytest.fixture
def teller() -> Lesson:
    return Lesson(Console(), argparse.Namespace(fast=True, step=False, from_step=1))


@given(
    st.integers(0, 1_100), st.integers(0, 300), st.integers(0, 100), st.integers(0, 1_100)
)  # fmt: skip
def test_lesson_and_engine_name_the_same_segment(
    recency: int, orders: int, last_year: int, registered: int
) -> None:
    customer = Behaviour(registered, recency, orders, last_year, orders, registered, 10.0)
    assert lesson.segment(recency, orders, last_year, registered) == engine.segment_of(customer)


@given(st.floats(-1e300, 1e300))
def test_lesson_and_engine_have_the_same_logistic_function(score: float) -> None:
    assert lesson.logistic(score) == logistic(score)
    assert 0 <= logistic(score) <= 1


@given(st.floats(0, 5_000), st.integers(0, 100), st.floats(0, 100))
def test_the_risk_by_hand_grows_with_silence(recency: float, orders: int, more: float) -> None:
    risk = lesson.risk_by_hand(recency, orders)
    assert 0 <= risk <= lesson.risk_by_hand(recency + more, orders) <= 1
    assert lesson.risk_by_hand(recency, orders + 1) <= risk


def test_lesson_and_engine_embed_alike(shop: frames.Shop) -> None:
    both, by_chance, share = frames.meetings(shop.lines)
    together = both.to_numpy(copy=True)
    orders = shop.lines.order_id.nunique()
    np.fill_diagonal(together, share * orders)
    ours, theirs = lesson.embed(both.to_numpy(), by_chance), affinity.embed(together, orders)
    # Single vectors may turn, their products may not.
    assert np.allclose(ours[0] @ ours[1].T, theirs[0] @ theirs[1].T, atol=1e-8)


def test_lesson_and_engine_recommend_the_same(shop: frames.Shop) -> None:
    both, by_chance, share = frames.meetings(shop.lines)
    items, contexts = lesson.embed(both.to_numpy(), by_chance)
    scores = share**lesson.CALM * np.exp((items @ contexts.T).clip(min=0))
    numbers = {name: number for number, name in enumerate(both.index)}
    names = shop.lines.groupby("order_id").name.agg(list)
    baskets = [[numbers[name] for name in order] for order in names]
    everything = range(len(numbers))
    fitted = affinity.fit_affinity(everything, baskets, baskets, everything)
    for owned in baskets[:200]:
        best = scores[owned].max(axis=0)
        best[owned] = -1
        chosen = fitted.recommend(owned, 5)
        assert best[chosen] == pytest.approx(np.sort(best)[::-1][:5])


def test_frames_and_engine_count_the_same(shop: frames.Shop) -> None:
    ago = 365
    connection = connect.postgres()
    journal = Journal.read(connection, TODAY).as_of(TODAY - timedelta(ago))
    connection.close()
    buyers = frames.buyers_as_of(shop.orders, ago)
    assert set(buyers.index) == {key for key, customer in journal.items() if customer.orders}
    for row in buyers.itertuples():
        customer = journal[row.Index]
        assert (row.days, row.value) == (customer.purchase_days, pytest.approx(customer.day_value))
        assert (row.x, row.t_x, row.age) == pytest.approx(counts(customer))


def test_past_and_future_share_no_order(shop: frames.Shop) -> None:
    buyers = frames.buyers_as_of(shop.orders, 365)
    came = frames.came_after(shop.orders, 365, 365, shop.customers.index)
    before = frames.came_after(shop.orders, 2_000, 2_000 - 365, shop.customers.index)
    assert came.index.equals(shop.customers.index)
    assert came.euros.sum() + before.euros.sum() == pytest.approx(shop.orders.total.sum())
    assert before.days.sum() == buyers.days.sum()


def test_the_split_has_targets_after_features(shop: frames.Shop, teller: Lesson) -> None:
    windows = lesson.split_in_time(teller)
    for ago, window in windows.items():
        assert set(window.as_of) == {TODAY - timedelta(ago)}
        orders = shop.orders[shop.orders.customer_id.isin(window.customer_id)]
        last_known = orders[orders.ago >= ago].groupby("customer_id").ago.min() - ago
        found = window.set_index("customer_id").days_since_last_order
        assert (last_known == found.astype(int)).all()
        came = set(orders[(orders.ago < ago) & (orders.ago >= ago - 90)].customer_id)
        assert set(window.customer_id[~window.churned.astype(bool)]) == came


def test_marks_are_what_they_say() -> None:
    came = np.array([True] * 10 + [False] * 10)
    perfect = marks.marks(came, came)
    assert perfect == (1.0, 0.0, 2.0)
    auc, brier, lift = marks.marks(came, np.full(20, 0.5))
    assert (auc, brier) == (0.5, 0.25)
    assert lift == 2.0, "of equals the first come first"
    assert marks.marks(came, ~came) == (0.0, 1.0, 0.0)
    assert marks.amount_marks([10, 30], [20, 20]) == (10.0, 10.0, 0.0)
    x, y = marks.in_groups(np.arange(8), np.arange(8) * 2, groups=4)
    assert (list(x), list(y)) == ([0.5, 2.5, 4.5, 6.5], [1, 5, 9, 13])


def test_a_hit_is_a_hidden_product_among_those_shown() -> None:
    scores = np.array([[0, 9, 1], [9, 0, 1], [5, 4, 0.0]])
    assert marks.hit_rate(scores, [[0, 1]], shown=1) == 1.0
    assert marks.hit_rate(scores, [[0, 1], [1, 2], [2]], shown=1) == 0.5
    assert marks.hit_rate(scores, [[0, 1], [1, 2]], shown=2) == 1.0


def test_meetings_are_counted_once_an_order() -> None:
    lines = pd.DataFrame({"order_id": [1, 1, 2, 3, 3, 3], "name": [*"ab", "a", *"aab"]})
    both, by_chance, share = frames.meetings(lines)
    assert both.loc["a", "b"] == both.loc["b", "a"] == 2
    assert both.loc["a", "a"] == 0
    assert list(share) == [1.0, 2 / 3]
    assert by_chance[0, 1] == pytest.approx(2.0)


def test_item_times_context_finds_the_planted_pairs(shop: frames.Shop) -> None:
    both, by_chance, _ = frames.meetings(shop.lines)
    items, contexts = lesson.embed(both.to_numpy(), by_chance)
    scores = pd.DataFrame(items @ contexts.T, both.index, both.index)
    for first, second in PAIRS:
        assert scores.loc[first].drop(first).idxmax() == second
        assert scores.loc[second].drop(second).idxmax() == first


def test_what_it_prints_fits_80_columns_and_names_its_charts() -> None:
    """By its transcript, which the smoke test holds against a run."""
    said = (ROOT / "tests/transcripts/data_05.txt").read_text(encoding="utf-8")
    assert all(len(line) <= 80 for line in said.splitlines())
    for chart in ("churn", "value", "hidden"):
        assert f"_{chart}.png" in said


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_ends_it_cleanly(service: Callable[[str], str]) -> None:
    service("postgres")
    command = [sys.executable, str(ROOT / PATH)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        while not process.stdout.readline().startswith("3  "):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"


def test_without_postgres_it_says_so_and_ends_with_69() -> None:
    assert "PostgreSQL" in told_without_a_service(
        lesson, DATABASE_URL="postgresql://a:b@127.0.0.1:9/nowhere"
    )
