"""Feature store: train on what was known then, serve what is known now.

You will see a brilliant model that knew the future, and a good one that is fed other numbers in
service than in training. Then a feature store is built step by step that makes both mistakes hard:
history in PostgreSQL, the newest values in Redis, and one definition for both. It stands in
`feature_store`, beside this script: open each file when its step comes.

Run      python advanced_examples/ml_pipeline/03_feature_store.py    (--step pauses at each step)
Needs    PostgreSQL, Redis
Minutes  75
Next     advanced_examples/monitoring/04_observability.py
"""

import warnings
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
from feature_store import FeatureStore, FeatureStoreError, classroom, end_of_today
from feature_store.classroom import DAYS, IN_PLAIN_SQL, LABELS, NIGHT, Calendar, ask, end_of
from feature_store.compute import definition
from feature_store.formulations import compare
from feature_store.pictures import late_row
from feature_store.website import features_for_the_website
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from course.lesson import Lesson, run
from course.measure import seconds
from course.settings import TODAY

TTL = timedelta(days=40)
FEATURES = ["recency_days", "frequency", "monetary_value", "tenure_days", "avg_order_value",
            "avg_days_between_orders", "orders_90d", "spent_90d"]  # fmt: skip


def matrix(rows: pd.DataFrame) -> np.ndarray:
    """The model's inputs, one row each, in the order of FEATURES; NULL is NaN for the model."""
    columns = [rows[name].astype("Float64") for name in FEATURES]
    return np.column_stack([column.to_numpy(float, na_value=np.nan) for column in columns])


def fit(rows: pd.DataFrame) -> RandomForestClassifier:
    """A forest that learns `churned`; the same rows give the same forest."""
    forest = RandomForestClassifier(60, min_samples_leaf=25, random_state=0)
    return forest.fit(matrix(rows), rows["churned"].astype(bool))


def risk(model: RandomForestClassifier, rows: pd.DataFrame) -> np.ndarray:
    """The probability of leaving, for each row."""
    return model.predict_proba(matrix(rows))[:, 1]


def leak(lesson: Lesson) -> None:
    """The model that knew the future.

    Who will order nothing for 90 days? We know it for the customers of 90 days ago. The quick way
    to a training set is to join that label to the table of features, which holds today's. Then
    recency_days gives the answer away: more than 90 days ago is the label itself. Training and test
    look perfect. In service nobody has tomorrow's features. (AUC: 1.0 is perfect, 0.5 is a coin.)
    """
    labels = ask(LABELS, DAYS[-1])
    then, today = (labels.merge(ask(IN_PLAIN_SQL, day)) for day in (DAYS[-1], TODAY))
    learn, test = (labels["customer_id"] % 2 == rest for rest in (0, 1))
    rows, scores = [], []
    for name, frame in (("today's features", today), ("features of that day", then)):
        model = fit(frame[learn])
        truth = labels["churned"][test]
        tested, served = (roc_auc_score(truth, risk(model, rows[test])) for rows in (frame, then))
        rows.append((name, f"{tested:.3f}", f"{served:.3f}"))
        scores.append((tested, served))
    lesson.table(rows, ["trained with", "AUC in the test", "AUC in service"])
    (leaky_test, leaky_served), (honest_test, honest_served) = scores
    lesson.check("with a leak the test is perfect", leaky_test > 0.99)
    lesson.check("and the service is worse than honest", leaky_served < honest_served - 0.02)
    lesson.check("an honest test foretells the service", honest_test == honest_served)


def skew(lesson: Lesson) -> None:
    """The model that is fed other numbers.

    This model is honest. But training reads SQL, and the website has its own code for the same
    features, see website.py. It counts whole 24 hours instead of days, leaves cancelled orders out
    and puts 0 where nothing is known. Each choice is defensible, no error is raised, and the model
    gets numbers with another meaning than those it learned from. This is training/serving skew.
    """
    model = fit(ask(LABELS, DAYS[-1]).merge(ask(IN_PLAIN_SQL, DAYS[-1])))
    trained, served = ask(IN_PLAIN_SQL, TODAY), features_for_the_website(end_of_today())
    a, b = matrix(trained), matrix(served)
    other = (a != b) & ~(np.isnan(a) & np.isnan(b))
    lesson.table([(name, int(count)) for name, count in zip(FEATURES, other.sum(0), strict=True)],
                 ["feature", "customers with another value"])  # fmt: skip
    before, after = risk(model, trained), risk(model, served)
    changed, flipped = (before != after).mean(), ((before > 0.5) != (after > 0.5)).sum()
    evidence = f"{changed:.0%} of {len(before):,} customers"
    lesson.check("most get another risk", changed > 0.5, evidence)
    lesson.check("and some another decision", flipped > 20, f"{flipped} customers")


