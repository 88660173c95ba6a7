"""The model card: what the model is for, what it learnt from, how good it is and where it fails.

Its parts follow Mitchell et al., Model Cards for Model Reporting (FAT* 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TOP = 10
NAMES = {
    "baseline": "mean of training flights",
    "xgboost": "XGBoost",
    "network": "network",
    "ensemble": "ensemble",
    "best reachable": "best reachable",
}

TEXT = """# Model card: flight delays, {version}

Trained {training_date} with {made_with}.

## What it is for

It predicts how many minutes late a flight will arrive, at its scheduled departure or before, from
what is known then: route and airline with their past, aircraft, calendar, weather at both ends, and
the delay with which the aircraft comes in. It is for plans and messages to passengers.

It is **not** for decisions on safety or on staff, nor for flights under way. It says nothing of
cancellations: a cancelled flight has no delay, and none was learnt from.

## The model

{weights}, a share that was
tuned on validation flights. The network also says between which minutes the delay will lie. That
interval was widened or narrowed until {level:.0%} of the validation delays lay inside. `confidence`
is the share of flights that end up at most 15 minutes from the answer.

## Data

{data}

{source}

Some training flights were shown once more with their history, weather or aircraft missing, so that
the model knows what to say when the feature store does not answer.

## How good it is

On {test_flights:,} test flights, {first} to {last}, after everything it learnt from:

{models}

{airlines}

{routes}

## How sure it is

{sure}

From the least to the most confident tenth of the test flights:

{calibration}

When inputs are missing:

{missing}

## What it looks at

The ten inputs with the largest share of the gain in the trees, and by how many minutes they move
the trees' prediction on average (SHAP values). The network is not part of this.

{importance}

## Limits

- It knows the airlines, aircraft types and airports it was trained with. For others it falls back
  on the rest of its inputs, and nobody has measured how well.
- A new timetable, a strike or a new airport is no part of its past. Watch the drift of the inputs,
  and train again.
- It was judged on airlines and routes, not on people: it has no data on any.
- Predictions of long delays are the least certain, as the tenths above show.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table: the first column to the left, numbers to the right."""
    lines = [
        "| " + " | ".join(head) + " |",
        "|" + "|".join(["---"] + ["--:"] * (len(head) - 1)) + "|",
    ]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def percent(share: float | None, sign: bool = False) -> str:
    """A share as text; `unknown` for None."""
    return "unknown" if share is None else f"{share:{'+' if sign else ''}.1%}"


def scores(models: Mapping[str, Mapping[str, Any]]) -> str:
    """MAE, RMSE, R² and the share of the best reachable, by model."""
    return table(
        ["model", "MAE", "RMSE", "R²", "above the best", "share of the best"],
        [
            [
                NAMES[name],
                f"{row['mae']:.2f}",
                f"{row['rmse']:.2f}",
                f"{row['r2']:.3f}",
                percent(row["over_best"], sign=True),
                percent(row["share"]),
            ]
            for name, row in models.items()
        ],
    )


def grouped(what: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    """The ensemble's scores by airline or route, beside the best reachable."""
    return table(
        [what, "flights", "MAE", "RMSE", "R²", "best MAE", "above the best"],
        [
            [
                name,
                f"{models['ensemble']['flights']:,}",
                f"{models['ensemble']['mae']:.2f}",
                f"{models['ensemble']['rmse']:.2f}",
                f"{models['ensemble']['r2']:.3f}",
                f"{models['best reachable']['mae']:.2f}" if "best reachable" in models else "?",
                percent(models["ensemble"]["over_best"], sign=True),
            ]
            for name, models in groups.items()
        ],
    )


def honest(what: str, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Promised and kept: intervals and confidences."""
    return table(
        [what, "MAE", "interval, min", "inside", "confidence", "within 15 min"],
        [
            [
                name,
                f"{row['mae']:.2f}",
                f"{row['interval_minutes']:.1f}",
                percent(row["coverage"]),
                percent(row["confidence"]),
                percent(row["within_15_minutes"]),
            ]
            for name, row in rows
        ],
    )


def top(importance: Mapping[str, Mapping[str, float]]) -> str:
    """The inputs with the largest gain."""
    return table(
        ["input", "share of the gain", "SHAP, minutes"],
        [
            [name, percent(row["gain"]), f"{row['shap_minutes']:.2f}"]
            for name, row in list(importance.items())[:TOP]
        ],
    )


def card(figures: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """The model card as Markdown, from the evaluation and the bundle's own description."""
    simulated = "best reachable" in figures["models"]
    weights, sure = about["weights"], figures["interval"]
    tenths = enumerate(figures["calibration"], start=1)
    return TEXT.format(
        version=about["version"],
        training_date=about["training_date"],
        made_with=", ".join(f"{name} {what}" for name, what in about["made_with"].items()),
        weights=(
            f"{weights['xgboost']:.0%} of the answer come from boosted trees, "
            f"{weights['network']:.0%} from a network"
        ),
        level=sure["promised"],
        data=table(
            ["split", "flights", "first day", "last day"],
            [
                [name, f"{row['flights']:,}", row["first"], row["last"]]
                for name, row in about["trained_on"].items()
            ],
        ),
        source=(
            "The flights are **simulated**, so the best reachable error is known. How good the\n"
            "model would be on real flights is not."
            if simulated
            else "The flights come from files; the best reachable error is not known."
        ),
        test_flights=figures["test"]["flights"],
        first=figures["test"]["first"],
        last=figures["test"]["last"],
        models=scores(figures["models"]),
        airlines=grouped("airline", figures["airlines"]),
        routes=grouped("route", figures["routes"]),
        sure=(
            f"{percent(sure['coverage'])} of the test delays lie in their interval, where "
            f"{sure['promised']:.0%} were promised.\n"
            f"{percent(sure['within_15_minutes'])} are within 15 minutes of the answer, where "
            f"{percent(sure['confidence'])} were promised."
        ),
        calibration=honest("tenth", ((str(place), row) for place, row in tenths)),
        missing=honest("missing", figures["missing"].items()),
        importance=top(figures["importance"]),
    )
