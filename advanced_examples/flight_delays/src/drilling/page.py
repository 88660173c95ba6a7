"""What the drill found: figures before, during and after, one chart over time, and a page."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import redis
from matplotlib.figure import Figure

from src.bundle import Bundle
from src.drilling.watching import FEWEST_JUDGED
from src.monitoring import outcomes
from src.monitoring.drift import CRITICAL

WEEK = 7
INK, OLD, NEW, ALARM, SHADE = "#222222", "#2166ac", "#1b7837", "#c0392b", "#f2dcc4"
Notes = Sequence[Mapping[str, Any]]


def report(notes: Notes, retrainings: Notes, shift: str) -> dict[str, Any]:
    """The drill's figures: accuracy, MAE and PSI at its stages, and how long each part took."""
    promoted = next(one["day"] for one in retrainings if one["promoted"])
    before = [one for one in notes if one["day"] < shift]
    during = [one for one in notes if shift <= one["day"] < promoted]
    after = [one for one in notes if one["day"] >= promoted]
    fired = next(one for one in during if "FlightAccuracyLow" in one["alerts"])
    cleared = next(one for one in after if "FlightAccuracyLow" not in one["alerts"])
    return {
        "shift": shift,
        "alert": fired["day"],
        "promoted": promoted,
        "cleared": cleared["day"],
        "stages": {
            "before the shift": stage(before[-1]),
            "at its worst": stage(
                min(during, key=lambda one: one["accuracy"] if known(one, "accuracy") else 1.0)
            ),
            "after retraining": stage(after[-1]),
        },
        "seconds": {"from alert to clear": round(cleared["at"] - fired["at"], 1)},
        "notes": [{k: v for k, v in one.items() if k != "at"} for one in notes],
        "retrainings": list(retrainings),
    }


def stage(note: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one day."""
    return {name: note[name] for name in ("day", "version", "accuracy", "mae", "psi")}


def counterfactual(
    client: redis.Redis, prefix: str, first: Path, made: Mapping[str, Any]
) -> dict[str, Any]:
    """What the old champion would have said of the flights since the promotion, on the same inputs.

    Without it nobody could tell the new version's merit from better weather.
    """
    truth = {pair.flight_id: pair.actual for pair in outcomes.judged(client, prefix)}
    entries = outcomes.entries(client, outcomes.predictions_key(prefix))
    since = np.datetime64(made["promoted"], "s").astype(float)
    said = [outcomes.predicted(fields) for _, fields in entries]
    said = [one for one in said if one.flight_id in truth and one.departure >= since]
    actual = np.array([truth[one.flight_id] for one in said])
    old = Bundle.load(first).predict(outcomes.matrix(said)).delay_minutes
    new = np.array([one.delay_minutes for one in said])
    return {
        "flights": len(said),
        **{name: scored(values, actual) for name, values in (("old", old), ("new", new))},
    }


def scored(said: Any, actual: Any) -> dict[str, float]:
    """Accuracy and mean absolute error of predictions (n), minutes."""
    right = (said >= outcomes.LATE_MINUTES) == (actual >= outcomes.LATE_MINUTES)
    return {
        "accuracy": round(float(right.mean()), 4),
        "mae": round(float(np.abs(said - actual).mean()), 4),
    }


def rows(made: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The stages as a table's rows."""
    return [
        (name, one["day"], one["version"], f"{one['accuracy']:.1%}", f"{one['mae']:.1f}",
         "-" if one["psi"] is None else f"{one['psi']:.2f}")
        for name, one in made["stages"].items()
    ]  # fmt: skip


HEAD = ("", "day", "version", "accuracy", "MAE", "PSI of the view")


def summary(made: Mapping[str, Any]) -> str:
    """The drill in a few lines for a terminal."""
    lines = [f"\n{'':18} {'day':10} {'version':>7} {'accuracy':>8} {'MAE':>6} {'PSI':>6}"]
    lines += [
        f"{name:18} {day:10} {version:>7} {accuracy:>8} {mae:>6} {psi:>6}"
        for name, day, version, accuracy, mae, psi in rows(made)
    ]
    other = made["counterfactual"]
    lines.append(
        f"\nOn the {other['flights']:,} flights since {made['promoted']} the old version would "
        f"have been right\nfor {other['old']['accuracy']:.1%} (MAE {other['old']['mae']:.1f}), the "
        f"new one was for {other['new']['accuracy']:.1%} (MAE {other['new']['mae']:.1f})."
    )
    took = made["seconds"]
    there = days_between(made["alert"], made["cleared"])
    lines.append(
        f"From the alert to its end: {took['from alert to clear']:.0f} s here, {there} days there. "
        f"All of it: {took['all']:.0f} s."
    )
    return "\n".join(lines)


def days_between(first: str, last: str) -> int:
    """Days from one date to another."""
    return (date.fromisoformat(last) - date.fromisoformat(first)).days


def chart(made: Mapping[str, Any], least: float) -> Figure:
    """Accuracy, MAE, PSI and alerts over the simulated days, readable from the last row."""
    notes = made["notes"]
    days = [date.fromisoformat(one["day"]) for one in notes]
    figure = Figure(figsize=(12.8, 7.2), dpi=150, layout="constrained")
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 2, 1.3))
    panels = (("accuracy", "accuracy", least), ("mae", "MAE, minutes", None),
              ("psi", "PSI of the view", CRITICAL))  # fmt: skip
    for axis, (name, label, limit) in zip(axes, panels, strict=False):
        for version, colour in zip(versions(notes), (OLD, NEW), strict=False):
            own = [(d, one[name]) for d, one in zip(days, notes, strict=True)
                   if one["version"] == version and known(one, name)]  # fmt: skip
            if own:
                axis.plot(*zip(*own, strict=True), color=colour, lw=3, label=version)
        if limit is not None:
            axis.axhline(limit, color=ALARM, ls="--", lw=1.5)
        axis.set_ylabel(label, fontsize=13)
    stayed = made["counterfactual"]["old"]
    for axis, name in zip(axes, ("accuracy", "mae"), strict=False):
        axis.plot([date.fromisoformat(made["promoted"]), last_day(made)], [stayed[name]] * 2,
                  color=OLD, lw=2, ls=(0, (1, 1)), label="v1, had it stayed")  # fmt: skip
    axes[0].legend(fontsize=13, loc="lower left", framealpha=1.0, edgecolor="none")
    alerts(axes[3], notes, days)
    for axis in axes:
        moments(axis, made)
        axis.tick_params(labelsize=12)
        axis.spines[["top", "right"]].set_visible(False)
    label_moments(axes[0], made)
    figure.suptitle("The weather shifts, and a retrained model takes over", fontsize=18)
    return figure


