"""Charts that can be read from the last row: big type, one colour that matters, units."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUIET, LOUD = "#9aa5b1", "#1f6feb"
TITLE, TEXT = 22, 18


def bars(values: Mapping[str, float], title: str, unit: str) -> "Figure":
    """One horizontal bar per value with its figure at the end; the longest one stands out.

    `title` says what the chart shows in one sentence, `unit` what the numbers count.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.6 + 0.9 * len(values)))
    axes = figure.subplots()
    longest = max(values.values())
    colours = [LOUD if value == longest else QUIET for value in values.values()]
    drawn = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(drawn, fmt="{:,.0f}", padding=6, fontsize=TEXT)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.tick_params(labelsize=TEXT)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(unit, fontsize=TEXT)
    axes.set_title(title, fontsize=TITLE, loc="left", pad=16)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
