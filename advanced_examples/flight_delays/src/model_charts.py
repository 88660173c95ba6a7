"""Charts of a model: how good, how honest, what it looks at."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from features.vector import INPUTS
from src.model_card import NAMES, TOP

mpl.use("Agg")  # files only: there may be no screen
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

BLUE, GREY, ORANGE = "#2a6f97", "#9aa5ad", "#d1495b"
DPI = 110


def draw(
    figures: Mapping[str, Any],
    contributions: NDArray[np.float32],
    rows: NDArray[np.float32],
    folder: Path,
) -> None:
    """Write all charts, and the points behind two of them for `dvc plots`, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    charts = {
        "models": models(figures["models"]),
        "importance": importance(figures["importance"]),
        "shap": beeswarm(contributions, rows),
        "calibration": calibration(figures["calibration"]),
    }
    for name, figure in charts.items():
        # Without the version of matplotlib in it the same figures give the same file.
        figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None})
        plt.close(figure)
    points(folder / "importance.csv", [{"input": n, **r} for n, r in figures["importance"].items()])
    points(folder / "calibration.csv", figures["calibration"])


def points(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV."""
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def models(scores: Mapping[str, Mapping[str, Any]]) -> Figure:
    """The error of each model, and how low it could be."""
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    names = [name for name in scores if name != "best reachable"][::-1]
    colours = [BLUE if name == "ensemble" else GREY for name in names]
    bars = axes.barh([NAMES[n] for n in names], [scores[n]["mae"] for n in names], color=colours)
    axes.bar_label(bars, fmt="%.2f", padding=4)
    if "best reachable" in scores:
        best = scores["best reachable"]["mae"]
        axes.axvline(best, color=ORANGE, linestyle="--", label=f"best reachable {best:.2f}")
        axes.legend(loc="lower right", frameon=False)
    axes.set(title="Error on test flights", xlabel="mean absolute error, minutes")
    axes.margins(x=0.12)
    return plain(figure)


def importance(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """The ten inputs with the largest gain, and how far they move a prediction."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
    names = list(shares)[:TOP][::-1]
    left.barh(names, [100 * shares[name]["gain"] for name in names], color=BLUE)
    right.barh(names, [shares[name]["shap_minutes"] for name in names], color=GREY)
    left.set(title="Share of the trees' gain", xlabel="%")
    right.set(title="Mean absolute SHAP value", xlabel="minutes")
    return plain(figure)


def beeswarm(contributions: NDArray[np.float32], rows: NDArray[np.float32]) -> Figure:
    """Each dot is a flight: what an input did to the trees' prediction, and how large it was."""
    import shap  # slow to load, and only this chart needs it

    explained = shap.Explanation(
        values=contributions[:, : len(INPUTS)],
        base_values=contributions[:, -1],
        data=rows,
        feature_names=list(INPUTS),
    )
    figure = plt.figure(layout="constrained")
    np.random.seed(0)  # shap scatters its dots with the global generator
    shap.plots.beeswarm(
        explained,
        max_display=TOP + 2,
        show=False,
        plot_size=(9, 5.5),
    )
    plt.gca().set(xlabel="minutes added to the trees' prediction (SHAP value)")
    return figure


def calibration(tenths: list[dict[str, Any]]) -> Figure:
    """Promised against kept, in tenths from the least to the most confident."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
    said = [100 * row["confidence"] for row in tenths]
    came = [100 * row["within_15_minutes"] for row in tenths]
    ends = [min(said + came) - 3, max(said + came) + 3]
    left.plot(ends, ends, color=GREY, linestyle="--", label="kept to the letter")
    left.plot(said, came, color=BLUE, marker="o", label="test flights")
    left.set(title="Within 15 minutes of the answer", xlabel="promised, %", ylabel="came true, %")
    left.legend(frameon=False)
    places = np.arange(1, len(tenths) + 1)
    right.axhline(80, color=GREY, linestyle="--", label="promised")
    right.plot(places, [100 * row["coverage"] for row in tenths], color=BLUE, marker="o")
    right.set(
        title="Inside the 80 % interval",
        xlabel="tenth, from the least to the most confident",
        ylabel="%",
        ylim=(60, 100),
    )
    right.legend(frameon=False)
    return plain(figure)


def plain(figure: Figure) -> Figure:
    """Without frames at the top and to the right."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure
