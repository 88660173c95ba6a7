"""The flights' page for people, in a real Chromium: predict, explain, refuse; on a phone too."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.flights.flight_service import KEY, running, stocked

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


@pytest.fixture(scope="module")
def url(service: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("flights")
    with ExitStack() as ends:
        given = ends.enter_context(stocked(service("redis"), folder, trees=20))
        yield ends.enter_context(running(folder / "api", "-m", "src.api", "--port", "0", **given))


@pytest.fixture(scope="module")
def browser(tool: Callable[[str], str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=tool("chromium"), args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """The page; anything from another place, and any complaint, fails the test."""
    context = browser.new_context(viewport=DESKTOP, base_url=url, locale="en-GB")
    page = context.new_page()
    outside: list[str] = []
    complaints: list[str] = []
    page.on(
        "request", lambda r: None if r.url.startswith((url, "data:")) else outside.append(r.url)
    )
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"/#key={KEY}")
    yield page
    context.close()
    assert outside == []
    # A refused request is told by the browser; the tests that want one expect it.
    assert [c for c in complaints if not c.startswith("Failed to load resource")] == []


def describe(page: Page, departure: str = "2024-12-31T23:30", **fields: str) -> None:
    """Fill in the form and send it, by keyboard alone."""
    page.get_by_label("Departure (UTC)").fill(departure)
    for name, text in fields.items():
        page.locator(f"#{name}").fill(text)
    page.get_by_label("Route").press("Enter")


def number(page: Page, row: str) -> float:
    """The minutes in the row of the table of reasons with that name."""
    cells = page.locator("#parts tr").filter(has_text=row).locator("td")
    return float(cells.first.text_content().replace("−", "-").replace("+", ""))


def test_a_late_aircraft_makes_a_late_flight_and_is_the_first_reason(page: Page) -> None:
    describe(page, inbound="85", turnaround="40")
    expect(page.locator("#delay")).to_have_text(re.compile(r"^\d+ minutes late$"))
    expect(page.locator("#range")).to_have_text(re.compile(r"8 of 10 such flights: .+ to .+"))
    expect(page.locator("#confidence-text")).to_have_text(re.compile(r"^\d+ %$"))
    rows = page.locator("#parts th").all_text_contents()
    assert rows[0] == "usual delay" and rows[-1] == "expected"
    assert rows[1] == "the inbound aircraft"
    total = sum(number(page, name) for name in rows[:-1])
    assert abs(total - number(page, "expected")) < 1.0
    late = number(page, "expected")
    describe(page, inbound="0", turnaround="60")
    expect(page.locator("#parts .sum td").first).not_to_have_text(f"+{late:.1f}")
    assert number(page, "expected") < late


def test_it_says_what_is_missing(page: Page) -> None:
    describe(page)
    expect(page.locator("#degraded li")).to_have_text(
        ["The inbound delay of this aircraft is not in the feature store: a usual value stands in."]
    )
    describe(page, departure="2026-05-01T08:00")
    expect(page.locator("#degraded li")).to_have_count(5)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"route": "JFK"}, "422: route='JFK' can't be used"),
        ({"route": "JFK-QQQ"}, "400: route: there is no airport QQQ"),
        ({"inbound": "late"}, "422: inbound_delay_minutes='late'"),
        ({"key": "wrong"}, "401: send a known key"),
        ({"route": "<b>1</b>"}, "422: route='<B>1</B>'"),
    ],
)
def test_a_refusal_is_told_in_words(page: Page, fields: dict[str, str], says: str) -> None:
    describe(page, **fields)
    expect(page.get_by_role("alert")).to_contain_text(says)
    expect(page.locator("#result")).to_be_hidden()
    describe(page, route="ORD-DEN", inbound="5", key=KEY)
    expect(page.locator("#result")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_without_the_service_it_says_so(page: Page) -> None:
    page.route("**/predict", lambda route: route.abort())
    describe(page)
    expect(page.get_by_role("alert")).to_contain_text("the service does not answer")
    page.unroute("**/predict")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_fits_the_screen(
    page: Page, size: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    page.set_viewport_size(size)
    describe(page, inbound="85", turnaround="40")
    expect(page.locator("#parts tr").first).to_be_visible()
    page.screenshot(path=tmp_path_factory.mktemp("page") / f"{size['width']}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for field in page.locator("input, select, button").all():
        assert field.bounding_box()["height"] >= 44  # for a thumb


def test_it_is_made_for_screen_readers_and_keyboards(page: Page) -> None:
    describe(page)
    expect(page.locator("#result")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en" and page.title()
    expect(page.locator("#result")).to_have_attribute("aria-live", "polite")
    expect(page.get_by_role("meter", name="Confidence")).to_be_visible()
    for name in ("Route", "Airline", "Departure (UTC)", "Aircraft type", "API key"):
        expect(page.get_by_label(name)).to_be_visible()
