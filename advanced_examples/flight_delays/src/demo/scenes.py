"""The scenes of the live demo. Each asks the running service and checks what it answers.

A scene's first line is its heading. `Stage.request` shows what will be asked and pauses, so that
the speaker can say what to expect; the answer comes after the key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from src.demo.backstage import DemoError, Show
from src.demo.stage import Stage

FLIGHT = {
    "route": "JFK-LAX", "airline": "AA", "departure_time": "2025-01-01T00:30:00Z",
    "aircraft_type": "A321", "inbound_delay_minutes": 5, "turnaround_minutes": 60,
}  # fmt: skip
LATE = FLIGHT | {"inbound_delay_minutes": 150, "turnaround_minutes": 45}
BACK = 15.0  # seconds that may pass until the service uses Redis again
COUNTED = re.compile(
    r"flight_(predictions_total|refused_total|feature_store_up"
    r'|requests_total\{route="/predict"|request_seconds_(count|sum)\{route="/predict")'
)


def expect(truth: object, otherwise: str) -> None:
    """The demo goes on only while the service does what the speaker says."""
    if not truth:
        raise DemoError(otherwise)


def alive(stage: Stage, show: Show) -> None:
    """It runs, and it is ready"""
    stage.request("GET /health    GET /ready")
    health, ready = show.ask("/health"), show.ask("/ready")
    stage.answer([("/health", health[1]["status"]), *ready[1].items()])
    expect(health[0] == 200 and ready[0] == 200, f"The service is not ready: {ready[1]}.")


def on_time(stage: Stage, show: Show) -> None:
    """A flight whose aircraft is on time"""
    stage.request("POST /predict", FLIGHT)
    told = predicted(show, FLIGHT)
    stage.answer(told.items())
    expect(
        told["degraded"] == [],
        f"A feature is missing: {'; '.join(told['degraded'])}. Bring the features online with "
        "`python src/materialize.py` in the training environment.",
    )
    stage.tell("Eight of ten such flights land between low and high.", "  ")


def late(stage: Stage, show: Show) -> None:
    """The same flight, its aircraft 150 minutes late"""
    stage.request("POST /predict", LATE)
    told = predicted(show, LATE)
    stage.answer((name, told[name]) for name in ("delay_minutes", "low_minutes", "high_minutes"))
    before = predicted(show, FLIGHT)["delay_minutes"]
    expect(told["delay_minutes"] > before + 15, "A late aircraft did not make the flight late.")
    stage.tell("The delay travels with the aircraft: the strongest input that we have.", "  ")


def why(stage: Stage, show: Show) -> None:
    """Why?"""
    stage.request("POST /explain   (the same flight)")
    status, told = show.ask("/explain", LATE)
    expect(status == 200, f"The service did not explain: {told}.")
    parts = sorted(told["parts"], key=lambda part: -abs(part["minutes"]))
    rows = [("usual delay", told["usual_minutes"])]
    rows += [(part["group"], part["minutes"]) for part in parts]
    for name, minutes in rows:
        stage.say(f"    {minutes:+8.1f}  {name}")
    total = sum(minutes for _, minutes in rows)
    stage.say(f"    {total:+8.1f}  together: the prediction")
    expect(abs(total - told["delay_minutes"]) < 0.5, "The parts don't sum to the prediction.")


def refused(stage: Stage, show: Show) -> None:
    """What can't be is refused, with a reason"""
    cases: Sequence[tuple[str, Mapping[str, Any], Mapping[str, str] | None, int]] = (
        ("an airport that isn't there", FLIGHT | {"route": "JFK-XXX"}, None, 400),
        ("a time that is none", FLIGHT | {"departure_time": "soon"}, None, 422),
        ("no key", FLIGHT, {}, 401),
    )
    stage.request("POST /predict   with " + ", ".join(case[0] for case in cases))
    for what, body, headers, wanted in cases:
        asked = (body,) if headers is None else (body, headers)
        status, told = show.ask("/predict", *asked)
        expect(status == wanted, f"{what} was answered with {status}, not {wanted}.")
        stage.say(f"    {status}  {what}")
        stage.tell(told["reason"], "         ")


def without_redis(stage: Stage, show: Show) -> None:
    """Redis is gone, and comes back"""
    stage.request("(the way to Redis is cut)   GET /ready   POST /predict   (the first flight)")
    show.gate.shut()
    try:
        _, ready = show.ask("/ready")
        told = predicted(show, FLIGHT)
    finally:
        show.gate.heal()
    rows = [("feature_store", ready["feature_store"])]
    rows += [(name, told[name]) for name in ("delay_minutes", "low_minutes", "high_minutes")]
    stage.answer([*rows, ("degraded", "; ".join(told["degraded"]))])
    expect(ready["feature_store"] == "away" and told["degraded"], "It did not notice the loss.")
    stage.tell("It goes on answering, says what it did without, and is less sure.", "  ")
    stage.request("(the way is open again)   POST /predict")
    deadline = time.monotonic() + BACK
    while (told := predicted(show, FLIGHT))["degraded"]:
        expect(time.monotonic() < deadline, "It did not go back to Redis.")
        time.sleep(0.25)
    stage.answer([("delay_minutes", told["delay_minutes"]), ("degraded", told["degraded"])])
    stage.tell("After a failed read it leaves Redis alone for a second; then it asks again.", "  ")


def counted(stage: Stage, show: Show) -> None:
    """What it has counted meanwhile"""
    stage.request("GET /metrics   (a few of its lines)")
    lines = [line for line in show.metrics() if COUNTED.match(line)]
    expect(any("degraded" in line for line in lines), "The degraded answers were not counted.")
    for line in sorted(lines):
        name, _, value = line.rpartition(" ")
        stage.say(f"  {float(value):8.6g}  {name}")


def predicted(show: Show, flight: Mapping[str, Any]) -> Any:
    """The answer to POST /predict, which must be one."""
    status, told = show.ask("/predict", flight)
    expect(status == 200, f"The service did not predict but answered {status}: {told}.")
    return told


SCENES: Sequence[Callable[[Stage, Show], None]] = (
    alive, on_time, late, why, refused, without_redis, counted
)  # fmt: skip


def perform(stage: Stage, show: Show, first: int = 1) -> None:
    """All scenes from number `first` on; DemoError when the service does something else."""
    for number, scene in enumerate(SCENES, start=1):
        if number >= first:
            stage.heading(number, scene.__doc__ or scene.__name__)
            scene(stage, show)
    stage.say()
