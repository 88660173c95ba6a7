"""The page of the data checks, in a real Chromium: offline, on a desk and on a phone."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from observability.batches import NOW
from observability.data_parts import GROWING
from observability.page import Point, render
from observability.quality import Report, compare
from playwright.sync_api import Browser, Page, sync_playwright

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


def report(factor: float = 1.0, name: str = "web") -> Report:
    amounts = [float(i % 97) for i in range(400)]
    kinds = ["web", "store"] * 200
    reference = pd.DataFrame({"total": amounts, "channel": kinds, "t": [NOW] * 400})
    batch = reference.assign(total=[a * factor for a in amounts], channel=[name, "store"] * 200)
    return compare(reference, batch, 400, NOW, "t")


def points() -> list[Point]:
    """Five clean batches, then the three of the lesson."""
    days = [datetime(2025, 9, day, tzinfo=UTC) for day in range(1, 9)]
    factors = [1.0] * 5 + list(GROWING.values())
    return [Point(day, report(factor), factor > 1) for day, factor in zip(days, factors,
                                                                          strict=True)]  # fmt: skip


@pytest.fixture(scope="module")
def browser(tool: Callable[[str], str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=tool("chromium"), args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The page without a network; a complaint or a request to elsewhere fails the test."""
    file = tmp_path / "quality.html"
    file.write_text(render("Orders & <checks>", points(), "total"), encoding="utf-8")
    context = browser.new_context(viewport=SIZES[request.param], offline=True)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.on("console", lambda m: complaints.append(m.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert complaints == []


def test_the_drift_can_be_seen_and_read(page: Page) -> None:
    assert page.title() == page.locator("h1").inner_text() == "Orders & <checks>"
    row = page.locator("tr", has_text="PSI of total")
    assert "critical" in row.inner_text()
    assert "ok" in page.locator("tr", has_text="PSI of channel").inner_text()
    spots = page.locator("circle")
    assert spots.count() == 8
    red = page.locator('circle[fill="var(--critical)"]')
    assert red.count() == 3
    heights = [float(spot.get_attribute("cy") or 0) for spot in red.all()]
    assert heights == sorted(heights, reverse=True), "the drift grows"
    critical = page.locator('line[stroke="var(--critical)"]')
    assert heights[-1] < float(critical.get_attribute("y1") or 0), "the last is above the line"


def test_nothing_is_cut_off_or_too_small(page: Page) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate("""
        () => [...document.querySelectorAll("body *")].filter(element => {
            const box = element.getBoundingClientRect();
            return box.width && (box.right > innerWidth + 1 || box.left < -1);
        }).map(element => element.outerHTML.slice(0, 60))""")
    assert outside == []
    smallest = page.evaluate("""
        () => Math.min(...[...document.querySelectorAll("svg text")].map(
            text => text.getBoundingClientRect().height))""")
    assert smallest >= 11, "pixels"


def test_names_from_data_are_text_and_not_markup() -> None:
    name = "<script>alert(1)</script>"
    text = render("t", [Point(NOW, report(name=name))], "total")
    assert "<script" not in text
    amounts = pd.DataFrame({name: ["a"], "t": [NOW]})
    text = render("t", [Point(NOW, compare(amounts, amounts, 1, NOW, "t"))], name)
    assert "<script" not in text and "&lt;script&gt;" in text


def test_it_loads_nothing() -> None:
    text = render("t", points(), "total")
    assert not re.search(r"https?:|//|<script|@import|url\(", text)


def test_a_batch_without_data_is_shown_as_such() -> None:
    whole = pd.DataFrame({"total": [1.0, 2.0], "t": [NOW, NOW]})
    empty = compare(whole, whole.iloc[:0], 2, NOW, "t")
    text = render("t", [Point(NOW, empty)], "total")
    assert "no data" in text and "nan" not in text


def test_no_batch_no_page() -> None:
    with pytest.raises(ValueError, match="no batch"):
        render("t", [], "total")
