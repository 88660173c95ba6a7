"""The data checks as one HTML file: it needs no server, no network and no script.

What can be computed is drawn as inline SVG; text from data is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from observability.quality import (
    KS_GAP,
    PSI_CRITICAL,
    PSI_WARNING,
    Column,
    Report,
    is_measured,
)

STYLE = """
:root { color-scheme: light; --ink: #1c2733; --soft: #52606d; --line: #d5dce3; --card: #fff;
        --ok: #17663a; --warning: #8a5200; --critical: #b3202a; --blue: #1f5fbf; --grey: #8593a1; }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem 1rem 3rem; background: #f3f5f8; color: var(--ink);
       font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
p { margin: 0 0 .8rem; }
.soft { color: var(--soft); }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
          padding: 1rem; margin: 0 0 1rem; min-width: 0; }
.verdict { font-weight: 700; white-space: nowrap; } .verdict::before { content: "● "; }
.ok { color: var(--ok); } .warning { color: var(--warning); } .critical { color: var(--critical); }
.nodata { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line);
         vertical-align: top; }
svg { display: block; margin: 0 auto; width: 100%; max-width: 34rem; height: auto; }
svg text { font: 13px system-ui, sans-serif; fill: var(--soft); }
.bin { display: grid; grid-template-columns: 5.5rem 1fr 2.6rem; gap: .5rem; align-items: center;
       font-size: .85rem; }
.bin > :first-child { text-align: right; overflow-wrap: anywhere; }
.bin i { display: block; height: .5rem; margin: 1px 0; background: var(--grey); }
.bin i + i { background: var(--blue); }
"""
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 340, 210, 36, 28, 12


@dataclass(frozen=True)
class Point:
    """One batch on the time line: its end, its report, and whether it was spoilt on purpose."""

    end: datetime
    report: Report
    planted: bool = False


def verdict(text: str) -> str:
    """A verdict in its colour; the word says it as well, for whoever can't see the colour."""
    return f'<span class="verdict {text.replace(" ", "")}">{text}</span>'


def figure(value: float, form: str = ".3f") -> str:
    """A measure, or a dash where there is none."""
    return format(value, form) if is_measured(value) else "–"


def time_line(points: Sequence[Point], column: str) -> str:
    """The PSI of one column batch by batch, with the two thresholds."""
    values = [point.report.column(column).psi for point in points]
    top = max([0.3, *(value * 1.1 for value in values if is_measured(value))])
    step = (WIDTH - LEFT - 20) / max(len(points) - 1, 1)

    def place(number: int, value: float) -> tuple[float, float]:
        height = HEIGHT - BOTTOM - TOP
        return LEFT + 10 + number * step, TOP + height * (1 - value / top)

    parts = []
    for limit, colour in ((PSI_WARNING, "warning"), (PSI_CRITICAL, "critical")):
        _, y = place(0, limit)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--{colour})"'
            f' stroke-dasharray="5 4"/><text x="2" y="{y + 4:.1f}">{limit}</text>'
        )
    spots = [(*place(i, v), p) for i, (v, p) in enumerate(zip(values, points, strict=True))
             if is_measured(v)]  # fmt: skip
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in spots)
    parts.append(f'<polyline points="{line}" fill="none" stroke="var(--blue)" stroke-width="2"/>')
    for x, y, point in spots:
        fill = "var(--critical)" if point.planted else "var(--blue)"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}"/>')
    for number in {0, len(points) // 2, len(points) - 1} if points else ():
        x, _ = place(number, 0)
        anchor = "start" if number == 0 else "end" if number == len(points) - 1 else "middle"
        day = points[number].end.strftime("%d %b")
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{day}</text>')
    says = f"PSI of {escape(column)} in {len(points)} batches"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{says}">{"".join(parts)}</svg>'
    )


def bars(column: Column) -> str:
    """The shares of a column's bins: grey in the reference, blue in the batch."""
    largest = max((max(e, a) for _, e, a in column.shares), default=0.0) or 1.0
    return "".join(
        f'<div class="bin"><span>{escape(name)}</span><span>'
        f'<i style="width:{e / largest:.1%}"></i><i style="width:{a / largest:.1%}"></i></span>'
        f"<span>{a:.0%}</span></div>"
        for name, e, a in column.shares
    )


def summary(report: Report) -> str:
    """One line for each check of the newest batch."""
    rows = [
        ("freshness", f"{figure(report.age / 3600, '.1f')} h old", report.freshness),
        ("volume", f"{report.rows} rows, {report.rows_expected:.0f} expected", report.volume),
    ]
    for c in report.columns:
        name = escape(c.name)
        limit = f"{figure(c.nulls, '.1%')}, limit {figure(c.nulls_limit, '.1%')}"
        rows.append((f"nulls of {name}", limit, c.null_rate))
        chance = f"{figure(c.psi)}, chance up to {figure(c.noise)}"
        rows.append((f"PSI of {name}", chance, c.drift))
        if is_measured(c.ks):
            rows.append((f"KS of {name}", f"{figure(c.ks)}, matters above {KS_GAP}", c.gap))
    cells = "".join(
        f"<tr><td>{what}</td><td>{verdict(says)}</td><td>{found}</td></tr>"
        for what, found, says in rows
    )
    head = "<tr><th>check</th><th>verdict</th><th>found</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{cells}</tbody></table>"


def render(title: str, points: Sequence[Point], watched: str) -> str:
    """The page about the batches in `points`, oldest first; `watched` is the column of the line.

    ValueError without batches.
    """
    if not points:
        raise ValueError("there is no batch to show")
    newest = points[-1].report
    found = newest.findings()
    said = ", ".join(found) if found else "nothing"
    cards = "".join(
        f"<section><h2>{escape(c.name)}</h2><p>PSI {figure(c.psi)}: {verdict(c.drift)}</p>"
        f"{bars(c)}</section>"
        for c in newest.columns
    )
    begin = next((p.end for p in points if p.planted), None)
    planted = f" Red points: a drift was planted from {begin:%d %b %Y} on." if begin else ""
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>
<body><main>
<h1>{escape(title)}</h1>
<p class="soft">The batch that ended {points[-1].end:%d %b %Y}. Found: {escape(said)}.</p>
<section><h2>PSI of {escape(watched)}, batch by batch</h2>
<p class="soft">Above {PSI_WARNING} a warning, above {PSI_CRITICAL} critical.{planted}</p>
{time_line(points, watched)}</section>
<section><h2>Every check of the newest batch</h2>{summary(newest)}</section>
<p class="soft">Grey: the reference. Blue: the newest batch, with its share.</p>
<div class="cards">{cards}</div>
</main></body></html>
"""
