"""What the service answers: the models behind its JSON and its OpenAPI page."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LARGEST_ID = 2_147_483_647  # PostgreSQL's integer

Tier = Literal["redis", "database"]
Share = Annotated[float, Field(ge=0, le=1)]

EXAMPLE: dict[str, Any] = {
    "user_id": 123,
    "segment": "active",
    "churn_risk": 0.18,
    "lifetime_value": 412.5,
    "offer": "Personalised goods: picked from what you buy",
    "recommendations": [
        {
            "product_id": 17,
            "name": "Phone Case Clear",
            "category": "Electronics",
            "price": "14.90",
            "looked_at": True,
        }
    ],
    "served_from": "redis",
    "degraded": [],
}


class Product(BaseModel):
    """A product. The price is text, so that no cent is lost in a float."""

    product_id: int
    name: str
    category: str
    price: Decimal = Field(description="euros, as text")


class Recommended(Product):
    """A product to recommend."""

    looked_at: bool = Field(description="the user looked at it in the last 180 days")


class Personal(BaseModel):
    """What the databases and the engine say about a user: the part that is cached."""

    user_id: int
    segment: Literal["dormant", "active", "vip", "at risk"]
    churn_risk: Share = Field(description="probability that the user buys no more")
    lifetime_value: float = Field(ge=0, description="expected euros in the next 12 months")
    offer: str
    recommendations: list[Recommended] = Field(description="at most 5, the best first")


class Answer(Personal):
    """Recommendations for one user, and how they were made."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    served_from: Tier = Field(description="the tier that answered")
    degraded: list[str] = Field(description="what did not work as it should; empty when all did")


class UserCard(BaseModel):
    """Who a user is. No email and no street: a page that does not need them should not get them."""

    user_id: int
    name: str
    city: str
    country: str
    registered_on: date


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"
    version: str


class Readiness(BaseModel):
    """Whether requests should be sent here, and what each neighbour says."""

    ready: bool
    services: dict[str, str]


class Problem(BaseModel):
    """Every error has this form: what kind it is, and the reason in plain words."""

    error: str
    reason: str


def problems(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for OpenAPI: `problems(_404="no such user", …)`."""
    return {
        int(name.removeprefix("_")): {"model": Problem, "description": reason}
        for name, reason in reasons.items()
    }
