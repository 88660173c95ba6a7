"""A recommendation engine: a million products, answered in microseconds.

You will see which products belong together found from baskets alone, a cache of three tiers whose
memory is bounded in bytes, a model that learns from each click, customers who leave without a word,
and A/B tests with the trap that most teams walk into. Every truth is planted, so all that is found
can be checked.

Run      python advanced_edition/03_ml_recommendation_engine.py      (--rows N: so many products)
Needs    nothing (Redis is an option)
Minutes  50
Next     04_web_api_simulation.py
"""

import random
import tracemalloc
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, quantiles

import config_advanced
from config_advanced import MIB, Config
from recommender import ab_test, customers, importance, online, shop, similarity, store
from recommender.cache import NearTier, TieredCache
from recommender.customers import Segment
from recommender.engine import RecommendationEngine
from recommender.one_load import one_load
from recommender.shared_tier import shared_tier
from utils import performance

from course.errors import UsageError
from course.lesson import Lesson, run
from course.measure import seconds

VISITORS, VISITS_IN_WINDOW, WINDOWS = 1_000, 15_000, 6


def catalogue(lesson: Lesson, config: Config) -> shop.Catalogue:
    """A catalogue in columns.

    One Python object for each product would be the natural way, and at a million it fills a laptop.
    An `array` keeps the bare numbers: one byte for a category, four for a price. The product is its
    position.
    """
    products = shop.Catalogue(config.products)
    one = {"product": 12_345, "category": 1, "cents": 1_999}
    as_objects = config.products * (one.__sizeof__() + sum(n.__sizeof__() for n in one.values()))
    rows = [("dictionaries", f"{as_objects / 1e6:,.1f} MB"),
            ("columns", f"{products.bytes / 1e6:,.1f} MB")]  # fmt: skip
    lesson.table(rows, ["as", "memory"], f"{config.products:,} products", measured=True)
    lesson.check("columns take five bytes a product", products.bytes == 5 * products.size)
    return products


def belonging_together(lesson: Lesson, products: shop.Catalogue, config: Config) -> Path:
    """What belongs together: cosine similarity from baskets.

    Planted: products come in bundles of four, and a carrier bag is in most baskets. Counting what
    is bought together finds the bag. The cosine divides by how often each is bought at all: a bag
    that is bought with everything is similar to nothing (recommender/similarity.py).

    Two products in one basket once may be chance, so we ask for twice. A product that was hardly
    ever bought then has no neighbours: the cold start. Show bestsellers there.
    """
    path = config_advanced.DATA_DIR / f"similar_{products.size}_{config.seed}.db"
    with performance.watch("baskets") as buying:
        baskets = shop.shop_baskets(products, config.seed)
    with performance.watch("similarities") as comparing:
        index = similarity.PurchaseIndex(baskets, products.size)
        everything = lesson.progress(range(products.size), label="products compared")
        written = store.write(path, similarity.rows(index, everything))
    print(f"{len(baskets):,} baskets, {len(baskets.items):,} purchases, {written:,} similarities")
    rows = [(one.name, f"{one.seconds:.1f}", megabytes(one.growth))
            for one in (buying.found, comparing.found)]  # fmt: skip
    lesson.table(rows, ["made", "seconds", "memory"], measured=True)

    sample = random.Random(config.seed).sample(range(1, products.size), 999)
    found = {product: index.neighbours(product) for product in sample}
    known = [product for product in sample if found[product]]
    bundle = products.bundle
    right = fmean(bundle(found[product][0][0]) == bundle(product) for product in known)
    naive = [index.most_often_together(product) for product in known]
    bag = fmean(product == shop.CARRIER_BAG for product in naive)
    lesson.check("a similarity and more for each product", written >= products.size)
    lesson.check("the best neighbour is of the planted bundle", right > 0.99, f"{right:.1%}")
    lesson.check("by count alone it would often be the bag", bag > 0.2, f"{bag:.1%}")
    lesson.check("most products have neighbours", len(known) > 700, f"{len(known)} of 999")
    return path


def megabytes(growth: int | None) -> str:
    """Bytes that the process grew by, as text."""
    return "not known here" if growth is None else f"+{growth / 1e6:.0f} MB"


