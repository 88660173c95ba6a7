"""Which features matter: shuffle one column of the test data, and see how much worse it gets.

Permutation importance asks the finished model, whatever it is. (Breiman: Random forests, 2001;
Fisher, Rudin, Dominici: All models are wrong, but many are useful, 2019.)
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from recommender.online import OnlineLogistic, log_loss, sigmoid

# The planted truth: three columns count, one a little, two not at all.
TRUTH = {
    "favourite category": 1.6,
    "similarity": 1.2,
    "discount": 0.8,
    "rating": 0.4,
    "moon phase": 0.0,
    "page colour": 0.0,
}
Row = dict[str, float]


@dataclass(frozen=True)
class Importance:
    """How much the log loss grows when `feature` is shuffled: mean and spread of the rounds."""

    feature: str
    mean: float
    spread: float

    @property
    def matters(self) -> bool:
        """Whether it is clear of zero by three spreads."""
        return self.mean > 3 * self.spread


def table_of_visits(count: int, rng: random.Random) -> tuple[list[Row], list[bool]]:
    """(`count` rows of standard normal features, whether each visitor bought), after TRUTH."""
    rows, bought = [], []
    for _ in range(count):
        row = {name: rng.gauss(0, 1) for name in TRUTH}
        logit = -1 + sum(weight * row[name] for name, weight in TRUTH.items())
        rows.append(row)
        bought.append(rng.random() < sigmoid(logit))
    return rows, bought


def fit(rows: Sequence[Row], bought: Sequence[bool]) -> OnlineLogistic:
    """A model that went over the rows once."""
    model = OnlineLogistic()
    for row, outcome in zip(rows, bought, strict=True):
        model.learn({"always": 1.0, **row}, outcome)
    return model


def loss(model: OnlineLogistic, rows: Sequence[Row], bought: Sequence[bool]) -> float:
    """The mean log loss of the model on these rows."""
    forecasts = (model.predict({"always": 1.0, **row}) for row in rows)
    return fmean(map(log_loss, forecasts, bought))


def permutation_importance(
    model: OnlineLogistic,
    rows: Sequence[Row],
    bought: Sequence[bool],
    rng: random.Random,
    rounds: int = 5,
    features: Sequence[str] | None = None,
) -> list[Importance]:
    """The importance of all or some features, greatest first.

    Give it rows that the model has not seen. Each round shuffles anew; the loss is a log loss.
    """
    before, found = loss(model, rows, bought), []
    for feature in features or rows[0]:
        growth = []
        for _ in range(rounds):
            column = [row[feature] for row in rows]
            rng.shuffle(column)
            shuffled = [{**row, feature: value} for row, value in zip(rows, column, strict=True)]
            growth.append(loss(model, shuffled, bought) - before)
        found.append(Importance(feature, fmean(growth), stdev(growth)))
    return sorted(found, key=lambda one: -one.mean)


def with_twin(rows: Sequence[Row], feature: str) -> list[Row]:
    """The same rows with a second column that says the same as `feature`."""
    return [{**row, f"{feature}, again": row[feature]} for row in rows]
