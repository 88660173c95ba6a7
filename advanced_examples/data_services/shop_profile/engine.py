"""The data-science engine: segment, churn risk, lifetime value, offer and recommendations.

`Engine.fit` reads the shop, `save` and `load` keep it as JSON, and `profile` and `recommend` answer
in well under a millisecond, from plain numbers: no frame and no estimator is made for a request.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course.settings import TODAY
from shop_profile.affinity import Affinity
from shop_profile.churn import ChurnModel, Logistic
from shop_profile.history import Behaviour, Purchase, behaviour, day_of
from shop_profile.lifetime import BgNbd, GammaGamma, LifetimeModel

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

__all__ = ["Engine", "Profile", "Purchase", "Segment"]

FORMAT = 1
# Days and orders that tell the segments apart: docs/DATASET.md, "Four kinds of customers".
ACTIVE_WITHIN, DORMANT_AFTER, NEWCOMER_WITHIN, VIP_ORDERS = 90, 240, 86, 14


class Segment(StrEnum):
    """What a customer's behaviour says about them."""

    DORMANT = "dormant"
    ACTIVE = "active"
    VIP = "vip"
    AT_RISK = "at risk"


OFFERS = {
    Segment.DORMANT: "30 % off",
    Segment.ACTIVE: "personalised goods",
    Segment.VIP: "exclusive preview and support",
    Segment.AT_RISK: "free delivery",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What the shop knows about a customer."""

    segment: Segment
    churn_risk: float  # probability that the next 90 days bring no order
    lifetime_value: float  # expected euros of the orders of the next 12 months
    offer: str


def segment_of(customer: Behaviour) -> Segment:
    """The segment of a customer, by recency first and by orders of the last year second."""
    if not customer.orders:
        is_new = customer.registered_ago <= NEWCOMER_WITHIN
        return Segment.ACTIVE if is_new else Segment.DORMANT
    if customer.recency >= DORMANT_AFTER:
        return Segment.DORMANT
    if customer.recency > ACTIVE_WITHIN:
        return Segment.AT_RISK
    return Segment.VIP if customer.orders_last_year >= VIP_ORDERS else Segment.ACTIVE


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """Everything learnt from the shop up to the end of the day `as_of`."""

    as_of: date
    churn: ChurnModel
    lifetime: LifetimeModel
    affinity: Affinity

    @classmethod
    def fit(cls, connection: "Connection", as_of: date = TODAY) -> "Engine":
        """Learn from what was known at the end of `as_of`, through a psycopg2 connection.

        ValueError when the shop's history is too short to learn from.
        """
        from shop_profile.training import fit_parts

        return cls(as_of, *fit_parts(connection, as_of))

    def profile(self, purchases: Sequence[Purchase], registered_on: date, as_of: date) -> Profile:
        """The profile of a customer as of a day, from all purchases known at its end.

        Without purchases it rests on the days since registration. ValueError for a purchase after
        `as_of` or before the registration, a registration after `as_of`, or a negative amount.
        """
        customer = behaviour(_orders(purchases), day_of(registered_on), day_of(as_of))
        segment = segment_of(customer)
        return Profile(
            segment=segment,
            churn_risk=self.churn.risk(customer),
            lifetime_value=self.lifetime.value(customer),
            offer=OFFERS[segment],
        )

    def recommend(self, product_ids: Iterable[int], count: int = 5) -> list[int]:
        """Up to `count` products on sale for a customer who owns `product_ids`, best first.

        None of them is owned and none comes twice. Numbers that the engine doesn't know are
        passed over; an empty basket gets what is popular. ValueError when `count` is below 1.
        """
        return self.affinity.recommend(product_ids, count)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the engine as JSON, whole or not at all: readers never see half a file."""
        target = Path(path)
        unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
        content = {"format": FORMAT, **asdict(self)}
        unfinished.write_text(json.dumps(content, default=_plain), encoding="utf-8")
        unfinished.replace(target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Engine":
        """Read what `save` wrote; ValueError when the file holds something else."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']} instead of {FORMAT}")
            return cls(
                as_of=date.fromisoformat(content["as_of"]),
                churn=ChurnModel(**{k: _logistic(v) for k, v in content["churn"].items()}),
                lifetime=LifetimeModel(
                    **content["lifetime"]
                    | {
                        "purchases": BgNbd(**content["lifetime"]["purchases"]),
                        "values": GammaGamma(**content["lifetime"]["values"]),
                    }
                ),
                affinity=_affinity(content["affinity"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"{path} is not an engine of this version ({error}): fit and save it anew"
            raise ValueError(message) from error


def _orders(purchases: Iterable[Purchase]) -> list[tuple[date, float]]:
    """The day and the euros of each order: its lines added up, in the order of their coming."""
    orders: dict[int, tuple[date, float]] = {}
    for purchase in purchases:
        if not purchase.amount >= 0:
            raise ValueError(f"order {purchase.order_id} has an amount of {purchase.amount}")
        day, euros = orders.get(purchase.order_id) or (day_of(purchase.at), 0.0)
        orders[purchase.order_id] = (day, euros + float(purchase.amount))
    return list(orders.values())


def _plain(value: Any) -> Any:
    """What JSON doesn't know, as something that it does."""
    return value.isoformat() if isinstance(value, date) else value.tolist()


def _logistic(content: dict[str, Any]) -> Logistic:
    return Logistic(tuple(content["weights"]), content["bias"])


def _affinity(content: dict[str, Any]) -> Affinity:
    arrays = {name: np.array(content[name]) for name in ("popularity", "items", "contexts")}
    return Affinity(product_ids=tuple(content["product_ids"]), **arrays)
