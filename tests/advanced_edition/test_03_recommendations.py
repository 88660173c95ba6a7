"""What lesson edition/03 finds: similarities, tastes, features, churn, results of A/B tests."""

import gc
import random
import weakref
from collections import Counter
from itertools import combinations
from math import isclose, sqrt
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recommender import customers, experiments, importance, online, shop
from recommender.cache import TieredCache
from recommender.customers import History, Profile, Segment
from recommender.engine import RecommendationEngine, UnknownUserError
from recommender.online import OnlineLogistic
from recommender.shop import Baskets, Catalogue
from recommender.similarity import AT_LEAST_TOGETHER, LOWEST, NEIGHBOURS, PurchaseIndex

from tests.support import run_python

PATH = "advanced_edition/03_ml_recommendation_engine.py"
few_baskets = st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=5), max_size=40)


def as_baskets(sets: list[set[int]]) -> Baskets:
    baskets = Baskets(shop.array("I"), shop.array("I", [0]))
    for one in sets:
        baskets.items.extend(one)
        baskets.starts.append(len(baskets.items))
    return baskets


@given(few_baskets)
def test_similarity_is_the_cosine_of_the_baskets(sets: list[set[int]]) -> None:
    """Against the definition, counted the slow way; both directions agree."""
    bought = Counter(product for one in sets for product in one)
    together = Counter(pair for one in sets for pair in combinations(sorted(one), 2))
    wanted: dict[int, list] = {product: [] for product in range(10)}
    for (i, j), times in together.items():
        score = times / sqrt(bought[i] * bought[j])
        if times >= AT_LEAST_TOGETHER and score >= LOWEST:
            wanted[i].append((j, score))
            wanted[j].append((i, score))
    index = PurchaseIndex(as_baskets(sets), 10)
    for product, expected in wanted.items():
        found = index.neighbours(product)
        best = sorted(expected, key=lambda pair: (-pair[1], pair[0]))[:NEIGHBOURS]
        assert [other for other, _ in found] == [other for other, _ in best]
        assert all(isclose(a, b) for (_, a), (_, b) in zip(found, best, strict=True))


@given(st.integers(2, 10**7), st.integers(0, 10**7))
def test_ranks_and_products_are_one_to_one(size: int, rank: int) -> None:
    catalogue = object.__new__(Catalogue)
    catalogue.size, catalogue._back = size, pow(shop.SCRAMBLE, -1, size)
    assert catalogue.rank(catalogue.product(rank % size)) == rank % size


@pytest.mark.parametrize("seed_of_shop", [1, 2, 3])
@pytest.mark.parametrize("size", [shop.FEWEST, 4_001])
def test_the_planted_bundles_are_found_whatever_the_seed(size: int, seed_of_shop: int) -> None:
    catalogue = Catalogue(size)
    index = PurchaseIndex(shop.shop_baskets(catalogue, seed_of_shop), size)
    found = {product: index.neighbours(product) for product in range(1, size)}
    known = {product: best for product, best in found.items() if best}
    bundle = catalogue.bundle
    right = fmean(bundle(best[0][0]) == bundle(product) for product, best in known.items())
    assert right > 0.98
    assert len(known) > 0.7 * size
    assert shop.shop_baskets(catalogue, seed_of_shop) == shop.shop_baskets(catalogue, seed_of_shop)


def test_a_popular_product_is_judged_by_a_sample() -> None:
    """The second product is in a third of the baskets of the first, which is in 6,000."""
    sets = [{0, 1} if number % 3 == 0 else {0, 2 + number % 5} for number in range(6_000)]
    found = dict(PurchaseIndex(as_baskets(sets), 10).neighbours(0))
    assert isclose(found[1], 2_000 / sqrt(6_000 * 2_000), rel_tol=0.2)


def test_visits_follow_zipfs_law() -> None:
    catalogue = Catalogue(5_000)
    seen = Counter(map(catalogue.rank, shop.zipf_visits(catalogue, 50_000, 1)))
    assert 1.7 < seen[0] / seen[1] < 2.3
    assert 7 < seen[0] / seen[9] < 14


@pytest.mark.parametrize("seed_of_visits", [1, 2])
def test_the_planted_favourites_are_learnt(seed_of_visits: int) -> None:
    rng, model = random.Random(seed_of_visits), OnlineLogistic()
    likes = online.favourites(50, rng)
    for event in online.events(likes, 5_000, rng):
        model.learn(event.features, event.bought)
    found = [online.learnt_favourite(model, user) for user in range(50)]
    assert sum(a == b for a, b in zip(found, likes, strict=True)) >= 45
    assert 0.3 < model.weights["discount"] < 1.5


def test_a_model_knows_nothing_at_first_and_bears_any_number() -> None:
    model = OnlineLogistic()
    assert model.predict({"new": 3.0}) == 0.5
    model.weights["huge"] = 1e6
    assert model.predict({"huge": 1.0}) == 1.0
    assert model.predict({"huge": -1.0}) == 0.0
    twin = model.copy()
    twin.learn({"new": 1.0}, True)
    assert "new" not in model.weights


def test_importance_finds_the_planted_order_and_nothing_in_noise() -> None:
    rng = random.Random(3)
    rows, bought = importance.table_of_visits(4_000, rng)
    model = importance.fit(rows[:2_500], bought[:2_500])
    found = importance.permutation_importance(model, rows[2_500:], bought[2_500:], rng, rounds=3)
    planted = list(importance.TRUTH)
    assert [one.feature for one in found[:3]] == planted[:3]
    assert all(abs(one.mean) < 0.01 for one in found if importance.TRUTH[one.feature] == 0)