def define(lesson: Lesson, store: FeatureStore) -> None:
    """One definition, in SQL, for everybody.

    compute_customer_features runs sql/customer_v1.sql. It is a function of a day and reads nothing
    from after it. event_time says from when on the values hold: the end of that day. NULL means
    that there is nothing to know, and stays NULL. A trap among the products: the table has today's
    prices only. The definition takes what buyers last paid, or the past would know of the rise in
    February.
    """
    customers = store.compute_customer_features()
    products = store.compute_product_features(as_of=date(2025, 1, 31))
    shown = ["id", "recency_days", "frequency", "monetary_value", "lifetime_value", "churn_risk",
             "segment"]  # fmt: skip
    first = customers.rename(columns={"customer_id": "id"}).head(4)
    lesson.table(first[shown].to_dict("records"))
    shown = ["product_id", "units_28d", "price", "popularity_rank", "units_week_trend_12w"]
    lesson.table(products[shown].head(4).to_dict("records"))
    never = customers[customers["frequency"] == 0]
    lesson.check("who never ordered has no recency", never["recency_days"].isna().all())
    prices = ask("SELECT product_id, category, price::float8 AS today FROM products")
    prices = prices.merge(products[["product_id", "price"]]).dropna()
    wrong = prices[prices["price"] != prices["today"]]
    lesson.check("in January today's price is wrong, for Kitchen only",
                 set(wrong["category"]) == {"Kitchen"}, f"{len(wrong)} products")  # fmt: skip


def keep(lesson: Lesson, store: FeatureStore, clock: Calendar) -> None:
    """History is added to, never changed.

    Every night a job computes and saves; our calendar runs through seven such nights and the last.
    `created` says when the store learned of a row. The same rows again change nothing; the same row
    with other values is refused. Each run keeps its lineage: which SQL, which data (rows and a
    digest), when. So anybody can run it again and see whether it gives the same.
    """
    store.define("customer", "customer_id", TTL)
    for day in (*DAYS, TODAY):
        clock.now = end_of(day) + NIGHT
        saved = store.save_features("customer", store.compute_customer_features(day))
    again = store.compute_customer_features(TODAY)
    new = store.save_features("customer", again).new
    lesson.check("the same rows again: none is new", new == 0)
    again["frequency"] += 1
    with lesson.expected_error(FeatureStoreError):
        store.save_features("customer", again)
    lesson.table([(r["run_id"], r["version"], r["row_count"], r["sources"]["orders"]["rows"],
                   f"{r['created']:%Y-%m-%d %H:%M}") for r in store.runs("customer")],
                 ["run", "version", "rows", "orders read", "created"])  # fmt: skip
    differences = store.reproduce("customer", saved.run_id)
    lesson.check("the last run can be reproduced, bit for bit", differences == [])


def versions(lesson: Lesson, store: FeatureStore) -> None:
    """Another meaning is another version.

    Somebody wants frequency to count the last year only. If the old name got the new meaning, every
    model in service would be fed other numbers overnight: skew again. So other SQL needs the next
    version, with a history of its own. Models name the version they learned from.
    """
    sql = definition("customer").replace("total_orders AS frequency", "orders_365d AS frequency")
    changed = store.compute_customer_features(TODAY, definition=sql)
    with lesson.expected_error(FeatureStoreError):
        store.save_features("customer", changed)
    kept = store.save_features("customer", changed, 2)
    lesson.check("as version 2 it is kept", kept.new == 2_000)
    old, new = (
        store.get_training_dataset("customer", ["frequency"], version=version)["frequency"]
        for version in (1, 2)
    )
    lesson.check("both meanings stay apart", (new <= old).all() and (new < old).any())