def known(note: Mapping[str, Any], name: str) -> bool:
    """Whether a day's figure rests on enough flights to be shown."""
    return note[name] is not None and (name == "psi" or note["judged"] >= FEWEST_JUDGED)


def versions(notes: Notes) -> list[str]:
    """The versions that answered, the first first."""
    return list(dict.fromkeys(one["version"] for one in notes))


def alerts(axis: Any, notes: Notes, days: Sequence[date]) -> None:
    """A bar for each day on which an alert fired."""
    names = sorted({name for one in notes for name in one["alerts"]})
    for place, name in enumerate(names):
        firing = [(d, timedelta(days=1)) for d, one in zip(days, notes, strict=True)
                  if name in one["alerts"]]  # fmt: skip
        axis.broken_barh(firing, (place - 0.35, 0.7), color=ALARM, zorder=3)
    axis.set_yticks(range(len(names)), [name.removeprefix("Flight") for name in names])
    axis.set_ylim(-0.6, max(len(names), 1) - 0.4)


def moments(axis: Any, made: Mapping[str, Any]) -> None:
    """The shift as a shade, retrainings as lines: whole where one was promoted."""
    axis.axvspan(
        date.fromisoformat(made["shift"]), last_day(made), color=SHADE, alpha=0.5, lw=0, zorder=0
    )
    for one in made["retrainings"]:
        style = "-" if one["promoted"] else ":"
        axis.axvline(date.fromisoformat(one["day"]), color=INK, ls=style, lw=2)


def label_moments(axis: Any, made: Mapping[str, Any]) -> None:
    """Words above the moments."""
    words = [(made["shift"], "dust storms begin")]
    for one in made["retrainings"]:
        words.append((one["day"], "promoted" if one["promoted"] else "not better"))
    for day, text in words:
        axis.annotate(text, (date.fromisoformat(day), 1.0), xycoords=("data", "axes fraction"),
                      xytext=(3, 4), textcoords="offset points", fontsize=12)  # fmt: skip


def last_day(made: Mapping[str, Any]) -> date:
    """The last day of the drill."""
    return date.fromisoformat(made["notes"][-1]["day"])


def write(made: Mapping[str, Any], folder: Path, least: float) -> None:
    """drill.json, drill.png and drill.html, which holds the chart in itself."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "drill.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    picture = io.BytesIO()
    chart(made, least).savefig(picture, format="png")
    (folder / "drill.png").write_bytes(picture.getvalue())
    (folder / "drill.html").write_text(as_html(made, picture.getvalue()), encoding="utf-8")


def as_html(made: Mapping[str, Any], picture: bytes) -> str:
    """One page: the chart, the stages, what each retraining decided."""
    cells = [("th", HEAD), *(("td", row) for row in rows(made))]
    table = "".join(
        "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for tag, row in cells
    )
    decided = "".join(
        f"<li>{html.escape(one['day'])}: {html.escape(one['verdict']['candidate']['version'])} "
        f"{'is promoted' if one['promoted'] else 'is not promoted'}: "
        f"{html.escape(one['verdict']['decision']['reason'])}.</li>"
        for one in made["retrainings"]
    )
    return PAGE.format(
        chart=base64.b64encode(picture).decode(), table=table, decided=decided,
        summary=html.escape(summary(made).split("\n\n", 1)[1]),
    )  # fmt: skip


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Drift drill</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 18px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 80rem;
  padding: 0 1rem; color: #222; }}
img {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; }} th, td {{ padding: .2rem 1rem .2rem 0; text-align: left; }}
tr {{ border-bottom: 1px solid #ccc; }}
</style></head><body>
<h1>Drift drill</h1>
<img alt="Accuracy, error, drift and alerts over the simulated days"
src="data:image/png;base64,{chart}">
<table>{table}</table>
<p>{summary}</p>
<h2>Retrainings</h2><ul>{decided}</ul>
</body></html>
"""
