"""Charts that can be read from the last row: big type, one colour that matters, units."""

from collections.abc import Mapping, Sequence
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


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    x_unit: str,
    y_unit: str,
    ideal: str = "",
) -> "Figure":
    """One line per entry of `lines`, each (x values, y values); the last one stands out.

    `ideal` names the diagonal, where y is x: a forecast that is right on average lies there.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7))
    axes = figure.subplots()
    if ideal:
        end = max(max(values) for line in lines.values() for values in line)
        axes.plot((0, end), (0, end), color="black", linestyle=":", linewidth=2, label=ideal)
    for number, (name, (x, y)) in enumerate(lines.items()):
        colour, width, style = (QUIET, 3, ("--", "-.")[number % 2])
        if number == len(lines) - 1:
            colour, width, style = (LOUD, 4, "-")
        marker = "osD^v"[number % 5]
        axes.plot(x, y, style, marker=marker, markersize=9, color=colour, linewidth=width,
                  label=name)  # fmt: skip
    axes.tick_params(labelsize=TEXT)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(nbins=5)
    axes.set_xlabel(x_unit, fontsize=TEXT)
    axes.set_ylabel(y_unit, fontsize=TEXT)
    axes.set_title(title, fontsize=TITLE, loc="left", pad=16)
    axes.legend(fontsize=TEXT, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