def rules(lesson: Lesson, store: FeatureStore, clock: Calendar) -> None:
    """What was known at that moment? One row for each rule.

    One machine, values that may be used for ten days (their TTL). The value 20 holds from the 11th.
    On the 11th a reading was corrected from 20 to 21, which the store learned an hour later. On the
    25th somebody brings in a value of the 14th: for questions about the 15th that would be a leak,
    since on the 15th nobody knew it.
    """
    store.define("machine", "machine_id", timedelta(days=10))
    may, hour = (lambda day: datetime(2025, 5, day, tzinfo=UTC)), timedelta(hours=1)
    history = [(may(1), may(1), 10), (may(11), may(11), 20), (may(11), may(11) + hour, 21),
               (may(14), may(25), 30)]  # fmt: skip
    frame = pd.DataFrame(history, columns=["event_time", "created", "value"])
    store.save_features("machine", frame.assign(machine_id=1))
    clock.now = end_of_today() + NIGHT
    cases = [
        (1, may(1), 10, "both ends count: the moment itself"),
        (1, may(11) - hour, 10, "old, but not too old"),
        (1, may(11) + hour / 2, 20, "the correction is not known yet"),
        (1, may(11) + hour, 21, "of equal times the newest created"),
        (1, may(15), 21, "the late row does not leak into the past"),
        (1, may(21), 21, "ten days old to the second: still alive"),
        (1, may(21) + hour, None, "too old now"),
        (2, may(15), None, "no history: the row stays, with NULL"),
    ]
    entities = pd.DataFrame({"machine_id": [c[0] for c in cases], "at": [c[1] for c in cases]})
    found = store.get_training_dataset("machine", ["value"], entities)["value"]
    found = [None if pd.isna(value) else int(value) for value in found]
    lesson.table([(c[0], f"{c[1]:%d %b %H:%M}", value, c[3])
                  for c, value in zip(cases, found, strict=True)],
                 ["machine", "asked about", "answer", "why"])  # fmt: skip
    lesson.check("all rules hold", found == [case[2] for case in cases])
    figure, parted = late_row(store)
    lesson.chart(figure, "known_then")
    lesson.check("late_rows=True lets it in: the 14th to the 23rd get another answer",
                 parted == list(range(14, 24)))  # fmt: skip


def plans(lesson: Lesson) -> None:
    """Why the join asks the index once a row.

    DISTINCT ON and the window function first join each question with all its history, then sort,
    then throw all but one away. LATERAL with LIMIT 1 walks an index on (entity_id, event_time,
    created) backwards from the moment asked about, and stops at the first row. The primary key is
    that index. Asking in the index's order (the inner ORDER BY) keeps its pages warm. Measure
    before you believe it: with few questions about short histories all three are fast.
    """
    entities, asked = (300, 2_000) if lesson.fast else (3_000, 20_000)
    answers, times, plan = compare(classroom.NAME, entities, asked)
    lesson.table(times.items(), ["way", "seconds"],
                 f"{asked:,} questions about {entities * 100:,} rows", measured=True)  # fmt: skip
    lesson.check("all three answer the same", len({tuple(rows) for rows in answers.values()}) == 1)
    lesson.check("LATERAL reads the index backwards", "Index Scan Backward" in plan)
    lesson.check("and does not read the table", "Seq Scan on history" not in plan)
    lesson.check("it is the fastest", times["LATERAL"] == min(times.values()),
                 f"the slowest takes {max(times.values()) / times['LATERAL']:.1f}x")  # fmt: skip


def train(lesson: Lesson, store: FeatureStore) -> RandomForestClassifier:
    """A training set as of each label's own morning, from two engines.

    Labels go in with their moments, and come back with what was known. PostgreSQL answers
    directly; for millions of rows the store exports the history to Parquet and DuckDB's ASOF JOIN
    does the same. We train on labels up to April, since those were complete in July, when the test
    begins: a label looks 90 days ahead, so a smaller gap would be a leak of its own. The score is
    lower than in step 1, which tested on the day that it had learned from. Customers change, so
    test across time, as the service will.
    """
    labels = classroom.labelled(DAYS)
    rows = store.get_training_dataset("customer", FEATURES, labels, version=1)
    other = store.get_training_dataset("customer", FEATURES, labels, version=1, engine="duckdb")
    lesson.check("both engines give the same frame", rows.equals(other), f"{len(rows):,} rows")
    lesson.check("no label is lost", rows[labels.columns].equals(labels))
    learn, test = rows[rows["at"] < "2025-05-01"], rows[rows["at"] > "2025-07-28"]
    model = fit(learn)
    score = roc_auc_score(test["churned"].astype(bool), risk(model, test))
    lesson.check("it beats a coin, and is no wonder", 0.65 < score < 0.9, f"AUC {score:.3f}")
    return model


