"""Real-world data science: whom to write to, with what, and is the model worth it.

You will see four segments with an offer each, the risk that a customer leaves (by hand, fitted,
calibrated), what a customer brings next year (a formula, then BG/NBD with Gamma-Gamma), and what to
recommend. Truths are planted and a year is held out: some models lose against a rule.

Run      python advanced_examples/data_services/05_realworld_data_science.py
Needs    PostgreSQL
Minutes  90
Next     06_recommendations_api.py
"""

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaln, gammaln
from shop_profile import frames
from shop_profile.engine import OFFERS, Engine
from shop_profile.lifetime import BgNbd, GammaGamma
from shop_profile.marks import amount_marks, hit_rate, in_groups, marks
from shop_profile.simulation import simulate
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from course import charts, connect
from course.lesson import Lesson, run
from course.settings import TODAY
from course.shop.people import kind_of
from course.shop.truths import PAIRS, Kind, lift

WINDOW, YEAR, YEAR_IN_WEEKS = 90, 365, 365 / 7
TRAIN, CALIBRATE, TEST, NEXT = (540, 450, 360), 270, 180, 90  # days before today
BG_TRUTH, GG_TRUTH = BgNbd(r=0.8, alpha=4.5, a=0.6, b=1.8), GammaGamma(p=3.0, q=6.0, gamma=100.0)
DIMENSIONS, SMOOTHING, CALM, SHOWN = 10, 5, 0.6, 5
LEARN_FROM = """
    SELECT * FROM analytics.customer_features_as_of(%s)
    JOIN analytics.churn_labels_as_of(%s) USING (customer_id, as_of) ORDER BY customer_id
"""
Array, EVEN = np.ndarray, "as it should be"


def segment(recency: float, orders: float, last_year: float, registered_ago: int) -> str:
    """The segment of a customer: days since the last order, orders ever and in the last year."""
    if not orders:
        return "active" if registered_ago <= 86 else "dormant"
    if recency >= 240:
        return "dormant"
    if recency > 90:
        return "at risk"
    return "vip" if last_year >= 14 else "active"


def segments(lesson: Lesson, known: pd.DataFrame) -> None:
    """Four segments, four offers.

    Days since the last order, orders in the last year: two numbers and a rule that everybody in
    the shop can repeat. Each segment gets what may move it: money off may bring the dormant back,
    to VIPs, who come anyway, it would be a present. You know what you will do with each group, so
    no model has to find groups. Four kinds are planted, and the database doesn't know them.
    """
    found = [segment(c.recency, c.orders, c.last_year, c.registered) for c in known.itertuples()]
    table = known.groupby(found).agg(
        customers=("orders", "size"), recency=("recency", "median"), orders=("orders", "median")
    )
    lesson.table([(name, *table.loc[name].astype(int), offer) for name, offer in OFFERS.items()],
                 ["segment", "customers", "recency", "orders", "offer"])  # fmt: skip
    right = sum(kind_of(number) == name for number, name in zip(known.index, found, strict=True))
    lesson.check("the rule finds 99 % of the planted kinds", right >= 1_980, f"{right} of 2,000")


def logistic(score: float) -> float:
    """1 / (1 + e^-score): any score becomes a probability; e^710 is too large for a float."""
    return 1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))


def risk_by_hand(recency: float, orders_90d: float) -> float:
    """Even odds 90 days after the last order; each order of the last 90 days is worth 12 days."""
    return logistic((recency - 90) / 60 - 0.2 * orders_90d)


def churn_by_hand(lesson: Lesson) -> None:
    """Churn risk by hand: a score, and the logistic function.

    Churn is a question with a date: will this customer order nothing in the next 90 days? Add up
    what speaks for it, and the logistic function makes a probability of the sum: 0 becomes 50 %,
    and every further point multiplies the odds by 2.7. Begin with this model: it needs no history,
    and you can defend it in a meeting.
    """
    rows = [[day, *(f"{risk_by_hand(day, n):.0%}" for n in (1, 2, 6))] for day in (0, 30, 60, 89)]
    lesson.table(
        rows,
        ["days since", "1 order", "2 orders", "6 orders"],
        "Risk, by orders of the last 90 days",
    )
    lesson.check("the longer silent, the higher", risk_by_hand(61, 2) > risk_by_hand(60, 2))
    with lesson.expected_error(OverflowError):
        1 / (1 + math.exp(1_000))
    lesson.check("ours has no such limit", logistic(-1_000) == 0 and logistic(1_000) == 1)