def tiers(lesson: Lesson, similar: store.SimilarityStore, config: Config) -> None:
    """Three tiers: this process, Redis, SQLite.

    The nearest tier that knows the answer gives it, and what a far tier knew is kept in the nearer
    ones. The first tier is bounded in bytes (128 MB), as memory is what runs out: who was not asked
    for longest goes first. `lru_cache` counts entries, whatever their size.
    """
    cache = TieredCache(config.cache_bytes, similar)
    asked = [n * 7 % config.products for n in range(500)]
    far = [seconds(partial(similar.get, product)) for product in asked]
    cache.warm(asked)
    near = [seconds(partial(cache.get, product), 20) / 20 for product in asked]
    rows = [("process", "< 1 ms", *microseconds(near)), ("SQLite", "", *microseconds(far))]
    lesson.table(rows, ["tier", "claimed", "median µs", "p99 µs"], "500 look-ups", measured=True)
    same = all(cache.get(product) == similar.get(product) for product in asked)
    lesson.check("all tiers give the same answers", same)
    lesson.check("a cached answer takes less than 1 ms", quantiles(near, n=100)[98] < 1e-3)

    tracemalloc.start()
    tier, before = NearTier(MIB), tracemalloc.get_traced_memory()[0]
    for key in range(6_000):
        tier.put(key, similar.get(key % config.products))
    real = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    lesson.check("1 MiB is never passed", tier.bytes <= MIB and 1_000 < len(tier.entries) < 6_000)
    lesson.check("Python took no more than was counted, and over half", 0.5 < real / tier.bytes < 1)


def microseconds(took: list[float]) -> tuple[str, str]:
    """The median and the 99th percentile of seconds, in µs."""
    percentiles = quantiles(took, n=100)
    return f"{percentiles[49] * 1e6:.2f}", f"{percentiles[98] * 1e6:.2f}"