def test_churn_is_calibrated_and_sales_are_forecast() -> None:
    everyone = customers.simulate(4_000, random.Random(5))
    histories, futures = zip(*everyone, strict=True)
    found = customers.profiles(histories)
    for _, count, said, true in customers.calibration(found, futures):
        assert abs(said - true) < 0.05 + 2 * sqrt(0.25 / count)
    spent = sum(future.purchases * one.value for one, future in everyone)
    assert 0.9 < sum(profile.ltv for profile in found) / spent < 1.1
    assert {profile.segment for profile in found} == set(Segment)


def test_silence_means_more_for_who_came_often() -> None:
    shares = [1 / len(customers.KINDS)] * len(customers.KINDS)
    often, _ = customers.forecast(History(24, 20, 60, 30.0), shares)
    seldom, _ = customers.forecast(History(24, 20, 3, 30.0), shares)
    assert often > 0.95 > 0.6 > seldom
    longer = [customers.forecast(History(24, 24 - gap, 10, 30.0), shares)[0] for gap in range(12)]
    assert longer == sorted(longer)


@given(st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 1e6))
def test_everyone_has_one_segment(churn: float, ltv: float, vip_from: float) -> None:
    found = customers.segment(churn, ltv, vip_from)
    assert (found is Segment.VIP) == (churn <= customers.GONE and ltv >= vip_from)
    assert found in customers.OFFERS


def test_sample_size_is_that_of_the_books() -> None:
    """R's power.prop.test(p1 = .1, p2 = .12, power = .8) says n = 3840.847."""
    assert experiments.sample_size(0.10, 0.12) == 3_841
    assert experiments.sample_size(0.12, 0.10) == 3_841
    for wrong in ((0.1, 0.1), (0, 0.1), (0.1, 1), (-0.1, 0.2)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            experiments.sample_size(*wrong)


def test_the_size_gives_the_promised_power() -> None:
    """A buys with 1/16; in B everyone who doesn't has a second chance of 1/16."""
    rng, base = random.Random(4), 1 / 16
    wanted = base + (1 - base) * base
    size = experiments.sample_size(base, wanted)
    finds = 0
    for _ in range(1_000):
        first = experiments.buyers(size, rng)
        b = first + experiments.buyers(size - first, rng)
        finds += experiments.z_test(experiments.buyers(size, rng), size, b, size).significant()
    assert 0.76 < finds / 1_000 < 0.84


def test_the_z_test_agrees_with_statsmodels() -> None:
    """statsmodels.stats.proportion.proportions_ztest([150, 120], [1000, 1000]): p = 0.0496."""
    result = experiments.z_test(120, 1_000, 150, 1_000)
    assert isclose(result.difference, 0.03)
    assert isclose(result.p, 0.0496, abs_tol=0.0005)
    assert result.low < 0.03 < result.high
    assert experiments.z_test(0, 10, 0, 10).p == 1.0
    with pytest.raises(ValueError, match="need users"):
        experiments.z_test(0, 0, 1, 10)


def test_buckets_are_even_stable_and_of_each_test_its_own() -> None:
    counts = Counter(experiments.bucket("a", user) // 1_000 for user in range(20_000))
    assert all(abs(counts[tenth] - 2_000) < 200 for tenth in range(10))
    code = "from recommender.experiments import bucket; print([bucket('a', n) for n in range(5)])"
    here = str([experiments.bucket("a", user) for user in range(5)])
    assert run_python("-c", code, PYTHONHASHSEED="7").stdout.strip() == here
    assert experiments.ratio_is_wrong(10_000, 9_400)
    assert not experiments.ratio_is_wrong(5_050, 4_950)


@pytest.fixture
def engine() -> RecommendationEngine:
    class Three:
        name = "three"

        def get(self, key: int) -> tuple:
            return ((1, 0.9), (2, 0.8), (3, 0.7)) if key == 0 else ()

    return RecommendationEngine(Catalogue(1_000), TieredCache(10_000, Three()), OnlineLogistic())


def test_the_engine_follows_the_visitor(engine: RecommendationEngine) -> None:
    engine.save_profiles([Profile(7, Segment.AT_RISK, 0.5, 80.0)])
    for _ in range(10):
        engine.learn(7, 3, 0.7, True)
        engine.learn(7, 1, 0.9, False)
    assert engine.recommend(7, 0, many=2) == ([3, 2], "free delivery")
    assert engine.recommend(8, 0).offer == "personalised goods"
    assert engine.recommend(8, 5).products == []


def test_profiles_are_cached_until_they_change(engine: RecommendationEngine) -> None:
    assert engine.get_user_profile.cache_parameters()["maxsize"] == 10_000
    with pytest.raises(UnknownUserError, match="number 7"):
        engine.get_user_profile(7)
    for segment in (Segment.ACTIVE, Segment.VIP):
        engine.save_profiles([Profile(7, segment, 0.1, 500.0)])
        assert engine.get_user_profile(7).segment is segment
        assert engine.get_user_profile(7) is engine.get_user_profile(7)


def test_the_cache_of_profiles_dies_with_its_engine() -> None:
    engine = RecommendationEngine(Catalogue(1_000), TieredCache(100, None), OnlineLogistic())
    engine.save_profiles([Profile(7, Segment.VIP, 0.1, 500.0)])
    engine.get_user_profile(7)
    ghost = weakref.ref(engine)
    engine.close()
    del engine
    gc.collect()
    assert ghost() is None


def test_too_few_products_are_refused_in_one_sentence() -> None:
    result = run_python(PATH, "--rows", "999")
    assert result.returncode == 2
    assert "at least 1,000 products" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_redis_the_lesson_says_so_and_goes_on() -> None:
    result = run_python(PATH, "--fast", "--rows", "1000", REDIS_URL="redis://127.0.0.1:9/0")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "○ skipped" in result.stdout
    assert "All claims hold" in result.stdout
