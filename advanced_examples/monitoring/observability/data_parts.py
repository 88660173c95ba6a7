"""The lesson's parts about the data themselves: checks, drift, and when all of this is too much."""

import re
from collections import Counter as Tally

import numpy as np
import pandas as pd

from course.lesson import Lesson
from course.settings import OUTPUT_DIR
from observability import batches
from observability.batches import History, dearer
from observability.page import Point, render
from observability.quality import compare, ks, psi, psi_noise

GROWING = {-3: 1.25, -2: 1.5, -1: 2.0}  # batch → by how much its amounts are too high
PAGE = OUTPUT_DIR / "monitoring_04_quality.html"


def data_checks(lesson: Lesson, past: History) -> None:
    """Metrics about data: the pipeline can be green while it delivers rubbish.

    Freshness: how old is the newest row? Volume: as many rows as usual? Nulls: more missing than
    usual? Drift: are the values spread as before? A batch of two weeks is compared with the sixteen
    weeks of a reference. We plant one problem at a time, to see which check finds it.
    """
    clean = past.check(-1)
    rows = [("nothing", ", ".join(clean.findings()) or "nothing")]
    found = {}
    for plant, wanted in batches.PLANTS.items():
        findings = past.check(-1, plant(past.batches[-1][1])).findings()
        rows.append((plant.__name__, ", ".join(findings)))
        found[plant.__name__] = wanted in findings
    lesson.table(rows, ["planted", "found by"])
    lesson.check("each problem is found by its check", all(found.values()))
    quiet = [past.check(number).findings() for number in range(len(past.batches))]
    lesson.check(f"{len(quiet)} clean batches: no false alarm", quiet == [{}] * len(quiet))
    with lesson.expected_error(ValueError):
        past.check(-1, past.batches[-1][1].drop(columns="channel"))


def measures(lesson: Lesson) -> None:
    """PSI and KS, and where each of them is wrong.

    PSI = sum over bins of (now - before) * ln(now / before). 0.1 is a warning and 0.25 critical: a
    custom, not a law. A small batch has a large PSI by chance, a small shift stays under 0.1. KS is
    the largest gap of two distributions. Its p-value answers another question than yours: with
    a million rows every trifle is "significant". So look at the gap as well.
    """
    dice = np.random.default_rng(4)
    usual = pd.Series(dice.normal(size=100_000))
    cases = {
        "same, 60 rows": usual.sample(60, random_state=3).reset_index(drop=True),
        "shifted by 0.3 sigma": pd.Series(dice.normal(0.3, size=100_000)),
        "shifted by 0.02 sigma": pd.Series(dice.normal(0.02, size=100_000)),
    }
    rows, found = [], {}
    for name, batch in cases.items():
        gap, chance = ks(usual, batch)
        value, noise = psi(usual, batch), psi_noise(10, len(usual), len(batch))
        found[name] = (value, noise, gap, chance)
        rows.append((name, f"{value:.3f}", f"{noise:.3f}", f"{gap:.3f}", f"{chance:.4f}"))
    lesson.table(rows, ["batch", "PSI", "by chance", "KS", "p"])
    value, noise, *_ = found["same, 60 rows"]
    lesson.check("60 rows: PSI over 0.1 without any drift", 0.1 < value < noise)
    value, _, gap, _ = found["shifted by 0.3 sigma"]
    lesson.check("a shift of 0.3 sigma: PSI misses it, KS sees it", value < 0.1 < gap)
    value, _, gap, chance = found["shifted by 0.02 sigma"]
    lesson.check("p says significant, the gap says trifle", chance < 0.01 and gap < 0.02)
    empty = compare(*[pd.DataFrame({"x": [], "t": []})] * 2, 0, batches.NOW, "t")
    lesson.check("nothing to measure is said, not guessed", empty.column("x").drift == "no data")


def catching(lesson: Lesson, past: History) -> None:
    """A page that shows a drift being caught.

    In the last three batches the amounts are 25 %, 50 % and 100 % too high. One HTML file tells it:
    no server, no network, no script. Send it with the alert.
    """
    points = []
    for number in range(-len(past.batches), 0):
        end, batch = past.batches[number]
        factor = GROWING.get(number, 1.0)
        report = past.check(number, dearer(batch, factor))
        points.append(Point(end, report, planted=factor > 1))
    totals = [(point.end, point.report.column("total")) for point in points]
    rows = [(f"{end:%Y-%m-%d}", f"{c.psi:.3f}", c.drift, f"{c.ks:.3f}", c.gap) for end, c in totals]
    lesson.table(rows, ["batch until", "PSI", "verdict", "KS", "verdict "])
    verdicts = Tally(point.report.column("total").drift for point in points if not point.planted)
    lesson.check("before: all ok", verdicts == {"ok": len(points) - len(GROWING)})
    caught = [point.report.column("total").drift for point in points[-2:]]
    lesson.check("50 % more is a warning, 100 % is critical", caught == ["warning", "critical"])
    OUTPUT_DIR.mkdir(exist_ok=True)
    text = render("Orders: are the data what they were?", points, "total")
    PAGE.write_text(text, encoding="utf-8")
    lesson.console.say(f"  page saved as output/{PAGE.name}", "dim")
    lesson.check("the page loads nothing from elsewhere", not re.search(r"https?://|<script", text))


def too_much(lesson: Lesson) -> None:
    """When not to, and what changes at a thousand times the size.

    A script that runs once a night needs a log line, an exit code and an alert when it is missing,
    not a Prometheus. A short job has ended before it is scraped: let it push its last values to a
    Pushgateway, or write a row. Don't measure what nobody will act on.

    At a thousand times the size: sample traces, 1 in 1,000 and all with an error. Log decisions,
    not steps. Let recording rules add series up early, and send them to long-term storage (remote
    write to Mimir or Thanos); keep raw series for days. Check data where they are, in SQL, or on a
    random sample: PSI needs shares in bins, and those are one GROUP BY.
    """
    rows, bins = 1_000_000, 10
    dice = np.random.default_rng(4)
    before, now = (pd.Series(dice.gamma(2.0, scale, rows)) for scale in (50, 60))
    sample = psi(before.head(10_000), now.head(10_000))
    whole = psi(before, now)
    lesson.table([(f"{rows:,}", f"{whole:.3f}"), ("10,000", f"{sample:.3f}")], ["rows", "PSI"])
    near = abs(whole - sample) < 3 * psi_noise(bins, 10_000, 10_000)
    lesson.check("a sample of 1 in 100 tells the same", near)
