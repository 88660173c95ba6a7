"""Learning from one event after the other: logistic regression by stochastic gradient descent.

No training set is kept and nothing is fitted again. Each event moves the weights a little in the
direction in which it would have been better predicted, and is forgotten.
(Bottou: Large-scale machine learning with stochastic gradient descent, 2010.)
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import fmean

from recommender.shop import CATEGORIES

Features = Mapping[str, float]
# How far an event moves a weight: far at first, then less, but never so little that the weight
# could not follow when visitors change their minds.
RATE, SLOWEST = 0.8, 0.02
# The planted truth: what makes a visitor buy, as weights of a logistic model.
PLANTED = {"always": -2.6, "similarity": 1.0, "discount": 0.8}
TASTE = 3.0  # more when the product is of the visitor's favourite category


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x): any number as a probability; no overflow."""
    if x >= 0:
        return 1 / (1 + exp(-x))
    return exp(x) / (1 + exp(x))


def log_loss(probability: float, bought: bool) -> float:
    """How surprising the outcome is after that forecast; 0 is best, a coin has 0.69."""
    right = probability if bought else 1 - probability
    return -log(max(right, 1e-12))


class OnlineLogistic:
    """A model that learns from each event; a feature it has never seen has the weight 0.

    Each weight has a rate of its own, which falls with the times it was moved: what all events
    share settles soon, and what is known of one visitor moves fast. (McMahan and others: Ad click
    prediction: a view from the trenches, 2013, section 3.1.)
    """

    def __init__(self, rate: float = RATE) -> None:
        self.rate = rate
        self.weights: dict[str, float] = {}
        self.moved: dict[str, int] = {}

    def predict(self, features: Features) -> float:
        """The probability of buying."""
        known = self.weights
        return sigmoid(sum(known.get(name, 0.0) * value for name, value in features.items()))

    def learn(self, features: Features, bought: bool) -> float:
        """Move the weights by one event; what was predicted before."""
        predicted = self.predict(features)
        error = bought - predicted
        for name, value in features.items():
            if value:
                times = self.moved[name] = self.moved.get(name, 0) + 1
                rate = max(self.rate / sqrt(times), SLOWEST)
                self.weights[name] = self.weights.get(name, 0.0) + rate * error * value
        return predicted

    def copy(self) -> "OnlineLogistic":
        """The same model as it is now, which learns apart from here on."""
        twin = OnlineLogistic(self.rate)
        twin.weights, twin.moved = dict(self.weights), dict(self.moved)
        return twin


def taste(user_id: int, category: str) -> str:
    """The feature for one visitor and one category: its weight is what is learnt about him."""
    return f"visitor {user_id} × {category}"


@dataclass(frozen=True)
class Event:
    """A visitor saw a product of a category and bought it or not; `truth` is the real chance."""

    user_id: int
    category: str
    similarity: float
    discount: bool
    bought: bool
    truth: float

    @property
    def features(self) -> Features:
        """What the model is told."""
        return features(self.user_id, self.category, self.similarity, self.discount)


def features(user_id: int, category: str, similarity: float, discount: bool = False) -> Features:
    """The model's input for one visitor and one product."""
    return {
        "always": 1.0,
        "similarity": similarity,
        "discount": float(discount),
        taste(user_id, category): 1.0,
    }


def chance_to_buy(similarity: float, discount: bool, is_favourite: bool) -> float:
    """The planted truth: the chance that a visitor buys."""
    logit = PLANTED["always"] + PLANTED["similarity"] * similarity
    return sigmoid(logit + PLANTED["discount"] * discount + TASTE * is_favourite)


def favourites(users: int, rng: random.Random) -> list[str]:
    """Each visitor's favourite category, by number: planted, for the model to find."""
    return rng.choices(CATEGORIES, k=users)


def events(likes: list[str], count: int, rng: random.Random) -> Iterator[Event]:
    """`count` events of visitors whose favourites are `likes`."""
    for _ in range(count):
        user_id, category = rng.randrange(len(likes)), rng.choice(CATEGORIES)
        similarity, discount = rng.random(), rng.random() < 0.3
        truth = chance_to_buy(similarity, discount, likes[user_id] == category)
        yield Event(user_id, category, similarity, discount, rng.random() < truth, truth)


def learnt_favourite(model: OnlineLogistic, user_id: int) -> str:
    """The category with the highest weight for this visitor."""
    return max(CATEGORIES, key=lambda name: model.weights.get(taste(user_id, name), 0.0))


def losses(
    model: OnlineLogistic,
    frozen: OnlineLogistic | None,
    events: Iterable[Event],
) -> tuple[float, ...]:
    """Mean log loss of the events' own mean, of the model, of the frozen one and of the truth."""
    outcomes, forecasts = [], []
    for event in events:
        stale = frozen.predict(event.features) if frozen else 0.0
        learnt = model.learn(event.features, event.bought)
        outcomes.append(event.bought)
        forecasts.append((learnt, stale, event.truth))
    columns = [[fmean(outcomes)] * len(outcomes), *zip(*forecasts, strict=True)]
    return tuple(fmean(map(log_loss, column, outcomes)) for column in columns)


def found_favourites(model: OnlineLogistic, likes: list[str]) -> float:
    """The share of visitors whose favourite category the model knows."""
    return fmean(learnt_favourite(model, user) == name for user, name in enumerate(likes))