def inputs(frame: pd.DataFrame) -> Array:
    """What the model sees, (customers, 2): logarithms, for day 2 says more than day 200."""
    return np.log1p(frame[["days_since_last_order", "orders_365d"]].to_numpy(float))


def split_in_time(lesson: Lesson) -> dict[int, pd.DataFrame]:
    """Learn from the past, be tested on the future.

    A random split puts March of a customer into training and February into the test. Here each
    window has features as of a day and the target in the 90 days after it, and ends before the
    next part begins. One feature from after the day, and the marks are a lie.
    """
    roles = dict.fromkeys(TRAIN, "train") | {CALIBRATE: "calibrate", TEST: "test", NEXT: "later"}
    days = {ago: TODAY - timedelta(ago) for ago in roles}
    windows = {ago: frames.ask(LEARN_FROM, day, day) for ago, day in days.items()}
    lesson.table([(days[ago], role, len(windows[ago]), f"{windows[ago].churned.mean():.0%}")
                  for ago, role in roles.items()], ["as of", "to", "buyers", "left"])  # fmt: skip
    in_turn = min(TRAIN) - WINDOW >= CALIBRATE >= TEST + WINDOW
    lesson.check("each target ends before the next part begins", in_turn)
    test, later = windows[TEST], windows[NEXT].set_index("customer_id").days_since_last_order
    auc, _, _ = marks(test.churned, later.reindex(test.customer_id).to_numpy(float) > WINDOW)
    lesson.check("recency 90 days later is such a lie", auc > 0.98, f"AUC {auc:.2f}")
    return windows


def fitted_churn(lesson: Lesson, windows: dict[int, pd.DataFrame]) -> CalibratedClassifierCV:
    """The same function, fitted and calibrated.

    LogisticRegression finds the weights under which the past was most likely. Calibration looks at
    a later window: of those with 70 %, how many left? A logistic fit hardly needs it, most other
    models do. AUC asks whether the order is right (0.5 is chance), Brier how far the probabilities
    are off (0 is perfect), lift at 10 % how many more leavers are among the letters you can
    afford; when half of all leave, 2 is the most. It misses good customers who stopped suddenly.
    """
    past, test = pd.concat([windows[ago] for ago in TRAIN]), windows[TEST]
    model = LogisticRegression(C=math.inf).fit(inputs(past), past.churned)
    calibrated = CalibratedClassifierCV(FrozenEstimator(model), method="isotonic")
    calibrated.fit(inputs(windows[CALIBRATE]), windows[CALIBRATE].churned)
    behaviour = test[["days_since_last_order", "orders_90d"]].to_numpy(float)
    risks = {
        "rule: over 90 days": behaviour[:, 0] > 90,
        "by hand": [risk_by_hand(*customer) for customer in behaviour],
        "fitted": model.predict_proba(inputs(test))[:, 1],
        "calibrated": calibrated.predict_proba(inputs(test))[:, 1],
    }
    found = {name: marks(test.churned, risk) for name, risk in risks.items()}
    lesson.table([(name, *(f"{mark:.3f}" for mark in row)) for name, row in found.items()],
                 ["risk", "AUC", "Brier", "lift at 10 %"])  # fmt: skip
    (auc, brier, top), by_hand = found["calibrated"], found["by hand"]
    lesson.check("who is at risk, the hand knew as well", abs(auc - by_hand[0]) < 0.02)
    lesson.check("how much, the fit knows better", brier < by_hand[1] - 0.005)
    lesson.check("calibration changes little here", abs(brier - found["fitted"][1]) < 0.005)
    lesson.check("of the riskiest tenth 95 % leave", top * test.churned.mean() > 0.95)
    missed = [kind_of(n) for n in test.customer_id[test.churned & (risks["calibrated"] < 0.5)]]
    at_risk = missed.count(Kind.AT_RISK)
    lesson.check("half of those it missed are the planted kind at risk",
                 at_risk > 0.45 * len(missed), f"{at_risk} of {len(missed)}")  # fmt: skip
    shown = {n: [100 * axis for axis in in_groups(risks[n], test.churned)]
             for n in ("by hand", "calibrated")}  # fmt: skip
    lesson.chart(
        charts.curves(shown, "Risk said, and who left", "said, %", "left, %", EVEN), "churn"
    )
    return calibrated


