"""The report of a run: one page with the account and a chart of the three stages over time."""

from pathlib import Path
from typing import TYPE_CHECKING

from async_etl.metrics import Metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTCOMES = (("loaded", "loaded", "#1f6feb"), ("deduplicated", "there already", "#9aa5b1"),
            ("quarantined", "dead-lettered", "#d1242f"))  # fmt: skip
TITLE, TEXT = 22, 18


def chart(metrics: Metrics) -> "Figure":
    """Records by stage over time, and where they went; the two sides end at the same number."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.5), layout="constrained")
    over_time, account = figure.subplots(1, 2, width_ratios=(3, 1.25), sharey=True)
    seconds, extracted, transformed, done = zip(*metrics.timeline or [(0, 0, 0, 0)], strict=True)
    for figures, name, style, colour in (
        (extracted, "extracted", "-", "#9aa5b1"),
        (transformed, "passed the rules", "--", "#57606a"),
        (done, "in the database", "-", "#1f6feb"),
    ):  # fmt: skip
        over_time.step(seconds, figures, style, where="post", label=name, color=colour, linewidth=3)
    over_time.set_xlabel("seconds since the start", fontsize=TEXT)
    over_time.set_ylabel("records", fontsize=TEXT)
    over_time.legend(fontsize=TEXT, frameon=False, loc="upper left")
    below, free = 0.0, 0.0  # labels of thin pieces must not stand on each other
    for name, words, colour in OUTCOMES:
        number = getattr(metrics, name)
        account.bar(0, number, bottom=below, color=colour, width=0.5)
        if number:
            at = max(below + number / 2, free)
            account.annotate(f"{number:,} {words}", (0.3, at), fontsize=TEXT, va="center")
            free = at + metrics.extracted * 0.07
        below += number
    account.set_xlim(-0.4, 2.2)
    account.set_xticks([])
    for axes in (over_time, account):
        axes.tick_params(labelsize=TEXT)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_ylim(0, max(below, metrics.extracted, 1) * 1.06)
        axes.spines[["top", "right"]].set_visible(False)
    account.spines["left"].set_visible(False)
    account.tick_params(left=False)
    title = f"{metrics.extracted:,} records came in, and every one is accounted for"
    figure.suptitle(title, fontsize=TITLE, x=0.02, ha="left")
    return figure


def write(metrics: Metrics, folder: Path) -> Path:
    """Write etl_report.md with its chart etl_report.png into the folder; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    chart(metrics).savefig(folder / "etl_report.png", dpi=120, bbox_inches="tight")
    lines = [f"# Run {metrics.run_id}", "", "| what | |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in metrics.summary().items()]
    lines += ["", "![records over time](etl_report.png)", ""]
    if metrics.reasons:
        lines += ["## Refused, by field", "", "| field | records |", "|---|---:|"]
        lines += [f"| {field} | {count} |" for field, count in metrics.reasons.most_common()]
        lines += ["", "`python -m async_etl letters` shows each with its value and the rule.", ""]
    if metrics.errors:
        lines += ["## Not extracted", "", *(f"- {error}" for error in metrics.errors), ""]
        lines += ["Run the same window again: what is there already stays as it is.", ""]
    page = folder / "etl_report.md"
    page.write_text("\n".join(lines), encoding="utf-8")
    return page
