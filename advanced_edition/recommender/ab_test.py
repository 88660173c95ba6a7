"""The steps of lesson 03 about A/B tests: planning one, the trap of peeking, deciding.

The formulas stand in experiments.py, each with its source.
"""

import random
from statistics import fmean

from config_advanced import Config

from course.lesson import Lesson
from recommender import experiments, online
from recommender.engine import RecommendationEngine

EXPERIMENT = "personal order"
BASE, WANTED = 0.20, 0.30  # conversion now, and what would be worth the work
# False alarms by the number of looks (Armitage, McPherson, Rowe: Repeated significance tests on
# accumulating data, 1969).
ARMITAGE = {1: 0.05, 2: 0.083, 5: 0.142, 10: 0.193}


def planning(lesson: Lesson) -> int:
    """An A/B test, part one: who sees what, and how many are needed.

    Hash the user's number with the test's name: each user sees the same variant each time, on each
    server, and nothing is stored. Another test mixes anew. Decide beforehand which change would be
    worth finding, and compute how many users that takes. Small changes are expensive: half the
    difference needs four times the users.
    """
    users = range(20_000)
    groups = [experiments.variant(EXPERIMENT, user) for user in users]
    lesson.check("always the same", groups == [experiments.variant(EXPERIMENT, u) for u in users])
    in_b = groups.count("B") / len(users)
    lesson.check("half and half", abs(in_b - 0.5) < 0.015, f"{in_b:.1%}")
    both = fmean(mine == experiments.variant("page colour", u) for u, mine in enumerate(groups))
    lesson.check("another test mixes anew", abs(both - 0.5) < 0.015, f"{both:.1%} in the same")
    more = [experiments.variant(EXPERIMENT, user, 0.6) for user in users]
    back = [pair for pair in zip(groups, more, strict=True) if pair == ("B", "A")]
    lesson.check("a larger share of B sends nobody back to A", not back)
    sizes = [(f"{BASE:.0%} → {to:.1%}", experiments.sample_size(BASE, to))
             for to in (WANTED, 0.25, 0.225, 0.21)]  # fmt: skip
    printed = [(change, f"{users:,}") for change, users in sizes]
    lesson.table(printed, ["change", "users in each group"], "To find it in 80 % of tests")
    lesson.check("half the change, about four times the users", 3.4 < sizes[1][1] / sizes[0][1] < 4)
    return sizes[0][1]


def peeking(lesson: Lesson, config: Config) -> None:
    """The trap: looking until it is significant.

    We test A against the same A, so each find is a false alarm, and 5 % of these are agreed. Who
    looks again and again, and stops at the first p < 0.05, has many more, and the more the oftener
    he looks. So fix the size beforehand and look once. Or pay for the looks: with Pocock's stricter
    limit, ten looks together err in 5 %.
    """
    rng = random.Random(config.seed)
    tests = [experiments.looks(400, 10, rng) for _ in range(4_000)]
    found = {times: experiments.false_alarms(tests, times) for times in ARMITAGE}
    rows = [(times, "0.05", f"{found[times]:.1%}", f"{ARMITAGE[times]:.1%}") for times in found]
    at_the_end = experiments.false_alarms([seen[-1:] for seen in tests], 1)
    pocock = experiments.false_alarms(tests, 10, experiments.POCOCK_10)
    rows += [("1, at the end", "0.05", f"{at_the_end:.1%}", "5.0%"),
             (10, f"{experiments.POCOCK_10:.4f}", f"{pocock:.1%}", "5.0%")]  # fmt: skip
    columns = ["looks", "stop at p below", "false alarms", "published"]
    lesson.table(rows, columns, "4,000 tests of A against A")
    lesson.check("one look keeps the promise", 0.035 < at_the_end < 0.065)
    lesson.check("ten looks make at least three times as many", found[10] > 0.15)
    lesson.check("as published, within 2 points",
                 all(abs(found[times] - ARMITAGE[times]) < 0.02 for times in found))  # fmt: skip
    lesson.check("Pocock's limit mends it", 0.035 < pocock < 0.065)


def deciding(lesson: Lesson, engine: RecommendationEngine, visits: list[int], likes: list[str],
             needed: int, config: Config) -> None:  # fmt: skip
    """An A/B test, part two: does the visitor's own order sell more?

    A shows the most similar product, B what the model puts first. Each visitor counts once, as his
    visits resemble each other. Look at the sizes first: unequal groups mean that someone was lost,
    and then no p-value helps. Report the interval, not the p-value alone.
    """
    rng, users, bought = random.Random(config.seed), {"A": 0, "B": 0}, {"A": 0, "B": 0}
    with_choice = [product for product in visits if len(engine.cache.get(product)) > 2]
    for who, favourite in enumerate(likes):
        product, group = rng.choice(with_choice), experiments.variant(EXPERIMENT, who)
        neighbours = dict(engine.cache.get(product))
        best = engine.ranked(who, product)[0] if group == "B" else next(iter(neighbours))
        liked = engine.catalogue.category_of(best) == favourite
        users[group] += 1
        bought[group] += rng.random() < online.chance_to_buy(neighbours[best], False, liked)
    rows = [(group, users[group], bought[group], f"{bought[group] / users[group]:.1%}")
            for group in users]  # fmt: skip
    lesson.table(rows, ["group", "users", "bought", "conversion"])
    result = experiments.z_test(bought["A"], users["A"], bought["B"], users["B"])
    p = f"p = {result.p:.4f}" if result.p >= 0.0001 else "p < 0.0001"
    lesson.check(f"each group has the {needed} users it needs", min(users.values()) >= needed)
    lesson.check("the sizes may be chance", not experiments.ratio_is_wrong(*users.values()))
    lesson.check("B sells more", result.significant() and result.low > 0,
                 f"{result.low:+.1%} to {result.high:+.1%}, {p}")  # fmt: skip