def next_window(lesson: Lesson, windows: dict[int, pd.DataFrame], model: Any) -> None:
    """Three months later.

    A model is tested once and used for years. In the last 90 days far fewer left than it says:
    the generator made all active customers and VIPs order once more, the silent ones too. A rule
    that asks for recency only ranks better. So compare every month what was said with what came.
    """
    later = windows[NEXT]
    risk, recency = model.predict_proba(inputs(later))[:, 1], later.days_since_last_order
    (auc, _, _), (rule, _, _) = (marks(later.churned, r) for r in (risk, recency / recency.max()))
    left = later.churned.mean()
    lesson.check("it says too much", risk.mean() > left + 0.1, f"{risk.mean():.0%}, not {left:.0%}")
    lesson.check("recency alone wins", rule > auc + 0.05, f"AUC {rule:.2f} against {auc:.2f}")


def bgnbd_log_likelihood(x: Array, t_x: Array, age: Array, *parameters: float) -> Array:
    """Logarithm of equation (6) of Fader, Hardie, Lee (2005), for each customer."""
    r, alpha, a, b = parameters
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stayed = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + age)
    left = betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + t_x)
    return common + np.where(x > 0, np.logaddexp(stayed, left), stayed)


def gamma_gamma_log_likelihood(n: Array, mean: Array, *parameters: float) -> Array:
    """Logarithm of equation (1a) of Fader & Hardie (2013): n purchases worth `mean` euros each."""
    p, q, gamma = parameters
    constant = gammaln(p * n + q) - gammaln(p * n) - gammaln(q) + q * np.log(gamma)
    data = (p * n - 1) * np.log(mean) + p * n * np.log(n)
    return constant + data - (p * n + q) * np.log(gamma + n * mean)


def most_likely(log_likelihood: Callable[..., Array], size: int, *data: Any) -> Array:
    """The `size` parameters that make the data most likely; as logarithms, so they stay above 0."""
    found = minimize(lambda logs: -log_likelihood(*data, *np.exp(logs)).mean(), np.zeros(size),
                     method="L-BFGS-B", bounds=[(-8, 14)] * size)  # fmt: skip
    return np.exp(found.x)


def fit_lifetime(buyers: Any) -> tuple[BgNbd, GammaGamma]:
    """Both models, from the columns x, t_x, age and value of `buyers`."""
    x, t_x, age, value = (np.asarray(buyers[name]) for name in ("x", "t_x", "age", "value"))
    purchases = most_likely(bgnbd_log_likelihood, 4, x, t_x, age)
    return BgNbd(*purchases), GammaGamma(*most_likely(gamma_gamma_log_likelihood, 3, x + 1, value))


def recovered(lesson: Lesson) -> None:
    """BG/NBD and Gamma-Gamma, and whether a fit can be trusted.

    BG/NBD tells a story. While customers stay, they buy at random, each at a rate of their own
    (Gamma among customers); after each purchase they leave for good with a chance of their own
    (Beta). Silence is weighed: two months mean little for who buys twice a year, and much for who
    buys weekly. It needs x repeat purchases, t_x weeks from the first to the last, and the age of
    the first. Gamma-Gamma does the same for values. First fit customers who do live by this story:
    there the answer is known.
    """
    made = simulate(4_000, BG_TRUTH, GG_TRUTH, np.random.default_rng(2005))
    both = ((BG_TRUTH, GG_TRUTH), fit_lifetime(made))
    truth, found = (asdict(bought) | asdict(spent) for bought, spent in both)
    lesson.table([(n, truth[n], f"{found[n]:.1f}") for n in truth], ["", "truth", "found"])
    near = [abs(found[name] / truth[name] - 1) < 0.25 for name in truth]
    lesson.check("each is found within 25 %", all(near))


def value_next_year(orders: pd.DataFrame, ago: int) -> tuple[pd.Series, pd.Series]:
    """Purchases and euros that the models expect in the year after that day."""
    buyers = frames.buyers_as_of(orders, ago)
    bought, spent = fit_lifetime(buyers)
    purchases = bought.expected(buyers.x, buyers.t_x, buyers.age, YEAR_IN_WEEKS)
    return purchases, purchases * spent.expected(buyers.days, buyers.value)


