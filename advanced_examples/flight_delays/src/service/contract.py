"""What the service is asked and what it answers: the models behind its JSON and OpenAPI page."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from features.airports import AIRPORTS
from features.vector import AIRCRAFT, AIRLINES

MOST_FLIGHTS = 1_000
FIRST_YEAR, LAST_YEAR = 2000, 2099
NO_TYPE = "unknown"  # as in files that know an aircraft by its tail number only

FLIGHT = {
    "route": "JFK-LAX",
    "airline": "AA",
    "departure_time": "2024-12-31T23:30:00Z",
    "aircraft_type": "A321",
    "weather_condition": "snow",
}
# What to send instead, by field.
REMEDIES: Mapping[str, str] = {
    "route": 'send origin and destination as two airport codes, such as "JFK-LAX"',
    "airline": 'send the code of the airline, such as "AA"',
    "departure_time": (
        "send the scheduled departure as ISO 8601 text with its zone, such as "
        f'"2024-12-31T23:30:00Z"; years {FIRST_YEAR} to {LAST_YEAR}'
    ),
    "aircraft_type": 'send the type of the aircraft, such as "A321"',
    "weather_condition": "send clear, rain, snow or fog, or leave it out",
    "tail_number": 'send the registration of the aircraft, such as "N100AA", or leave it out',
    "inbound_delay_minutes": "send minutes from -120 to 1440, or leave it out",
    "turnaround_minutes": "send minutes from 0 to 720, or leave it out",
    "flight_id": 'send 1 to 40 letters, digits or signs, such as "AA1-2024-12-31", or leave it out',
    "flights": f'send {{"flights": [...]}} with 1 to {MOST_FLIGHTS:,} flights',
    "body": (
        "send a JSON object, with the header Content-Type: application/json, with the fields "
        f"{', '.join(FLIGHT)}"
    ),
}


def instant(value: object) -> datetime:
    """An ISO 8601 text as a time in UTC; without a zone it counts as UTC."""
    if not isinstance(value, str):
        raise ValueError("is no text")
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is no ISO 8601 time") from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ValueError("is out of range")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


Departure = Annotated[
    datetime, BeforeValidator(instant), Field(description="scheduled; without a zone: UTC")
]


class Flight(BaseModel):
    """A flight to predict. What may be left out is known to whoever runs the airline."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [FLIGHT]})

    route: Annotated[str, Field(pattern=r"^[A-Z]{3}-[A-Z]{3}$", description="origin-destination")]
    airline: Annotated[str, Field(min_length=2, max_length=3)]
    departure_time: Departure
    aircraft_type: Annotated[str, Field(min_length=2, max_length=10)]
    weather_condition: Annotated[
        Literal["clear", "rain", "snow", "fog"] | None,
        Field(description="at the origin; used where the feature store has no observation"),
    ] = None
    tail_number: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Z0-9-]{2,10}$",
            description="which aircraft: its inbound delay is in the feature store",
        ),
    ] = None
    inbound_delay_minutes: Annotated[
        float | None, Field(ge=-120, le=1440, description="told here, it wins over the store's")
    ] = None
    turnaround_minutes: Annotated[
        float | None, Field(ge=0, le=720, description="scheduled time on the ground before")
    ] = None
    flight_id: Annotated[
        str | None,
        Field(
            pattern=r"^[!-~]{1,40}$",
            description="your name for the flight: by it the prediction meets the truth later",
        ),
    ] = None


class Flights(BaseModel):
    """Flights to predict together."""

    model_config = ConfigDict(extra="forbid")

    flights: Annotated[list[Flight], Field(min_length=1, max_length=MOST_FLIGHTS)]


class Prediction(BaseModel):
    """A predicted arrival delay; negative: early."""

    model_config = ConfigDict(protected_namespaces=())

    delay_minutes: float
    confidence: Annotated[
        float,
        Field(ge=0, le=1, description="share of such flights within 15 minutes of it"),
    ]
    low_minutes: Annotated[float, Field(description="8 of 10 flights land between low and high")]
    high_minutes: float
    model_version: str
    features_used: Annotated[
        int, Field(description="inputs with a known value; the others have a default")
    ]
    inference_time_ms: Annotated[float, Field(description="reading features, and the models")]
    degraded: Annotated[list[str], Field(description="what was missing, and what stood in for it")]


class Predictions(BaseModel):
    """Answers in the order of the flights."""

    model_config = ConfigDict(protected_namespaces=())

    predictions: list[Prediction]
    model_version: str
    inference_time_ms: float


class Part(BaseModel):
    """What one group of inputs added to the prediction, in minutes."""

    group: str
    minutes: float


class Explanation(BaseModel):
    """Why: a usual delay, and what moved it; `usual_minutes` plus all parts is the delay."""

    model_config = ConfigDict(protected_namespaces=())

    delay_minutes: float
    usual_minutes: float
    parts: Annotated[list[Part], Field(description="the largest first")]
    model_version: str
    degraded: list[str]


class Health(BaseModel):
    """The process runs."""

    status: Literal["healthy"] = "healthy"
    version: str


class Readiness(BaseModel):
    """Whether to send requests here."""

    model_config = ConfigDict(protected_namespaces=())

    ready: bool
    model_loaded: bool
    feature_store: Literal["up", "away"]


class ModelInfo(BaseModel):
    """The model that answers."""

    model_config = ConfigDict(protected_namespaces=())

    version: str
    training_date: str
    inputs: list[str]
    weights: dict[str, float]
    metrics: dict[str, Any]


class Problem(BaseModel):
    """An error, with what to do about it."""

    error: str
    reason: str


def complaint(errors: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with a body, field by field, and what to send instead (pydantic's errors)."""
    return "; ".join(one_complaint(error) for error in errors[:5])


def one_complaint(error: Mapping[str, Any]) -> str:
    place = [part for part in error["loc"] if part != "body"]
    name = next((part for part in reversed(place) if isinstance(part, str)), "body")
    shown = ".".join(map(str, place)) or "body"
    if error["type"] == "missing":
        return f"{shown} is missing: {REMEDIES[name]}"
    if error["type"] == "extra_forbidden":
        return f"{shown} is no field of a request: leave it out, or see /openapi.json"
    # reprlib shortens what was sent, however long it is.
    remedy = REMEDIES.get(name, REMEDIES["body"])
    return f"{shown}={reprlib.repr(error['input'])} can't be used: {remedy}"


def impossible(flight: Flight) -> str | None:
    """Why no model can say anything about a well-formed flight; None when one can."""
    origin, _, destination = flight.route.partition("-")
    for code in (origin, destination):
        if code not in AIRPORTS:
            return f"route: there is no airport {code} here; use two of {', '.join(AIRPORTS)}"
    if origin == destination:
        return f"route: {flight.route} goes nowhere; {REMEDIES['route']}"
    if flight.airline not in AIRLINES:
        return f"airline: {flight.airline!r} is unknown; use one of {', '.join(AIRLINES)}"
    if flight.aircraft_type not in (*AIRCRAFT, NO_TYPE):
        kinds = ", ".join((*AIRCRAFT, NO_TYPE))
        return f"aircraft_type: {flight.aircraft_type!r} is unknown; use one of {kinds}"
    return None
