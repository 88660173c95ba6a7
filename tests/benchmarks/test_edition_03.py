"""The cached recommendation of edition/03: each tier beside the least that it could do."""

import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator

import pytest
import redis
from recommender import shop, similarity, store
from recommender.cache import TieredCache
from recommender.redis_tier import RedisTier

from course.measure import seconds

Measure = Callable[..., None]
# Many short rounds: what else the machine does then meets both ways alike.
PRODUCTS, HOT, ASKED, ROUNDS = 1_000_000, 1_000, 50_000, 35
FROM_REDIS, VISITS, LIMIT = 150, 1_000_000, 128 * 2**20


@pytest.fixture(scope="module")
def catalogue() -> shop.Catalogue:
    return shop.Catalogue(PRODUCTS)


@pytest.fixture(scope="module")
def similar(
    catalogue: shop.Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[store.SimilarityStore]:
    path = tmp_path_factory.mktemp("edition_03") / "similar.db"
    index = similarity.PurchaseIndex(shop.shop_baskets(catalogue, 6), PRODUCTS)
    store.write(path, similarity.rows(index, range(PRODUCTS)))
    opened = store.SimilarityStore(path)
    yield opened
    opened.close()


def nanoseconds(look_up: Callable[[int], object], keys: list[int]) -> float:
    """Time of one look-up, with next to nothing for the loop around it."""
    return seconds(lambda: deque(map(look_up, keys), maxlen=0)) / len(keys) * 1e9


def in_turn(ways: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each way, measured in turn with the others."""
    rounds = [{name: way() for name, way in ways.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(one[name] for one in rounds) for name in ways}


def test_first_tier(measured: Measure, similar: store.SimilarityStore) -> None:
    """The whole `TieredCache.get`, order and count included, over a function around a dict."""
    cache = TieredCache(LIMIT, similar)
    cache.warm(range(HOT))
    table = {product: cache.get(product) for product in range(HOT)}
    keys = random.Random(1).choices(range(HOT), k=ASKED)

    def bare(product: int) -> object:
        return table[product]

    found = in_turn(
        {"dict": lambda: nanoseconds(bare, keys), "tier": lambda: nanoseconds(cache.get, keys)}
    )
    says = ", ".join(f"{name} {time:.0f} ns" for name, time in found.items())
    measured("first tier over a dict", found["tier"] / found["dict"], 5, "lower", says)


def test_redis_tier(
    measured: Measure, similar: store.SimilarityStore, service: Callable[[str], str]
) -> None:
    """A miss of the first tier that Redis answers, kept in the first tier, over the bare GET."""
    prefix, url = f"bench_edition_03:{random.getrandbits(64)}:", service("redis")
    keys = [product for product in range(HOT) if similar.get(product)][:FROM_REDIS]
    names = {key: f"{prefix}{key}" for key in keys}
    with redis.Redis.from_url(url) as client:
        tier = RedisTier(client, prefix, redis.RedisError)
        try:
            TieredCache(LIMIT, similar, tier).warm(keys)

            def tiered() -> float:
                cache = TieredCache(LIMIT, similar, tier)
                time = nanoseconds(cache.get, keys)
                assert [one.answered for one in cache.answers()] == [0, len(keys), 0]
                return time

            found = in_turn(
                {
                    "GET": lambda: nanoseconds(lambda key: client.get(names[key]), keys),
                    "tier": tiered,
                }
            )
        finally:
            client.delete(*names.values())
    says = ", ".join(f"{name} {time / 1e3:.1f} µs" for name, time in found.items())
    measured("Redis tier over a raw GET", found["tier"] / found["GET"], 1.5, "lower", says)


def test_hit_rate(
    measured: Measure, catalogue: shop.Catalogue, similar: store.SimilarityStore
) -> None:
    """A million visits to a million products after Zipf's law, the cold start included."""
    cache = TieredCache(LIMIT, similar)
    for product in shop.zipf_visits(catalogue, VISITS, 6):
        cache.get(product)
    assert cache.near.bytes <= LIMIT
    says = f"{len(cache.near.entries):,} entries in {cache.near.bytes / 1e6:.0f} MB"
    measured("hit rate on a Zipf load", cache.answers()[0].hit_rate, 0.70, "higher", says)