def go_online(lesson: Lesson, store: FeatureStore) -> None:
    """Materialise: bring what is known now to where it is served.

    The same join as in training, asked about this moment for everybody, goes to Redis: one key an
    entity with all its values in one JSON list, so one SET replaces them at once. If the job dies,
    each customer has the old values or the new ones, never a mix: repeat it. An older state is
    refused, since online never goes back.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        first = store.get_features("customer", [1])
    lesson.check("before, PostgreSQL answers with a warning", bool(said) and bool(first[1]))
    lesson.check("everybody is online", store.materialise("customer", version=1) == 2_000)
    offline = store.get_training_dataset("customer", version=1)
    online = store.get_features("customer", offline["customer_id"].tolist(), version=1)
    rows = zip(online.values(), classroom.plain_values(offline), strict=True)
    same = sum(one == other for one, other in rows)
    lesson.check("online equals offline, bit for bit", same == 2_000, f"{same:,} customers")
    store.materialise("customer", version=1)
    again = store.get_features("customer", offline["customer_id"].tolist(), version=1)
    lesson.check("once more changes nothing", again == online)
    with lesson.expected_error(FeatureStoreError):
        store.materialise("customer", at=end_of(DAYS[0]), version=1)


def serve(lesson: Lesson, store: FeatureStore, model: RandomForestClassifier) -> None:
    """The skew is gone.

    The service asks for features by name and version, and feeds them to the model through the same
    `matrix` that training used. No second definition, so nothing can drift apart.
    """
    offline = store.get_training_dataset("customer", FEATURES, version=1)
    ids = offline["customer_id"].tolist()
    online = pd.DataFrame(store.get_features("customer", ids, FEATURES, version=1).values())
    equal = np.array_equal(risk(model, offline), risk(model, online))
    lesson.check("all predictions are equal to the last bit", equal, f"{len(ids):,} customers")
    one = pd.DataFrame([store.get_features("customer", [42], FEATURES, version=1)[42]])
    alone = risk(model, one)[0] == risk(model, offline)[ids.index(42)]
    lesson.check("one customer alone gets the same risk", alone)
    nobody = store.get_features("customer", [999_999], ["recency_days"], version=1)
    lesson.check("a stranger has None", nobody == {999_999: {"recency_days": None}})
    calls = 50 if lesson.fast else 500
    taken = seconds(lambda: store.get_features("customer", ids[:100], FEATURES, version=1), calls)
    lesson.table([("100 customers", 1_000 * taken / calls)], ["one call for", "milliseconds"],
                 measured=True)  # fmt: skip


def look_after(lesson: Lesson, store: FeatureStore, clock: Calendar) -> None:
    """Stale or full of holes? Ask before the model is blamed.

    Two things go wrong most: the job stopped and nobody noticed, or a source lost a column and the
    features are NULL. The share of NULLs is compared with the run before, since some are usual.
    """
    clock.now += timedelta(days=1)
    broken = store.compute_customer_features(TODAY)
    broken["event_time"] += pd.Timedelta(days=1)
    broken.loc[broken.index % 4 == 0, "favourite_category"] = pd.NA
    lesson.check("until now all is well", all(f.ok for f in store.check("customer", version=1)))
    store.save_features("customer", broken, version=1)
    clock.now += timedelta(days=2)
    findings = [finding for finding in store.check("customer", version=1) if not finding.ok]
    lesson.table([(f.what, f.value, f.limit) for f in findings], ["finding", "is", "limit"])
    expected = ["age of the online values", "favourite_category is NULL"]
    lesson.check("both are noticed, and nothing else", [f.what for f in findings] == expected)


def refuse(lesson: Lesson, store: FeatureStore) -> None:
    """What must not come in, and when not to have a store.

    A frame is kept whole or not at all. NaN is refused because it has two meanings: nothing to
    know, or a failed computation. Say NULL when you mean it.

    Leave the store out while one model is scored by one batch job: a query as of a day is enough.
    It pays when several models share features, or when training and serving are different programs.
    At 1,000 times the size, partition history by month, export partitions, materialise only what
    changed, and look at Feast or Tecton before you write your own.
    """
    good = store.compute_customer_features(TODAY)
    for entity_type, frame in classroom.bad_frames(good):
        with lesson.expected_error(FeatureStoreError):
            store.save_features(entity_type, frame, version=1)
    with lesson.expected_error(FeatureStoreError):
        store.get_training_dataset("customer", ["shoe_size"], version=1)
    runs = len([run for run in store.runs("customer") if run["version"] == 1])
    lesson.check("nothing of it was kept", runs == len(DAYS) + 2)


def main(lesson: Lesson) -> None:
    """First the two mistakes, then the store that makes them hard."""
    lesson.step(leak, lesson)
    lesson.step(skew, lesson)
    clock = Calendar(end_of_today() + NIGHT)
    with classroom.own_store(clock) as store:
        lesson.step(define, lesson, store)
        lesson.step(keep, lesson, store, clock)
        lesson.step(versions, lesson, store)
        lesson.step(rules, lesson, store, clock)
        lesson.step(plans, lesson)
        model = lesson.step(train, lesson, store)
        lesson.step(go_online, lesson, store)
        lesson.step(serve, lesson, store, model)
        lesson.step(look_after, lesson, store, clock)
        lesson.step(refuse, lesson, store)


if __name__ == "__main__":
    run(main)
