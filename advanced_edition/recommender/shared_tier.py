"""The step of lesson 03 about the second tier: a Redis that all processes share, if it is there."""

import time
from functools import partial
from statistics import median
from typing import Any

from config_advanced import MIB

from course.errors import ServiceUnavailable
from course.lesson import Lesson
from recommender.cache import TieredCache
from recommender.redis_tier import RedisTier
from recommender.store import SimilarityStore

NAME = "edition_03"
PREFIX = f"{NAME}:v1:"
REST = 60.0  # seconds; the step moves the clock by hand


def shared_tier(lesson: Lesson, similar: SimilarityStore, visits: list[int]) -> None:
    """The second tier is shared: Redis, an option.

    Each process has its own first tier, cold after each deployment. What one process asked the
    store for, the next one finds in Redis. It pays when the store is far away: here it is a file
    beside us, and a look-up there takes no longer than a question to Redis.

    When Redis is killed, answers come from the store: slower, not broken. After an error the tier
    rests, for a Redis that hangs would make each caller wait (recommender/redis_tier.py).
    """
    try:
        with_redis(lesson, similar, visits)
    except ImportError as missing:
        skip = f"○ skipped: {missing.name} isn't installed. To get it: python3 learn.py up"
        lesson.console.paragraphs(skip)
    except ServiceUnavailable as missing:
        lesson.console.paragraphs(f"○ skipped: {missing}")


def with_redis(lesson: Lesson, similar: SimilarityStore, visits: list[int]) -> None:
    """The step, where Redis and its library are there; ImportError or ServiceUnavailable if not."""
    import redis

    from course import connect
    from course.workspace import own_redis, own_turn

    connected = partial(redis.Redis.from_url, socket_timeout=5, socket_connect_timeout=5)
    with own_turn(NAME):
        with connected(connect.url("redis")) as client:
            try:
                remove_keys(client)
                two_processes(lesson, client, redis.RedisError, similar, visits)
            finally:
                remove_keys(client)
        with own_redis(NAME) as server:
            if server is None:
                print("○ skipped: no Redis here that may be started and killed")
                return
            with connected(server.url) as client:
                killed(lesson, server, client, redis.RedisError, similar, visits[:300])


def remove_keys(client: Any) -> None:
    """Delete what this lesson has in Redis, and nothing else."""
    for key in client.scan_iter(f"{NAME}:*", count=1_000):
        client.delete(key)


def two_processes(
    lesson: Lesson, client: Any, away: type[Exception], similar: SimilarityStore, visits: list[int]
) -> None:
    """Two processes, one after the other, with a first tier each and one Redis."""
    rows, counts = [], []
    for process in ("first", "second"):
        cache = TieredCache(128 * MIB, similar, RedisTier(client, PREFIX, away))
        for product in visits:
            cache.get(product)
        counts.append([tier.answered for tier in cache.answers()])
        rows.append((process, *(f"{tier.hit_rate:.1%}" for tier in cache.answers()[:2]),
                     f"{counts[-1][2]:,}"))  # fmt: skip
    columns = ["process", "hits of its own", "hits of Redis", "questions to SQLite"]
    lesson.table(rows, columns, f"{len(visits):,} visits, Zipf")
    lesson.check("the second process needs no store", counts[1][2] == 0 < counts[0][2])

    tier, key = RedisTier(client, PREFIX, away), visits[0]
    took: dict[str, list[float]] = {"raw GET": [], "the tier": [], "SQLite": []}
    for _ in range(300):
        took["raw GET"].append(timed(client.get, f"{PREFIX}{key}"))
        took["the tier"].append(timed(tier.get, key))
        took["SQLite"].append(timed(similar.get, key))
    raw, ours, file = (median(times) for times in took.values())
    rows = [(name, f"{median(times) * 1e6:.1f}") for name, times in took.items()]
    lesson.table(rows, ["asked", "median µs"], "One product, 300 times", measured=True)
    lesson.check("the tier takes less than 3 times a raw GET", ours < 3 * raw, f"{ours / raw:.2f}x")
    lesson.check("and here SQLite is no slower than Redis", file < ours)


def timed(work: Any, argument: object) -> float:
    """Seconds that `work(argument)` takes."""
    start = time.perf_counter()
    work(argument)
    return time.perf_counter() - start


def killed(
    lesson: Lesson,
    server: Any,
    client: Any,
    away: type[Exception],
    similar: SimilarityStore,
    visits: list[int],
) -> None:
    """Kill Redis and start it again; each time, a fresh process asks the same."""
    now = [0.0]
    tier = RedisTier(client, PREFIX, away, rest=REST, clock=lambda: now[0])
    rows, wrong = [], 0
    for state, change in (("up, empty", None), ("killed", server.kill), ("back", server.start)):
        if change:
            change()
        now[0] += REST + 1
        cache = TieredCache(128 * MIB, similar, tier)
        wrong += sum(cache.get(product) != similar.get(product) for product in visits)
        rows.append((state, *(one.answered for one in cache.answers()), tier.errors))
    columns = ["Redis is", "by process", "by Redis", "by SQLite", "errors so far"]
    lesson.table(rows, columns, f"{len(visits)} visits each")
    lesson.check("of 900 answers none is wrong or missing", wrong == 0)
    lesson.check("killed, it costs one error and then rests", rows[1][4] == 1)
    lesson.check("back again, it answers again", rows[2][2] + rows[2][3] > 0 == rows[2][4] - 1)