def traffic(
    lesson: Lesson, products: shop.Catalogue, similar: store.SimilarityStore, config: Config
) -> None:
    """Hit rates under Zipf's law.

    Visitors look at a few products very often and at most hardly ever: the k-th most popular 1/k as
    often as the first. That is why a small cache answers most questions. A fresh one starts cold:
    judge it later. Visits that are spread evenly hardly ever hit: there a cache is a waste.
    """
    half = products.size // 2
    visits = shop.zipf_visits(products, 2 * half, config.seed)
    even = random.Random(config.seed).choices(range(products.size), k=half // 10)
    cache = TieredCache(config.cache_bytes, similar)
    rates = {
        "Zipf, cold": hit_rate(cache, visits[:half]),
        "Zipf, warm": hit_rate(cache, visits[half:]),
        "Zipf, a cache of an eighth": hit_rate(
            TieredCache(cache.near.bytes // 8, similar), visits[:half]
        ),
        "evenly spread, cold": hit_rate(TieredCache(config.cache_bytes, similar), even),
    }
    lesson.table([(name, f"{rate:.1%}") for name, rate in rates.items()], ["visits", "first tier"])
    held = f"{len(cache.near.entries):,} entries, {cache.near.bytes / MIB:.0f} of 128 MiB"
    lesson.check("more than 70 % hits, as claimed", rates["Zipf, warm"] > 0.7, held)
    lesson.check("within its bytes", cache.near.bytes <= config.cache_bytes)
    lesson.check("an eighth of the memory loses less than half of the hits",
                 rates["Zipf, a cache of an eighth"] > rates["Zipf, cold"] / 2)  # fmt: skip
    lesson.check("evenly spread, almost nothing hits", rates["evenly spread, cold"] < 0.1)


def hit_rate(cache: TieredCache, visits: list[int]) -> float:
    """The share of the visits that the first tier answers."""
    cache.forget_counts()
    for product in visits:
        cache.get(product)
    return cache.answers()[0].hit_rate


def learning(lesson: Lesson, config: Config) -> tuple[online.OnlineLogistic, list[str]]:
    """A model that learns from each event.

    A visitor sees a product and buys it or not. The model predicts first and learns afterwards, so
    each event is a test and then a lesson. Nobody tells it the planted favourites. Half way, half
    of the visitors change their minds: a model that is frozen there goes stale, and the one that
    goes on learning recovers (recommender/online.py).
    """
    rng = random.Random(config.seed)
    likes = online.favourites(VISITORS, rng)
    model, frozen, rows = online.OnlineLogistic(), None, []
    for window in range(1, WINDOWS + 1):
        if window == WINDOWS // 2 + 1:
            frozen = model.copy()
            before = online.found_favourites(model, likes)
            likes = online.favourites(VISITORS // 2, rng) + likes[VISITORS // 2 :]
        events = online.events(likes, VISITS_IN_WINDOW, rng)
        rows.append((window, *online.losses(model, frozen, events)))
    columns = ["window", "always the mean", "learning", "frozen", "the truth itself"]
    printed = [(n, *(f"{one:.3f}" if one < 2 else "" for one in row)) for n, *row in rows]
    lesson.table(printed, columns, "Log loss: surprise per event, less is better")
    _, constant, learned, _, best = rows[WINDOWS // 2 - 1]
    closed = (constant - learned) / (constant - best)
    lesson.check("it finds the planted favourite of most visitors", before > 0.85, f"{before:.0%}")
    lesson.check("half of what can be known is learnt at half time", closed > 0.5, f"{closed:.0%}")
    lesson.check("after the change, learning beats frozen", rows[-1][2] < rows[-1][3] - 0.02)
    now, stale = (online.found_favourites(one, likes) for one in (model, frozen))
    lesson.check("and finds new favourites too", now > stale + 0.15, f"{stale:.0%} → {now:.0%}")
    return model, likes


def what_matters(lesson: Lesson, config: Config) -> None:
    """Features, and how much each one matters.

    Shuffle one column of the test data, and see how much worse the forecasts get: permutation
    importance works with any model. Use data the model has not seen, or noise that it learnt by
    heart looks important. And mind twins: two columns that say the same share the work, so each
    looks half as important as it is. Shuffle or drop them together.
    """
    rng = random.Random(config.seed)
    rows, bought = importance.table_of_visits(6_000, rng)
    train, test = slice(0, 3_500), slice(3_500, None)
    model = importance.fit(rows[train], bought[train])
    found = importance.permutation_importance(model, rows[test], bought[test], rng)
    lesson.table(
        [(one.feature, f"{importance.TRUTH[one.feature]:.1f}", f"{max(one.mean, 0):.3f}",
          "yes" if one.matters else "no") for one in found],
        ["feature", "planted weight", "importance", "matters"],
    )  # fmt: skip
    planted = list(importance.TRUTH)
    lesson.check("the useful ones are found in the planted order",
                 [one.feature for one in found][:4] == planted[:4])  # fmt: skip
    lesson.check(
        "and the useless ones don't matter", [one.matters for one in found[4:]] == [False] * 2
    )

    twins = importance.with_twin(rows, "similarity")
    model = importance.fit(twins[train], bought[train])
    (again,) = importance.permutation_importance(
        model, twins[test], bought[test], rng, features=["similarity"]
    )
    alone = next(one.mean for one in found if one.feature == "similarity")
    lesson.check("beside its twin, a feature looks less than half as important",
                 again.mean < alone / 2, f"{alone:.3f} → {again.mean:.3f}")  # fmt: skip


def leaving(lesson: Lesson, config: Config) -> list[customers.Profile]:
    """Who has left without a word, and what the others are worth.

    Nobody cancels in a shop. Silence of two months means nothing for someone who buys twice a year,
    and much for someone who came each week. From each customer's own rhythm we get the probability
    that he is gone (churn) and what he will spend in a year (LTV). The formulas stand in
    recommender/customers.py. A forecast is good when of those called "70 % gone", 70 % are gone.
    """
    everyone = customers.simulate(max(config.products // 50, 4_000), random.Random(config.seed))
    histories, futures = zip(*everyone, strict=True)
    found = customers.profiles(histories)
    table = customers.calibration(found, futures)
    lesson.table([(name, count, f"{said:.0%}", f"{true:.0%}") for name, count, said, true in table],
                 ["called gone", "customers", "on average", "truly gone"])  # fmt: skip
    worst = max(abs(said - true) for _, _, said, true in table)
    lesson.check("what is said is what happens, within 8 points", worst < 0.08)

    spent = [future.purchases * one.value for one, future in everyone]
    rows, alive, share = [], {}, {}
    for segment in Segment:
        those = [profile.user_id for profile in found if profile.segment is segment]
        alive[segment] = fmean(futures[who].alive for who in those)
        share[segment] = sum(spent[who] for who in those) / sum(spent)
        rows.append((segment, len(those), f"{alive[segment]:.0%}", f"{share[segment]:.0%}",
                     customers.OFFERS[segment]))  # fmt: skip
    lesson.table(rows, ["segment", "customers", "truly alive", "of next year's sales", "offer"])
    said, came = sum(profile.ltv for profile in found), sum(spent)
    lesson.check("the year's sales are forecast within 10 %", abs(said / came - 1) < 0.10,
                 f"{said / came - 1:+.1%}")  # fmt: skip
    in_order = alive[Segment.DORMANT] + 0.2 < alive[Segment.AT_RISK] < alive[Segment.ACTIVE] - 0.2
    lesson.check("dormant, at risk, active: more and more are alive", in_order)
    lesson.check("a tenth are VIPs and bring over a quarter", share[Segment.VIP] > 0.25)
    return found


def answering(lesson: Lesson, engine: RecommendationEngine, visits: list[int], likes: list[str],
              config: Config) -> None:  # fmt: skip
    """The engine: similar products, in this visitor's order.

    Similarity says what goes with the product, the model what this visitor cares for, and the
    segment what he is offered. Profiles are read through `lru_cache(maxsize=10_000)`, made for each
    engine: above the method it would keep every engine alive. It knows nothing of changes, so who
    saves a profile must clear it.
    """
    rng = random.Random(config.seed)
    asked = [(rng.randrange(VISITORS), product) for product in visits]
    for who, product in asked:
        engine.recommend(who, product)
    took = [seconds(partial(engine.recommend, *question)) for question in asked]
    lesson.table([("a cached recommendation", "< 1 ms", *microseconds(took))],
                 ["", "claimed", "median µs", "p99 µs"], measured=True)  # fmt: skip
    lesson.check("a cached recommendation takes less than 1 ms", quantiles(took, n=100)[98] < 1e-3)
    info = engine.get_user_profile.cache_info()
    rate = info.hits / (info.hits + info.misses)
    lesson.check("profiles come from memory", rate > 0.7 and info.maxsize == 10_000, f"{rate:.0%}")

    shown = [(engine.catalogue.category_of(best[0]), likes[who]) for who, product in asked
             if len(best := engine.ranked(who, product)) > 2]  # fmt: skip
    first = fmean(category == favourite for category, favourite in shown)
    lesson.check("favourites come first twice as often as by chance", first > 2 / 8, f"{first:.0%}")
    last = engine.ranked(who := asked[0][0], some := engine.catalogue.product(1))[-1]
    for _ in range(20):
        engine.learn(who, last, similarity=0.5, bought=True)
    lesson.check("what is bought comes first from then on", engine.ranked(who, some)[0] == last)
    richer = replace(engine.get_user_profile(1), ltv=1_000_000.0)
    engine.save_profiles([richer])
    lesson.check("a saved profile is seen at once", engine.get_user_profile(1) == richer)


def when_not(lesson: Lesson) -> None:
    """When not to do this, and what changes at 1,000 times the size.

    Don't build it where bestsellers in each category do: measure them first, they are hard to beat.
    Don't cache what is quick already, and don't personalise with three clicks. In a job, take
    `implicit` for similarities, scikit-learn or River for models, GrowthBook or statsmodels for
    tests.

    At a billion products the pairs are counted on many machines, neighbours are searched
    approximately (FAISS, HNSW), one model proposes hundreds and another ranks them, features come
    from a feature store, and the cache is a cluster in which one hot key still lives on one node.
    """


def main(lesson: Lesson) -> None:
    """From baskets to a decision."""
    config = config_advanced.chosen(lesson.options, "products")
    if config.products < shop.FEWEST:
        raise UsageError(f"--rows {config.products}: give it at least {shop.FEWEST:,} products.")
    products = lesson.step(catalogue, lesson, config)
    path = lesson.step(belonging_together, lesson, products, config)
    visits = shop.zipf_visits(products, 2_000, config.seed)
    with closing(store.SimilarityStore(path)) as similar:
        lesson.step(tiers, lesson, similar, config)
        lesson.step(traffic, lesson, products, similar, config)
        lesson.step(one_load, lesson)
        lesson.step(shared_tier, lesson, similar, visits)
        model, likes = lesson.step(learning, lesson, config)
        lesson.step(what_matters, lesson, config)
        profiles = lesson.step(leaving, lesson, config)
        cache = TieredCache(config.cache_bytes, similar)
        with closing(RecommendationEngine(products, cache, model)) as engine:
            engine.save_profiles(profiles)
            lesson.step(answering, lesson, engine, visits, likes, config)
            needed = lesson.step(ab_test.planning, lesson)
            lesson.step(ab_test.peeking, lesson, config)
            lesson.step(ab_test.deciding, lesson, engine, visits, likes, needed, config)
    lesson.step(when_not, lesson)


if __name__ == "__main__":
    run(main, config_advanced.options)