def held_out_year(lesson: Lesson, orders: pd.DataFrame) -> None:
    """Lifetime value: a formula and a model, against a year they haven't seen.

    What happened until a year ago is known, the year since then is held out. The formula lets
    everybody go on, even who left long ago. The model knows better who will buy, but it gives each
    customer one rate for life, and this shop's customers slow down: it promises too much. The year
    before tells by what factor. And mind the rule "as much as last year": for the sum of all, a
    budget, no model is better. For one customer it is worse.
    """
    buyers = frames.buyers_as_of(orders, YEAR)
    past, came = (frames.came_after(orders, n * YEAR, YEAR, buyers.index) for n in (2, 1))
    formula = buyers.value * buyers.x / buyers.age.clip(lower=1) * YEAR_IN_WEEKS
    before, _ = value_next_year(orders, 2 * YEAR)
    factor = frames.came_after(orders, 2 * YEAR, YEAR, before.index).days.sum() / before.sum()
    _, euros = value_next_year(orders, YEAR)
    forecasts = {"formula": formula, "as last year": past.euros,
                 "BG/NBD": euros, "BG/NBD corrected": euros * factor}  # fmt: skip
    marked = {name: amount_marks(came.euros, forecast) for name, forecast in forecasts.items()}
    lesson.table([(n, round(e), round(rmse), f"{t:+.0%}") for n, (e, rmse, t) in marked.items()],
                 ["forecast", "mean error, €", "RMSE, €", "sum of all"])  # fmt: skip
    error, _, total = ({n: row[i] for n, row in marked.items()} for i in range(3))
    model = "BG/NBD corrected"
    lesson.check("the model errs 30 % less than the formula", error[model] < 0.7 * error["formula"])
    lesson.check("and 10 % less than last year", error[model] < 0.9 * error["as last year"])
    best = min(total, key=lambda name: abs(total[name]))
    lesson.check("for the sum last year is best", best == "as last year")
    shown = {n: in_groups(forecasts[n], came.euros) for n in ("formula", "BG/NBD", model)}
    lesson.chart(charts.curves(shown, "Euros of a year", "said, €", "came, €", EVEN), "value")


def baskets(lesson: Lesson, lines: pd.DataFrame) -> None:
    """Bought together: support, confidence, lift.

    Support is the share of orders with both, confidence the share of the first's orders that hold
    the second too, lift what that is against chance. The view of sql/05 asks for 50 meetings at
    least: by lift alone, rare products that met once by accident would lead.
    """
    found = frames.ask("""
        SELECT product_a || ' + ' || product_b AS pair, support_pct, confidence_pct, lift::float
        FROM analytics.product_affinity ORDER BY lift DESC LIMIT 6""")
    lesson.table(found.itertuples(index=False), list(found))
    planted = {frozenset(pair): lift(*counts) for pair, counts in PAIRS.items()}
    pairs = [planted.get(frozenset(pair.split(" + ")), 0) for pair in found.pair]
    near = [abs(truth - value) < 0.2 for truth, value in zip(pairs, found.lift, strict=True)]
    lesson.check("the five planted pairs lead, with the planted lift", near == [True] * 5 + [False])
    lesson.check("the sixth is chance", found.lift[5] < 2, f"{found.lift[5]:.2f}")


def embed(both: Array, by_chance: Array) -> tuple[Array, Array]:
    """Item and context vectors, (products, DIMENSIONS) each: Levy & Goldberg (2014).

    Truncated SVD of the PPMI, the logarithm of lift where above 0; SMOOTHING calms rare pairs.
    """
    ppmi = np.log((both + SMOOTHING) / (by_chance + SMOOTHING)).clip(min=0)
    np.fill_diagonal(ppmi, 0)
    left, sizes, right = np.linalg.svd(ppmi)
    roots = np.sqrt(sizes[:DIMENSIONS])
    return left[:, :DIMENSIONS] * roots, right[:DIMENSIONS].T * roots


def embeddings(lesson: Lesson, lines: pd.DataFrame) -> None:
    """Co-purchase embeddings: ten numbers a product.

    120 × 120 counts become 120 × 10 numbers, where noise has little room. A product has two
    vectors, and the table shows how they rank its partner among 119. Item × context asks what is
    bought *together* with it (complements), item × item what is bought with the same things as it
    (substitutes). Mix them up, and the shop offers a second tent to who has just bought one.
    """
    both, by_chance, _ = frames.meetings(lines)
    items, contexts = embed(both.to_numpy(), by_chance)
    place = {name: i for i, name in enumerate(both.index)}
    rows = []
    for one, other in [*PAIRS, *((second, first) for first, second in PAIRS)]:
        scores = [items[place[one]] @ vectors.T for vectors in (contexts, items)]
        ranks = [int((np.delete(s, place[one]) > s[place[other]]).sum()) + 1 for s in scores]
        rows.append((one, other, *ranks))
    lesson.table(rows[: len(PAIRS)], ["product", "partner", "item × context", "item × item"])
    lesson.check("item × context puts all ten first", all(row[2] == 1 for row in rows))
    lesson.check("item × item puts none under the first ten", all(row[3] > 10 for row in rows))


def hidden_product(lesson: Lesson, lines: pd.DataFrame) -> None:
    """Hide a product of a basket: who finds it again?

    Learn from the orders until 90 days ago; from each basket since then hide one product after
    the other, and show five for the rest. What is popular is hard to beat. Lift alone offers the
    rare and is far worse. Popularity, calmed by a power, × lift finds most. Embeddings do no better
    here: with 120 products you can count. They are for catalogues with too many pairs for that.
    """
    past, later = lines[lines.ago >= WINDOW], lines[lines.ago < WINDOW]
    both, by_chance, popular = frames.meetings(past)
    items, contexts = embed(both.to_numpy(), by_chance)
    lifts = both.to_numpy() / by_chance
    ways = {
        "lift": lifts,
        "popular": np.tile(popular, (len(popular), 1)),
        "popular × lift": popular**CALM * np.where(both >= 50, lifts, 1),
        "popular × embeddings": popular**CALM * np.exp((items @ contexts.T).clip(min=0)),
    }
    later = later.assign(place=both.index.get_indexer(later.name)).query("place >= 0")
    hidden = later.groupby("order_id").place.agg(list)
    rates = {way: 100 * hit_rate(scores, hidden, SHOWN) for way, scores in ways.items()}
    lesson.chart(charts.bars(rates, f"Found again among {SHOWN} shown", "per cent"), "hidden")
    lesson.table([(way, f"{rate:.1f} %") for way, rate in rates.items()], ["shown by", "found"])
    by_lift, plain, counted, embedded = rates.values()
    lesson.check("what is popular finds 3x as many as lift", plain > 3 * by_lift)
    lesson.check("popular × either finds more", min(counted, embedded) > plain + 1)
    lesson.check("embeddings are no better than counts", embedded < counted + 1)


def engine(lesson: Lesson, customers: pd.DataFrame) -> None:
    """The engine: everything about one customer, within a request.

    shop_profile/engine.py fits all this at night and keeps it as JSON. A request brings the
    purchases of one customer; no frame and no estimator is made for it. A model is worth its keep
    where its answer changes what you do: the rules choose the offer, the value says what it may
    cost, and the risk whom to write to first.

    At a thousand times the size, a feature store gives training and serving the same numbers, a
    sample is enough to fit, the matrix is sparse, and an index finds the nearest vectors.
    """
    with closing(connect.postgres()) as connection:
        fitted, purchases = Engine.fit(connection), frames.purchases_by_customer()
    start = time.process_time()  # of the processor: what others do at the same time is no matter
    profiles = [fitted.profile(purchases[customer.Index], customer.registered_on, TODAY)
                for customer in customers.itertuples()]  # fmt: skip
    each = (time.process_time() - start) / len(profiles)
    shown = {profile.segment: profile for profile in profiles}
    lesson.table([(name, f"{shown[name].churn_risk:.0%}", f"{shown[name].lifetime_value:,.0f}",
                   offer) for name, offer in OFFERS.items()],
                 ["segment", "risk", "euros a year", "offer"], "One customer of each")  # fmt: skip
    lesson.check("a profile takes less than a millisecond", each < 0.001, f"{1000 * each:.2f} ms")
    ids = frames.ask("SELECT name, product_id FROM products").set_index("name").product_id
    offered = fitted.recommend([ids["Two-Person Tent"]])
    lesson.check("to who owns the tent, the sleeping bag", ids["Sleeping Bag"] in offered)


def main(lesson: Lesson) -> None:
    """Customers first, then products, then both in one engine."""
    shop = frames.read_shop()
    lesson.step(segments, lesson, shop.customers)
    lesson.step(churn_by_hand, lesson)
    windows = lesson.step(split_in_time, lesson)
    model = lesson.step(fitted_churn, lesson, windows)
    lesson.step(next_window, lesson, windows, model)
    lesson.step(recovered, lesson)
    lesson.step(held_out_year, lesson, shop.orders)
    for part in (baskets, embeddings, hidden_product):
        lesson.step(part, lesson, shop.lines)
    lesson.step(engine, lesson, shop.customers)


if __name__ == "__main__":
    run(main)
