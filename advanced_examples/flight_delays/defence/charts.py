"""The charts of the slides, drawn from figures.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from figures import Figure
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

INK, QUIET, STRONG, WARN = "#1d2733", "#9aa7b5", "#0b6e8f", "#b3541e"
SIZE = (11.6, 4.6)  # inches: a slide less its heading and one line of text
LETTERS = 22  # points, of an SVG that is shown at about this size

Figures = Mapping[str, Figure]


def canvas() -> tuple[Canvas, Axes]:
    """An empty chart in the slides' style."""
    mpl.rcParams.update({"font.size": LETTERS, "svg.fonttype": "path", "svg.hashsalt": "slides"})
    made = Canvas(figsize=SIZE, layout="constrained")
    axes = made.subplots()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(colors=INK, length=0)
    return made, axes


def bars(axes: Axes, rows: Sequence[tuple[str, Figure]], strong: int, unit: str) -> None:
    """Horizontal bars from the top, each with its figure at the end; one of them in colour."""
    colours = [STRONG if number == strong else QUIET for number in range(len(rows))]
    drawn = axes.barh([name for name, _ in rows], [one.value for _, one in rows], color=colours)
    axes.bar_label(drawn, [f"{one.shown}{unit}" for _, one in rows], padding=8, color=INK)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.margins(x=0.14)


def models(figures: Figures) -> Canvas:
    """The error of each model, and the line that nobody can get under."""
    made, axes = canvas()
    rows = [("mean of all flights", "mae_mean"), ("XGBoost", "mae_xgboost"),
            ("network", "mae_network"), ("ensemble", "mae_ensemble")]  # fmt: skip
    bars(axes, [(label, figures[name]) for label, name in rows], 3, " min")
    best = figures["mae_best"]
    axes.axvline(best.value, color=WARN, linewidth=3)
    axes.annotate(f"best reachable: {best.shown}", (best.value, -0.5), (12, 8), color=WARN,
                  textcoords="offset points", annotation_clip=False)  # fmt: skip
    return made


def missing(figures: Figures) -> Canvas:
    """What the error becomes when a source of features is away."""
    made, axes = canvas()
    rows = [("nothing missing", "mae_ensemble"), ("no history", "mae_no_history"),
            ("no weather", "mae_no_weather"), ("no inbound delay", "mae_no_aircraft"),
            ("no feature store", "mae_no_store"), ("(the mean)", "mae_mean")]  # fmt: skip
    bars(axes, [(label, figures[name]) for label, name in rows], 4, " min")
    return made


def service(figures: Figures) -> Canvas:
    """Predictions a second beside what an empty endpoint can do on the same machine."""
    made, axes = canvas()
    rows = [("empty endpoint", "empty_rate"), ("predictions", "service_rate")]
    bars(axes, [(label, figures[name]) for label, name in rows], 1, " / s")
    return made


CHARTS: Mapping[str, Callable[[Figures], Canvas]] = {
    "models": models, "missing": missing, "service": service
}  # fmt: skip


def draw(figures: Figures, folder: Path) -> None:
    """All charts as SVG files in `folder`."""
    for name, chart in CHARTS.items():
        chart(figures).savefig(folder / f"{name}.svg", metadata={"Date": None}, transparent=True)
