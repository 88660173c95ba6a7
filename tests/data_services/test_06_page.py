"""The page for people, in a real Chromium: by keyboard, on a phone, offline, in trouble."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.data_services.private_service import KEY, PrivateService

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
ENOUGH = 4.5  # contrast of text, by WCAG 2.2 AA
COLOURS = """
    () => [...document.querySelectorAll("body *")].filter(element => element.checkVisibility()
        && [...element.childNodes].some(node => node.nodeType == 3 && node.data.trim())
    ).map(element => {
        let behind = element;
        while (getComputedStyle(behind).backgroundColor == "rgba(0, 0, 0, 0)")
            behind = behind.parentElement ?? document.body;
        return [element.outerHTML.slice(0, 80), getComputedStyle(element).color,
                getComputedStyle(behind).backgroundColor];
    })
"""


@pytest.fixture(scope="module")
def browser(tool: Callable[[str], str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=tool("chromium"), args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, api: PrivateService) -> Iterator[Page]:
    """A page of the service; anything from another place, and any complaint, fails the test."""
    context = browser.new_context(viewport=DESKTOP, base_url=str(api.http.base_url), locale="en-GB")
    page = context.new_page()
    outside: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if is_outside(r.url, api) else None)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert outside == []
    # A refused request is told by the browser; the tests that want one expect it.
    assert [c for c in complaints if "the server responded with a status" not in c] == []


def is_outside(url: str, api: PrivateService) -> bool:
    return not url.startswith((str(api.http.base_url), "data:"))


def ask(page: Page, user: str, key: str = KEY) -> None:
    """Fill in the form and send it, by keyboard alone."""
    page.goto("/")
    page.get_by_label("User number").fill(user)
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")


def test_it_shows_the_user_the_products_and_the_tier(page: Page, api: PrivateService) -> None:
    ask(page, "123")
    expect(page.get_by_role("heading", name="Pawel Sikora")).to_be_visible()
    expect(page.locator("#place")).to_have_text("Warsaw, Poland · customer since 2022-11-07")
    answer = api.ask(123).json()
    expect(page.locator("#segment")).to_have_text(answer["segment"])
    expect(page.locator("#offer")).to_have_text(answer["offer"])
    names = [product["name"] for product in answer["recommendations"]]
    expect(page.locator("#products .product")).to_have_text(names)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#tier")).to_have_text("Redis")
    expect(page.locator("#stores tr")).to_have_count(1)


def test_a_cold_answer_shows_what_each_store_took(page: Page) -> None:
    ask(page, "1701")
    expect(page.locator("#tier")).to_have_text("the databases")
    stores = page.locator("#stores th")
    expect(stores).to_have_text(["PostgreSQL", "MongoDB", "Engine", "Redis"])
    for number in page.locator("#stores td:nth-child(2)").all_text_contents():
        assert float(number) >= 0


@pytest.mark.parametrize(
    ("user", "key", "says"),
    [("9999", KEY, "404: there is no user 9999"), ("anna", KEY, "422: user_id 'anna'"),
     ("1/../2", KEY, "404"), ("<b>1</b>", KEY, "404"), ("123", "wrong", "401: send a known key")],
)  # fmt: skip
def test_a_refusal_is_told_in_words(page: Page, user: str, key: str, says: str) -> None:
    ask(page, user, key)
    expect(page.get_by_role("alert")).to_contain_text(says)
    expect(page.locator("#result")).to_be_hidden()
    ask(page, "123")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_key_in_the_address_asks_at_once_and_stays_in_the_browser(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/#user=7&key={KEY}")
    expect(page.locator("#products li")).to_have_count(5)
    assert not any(KEY in url.partition("#")[0] for url in asked)


@pytest.mark.faults
def test_it_says_what_is_away(page: Page, api: PrivateService) -> None:
    api.kill("redis")
    ask(page, "123")
    expect(page.locator("#degraded")).to_contain_text("The cache does not answer")
    expect(page.locator("#tier")).to_have_text("the databases")
    api.heal()
    expect(page.locator("#products li")).to_have_count(5)
    api.ask(123)
    api.kill("postgres")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#place")).to_contain_text("PostgreSQL, which does not answer")
    expect(page.locator("#products li")).to_have_count(5)
    ask(page, "1899")
    expect(page.get_by_role("alert")).to_contain_text("503: PostgreSQL does not answer")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_fits_the_screen_and_can_be_read(
    page: Page, size: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    page.set_viewport_size(size)
    ask(page, "123")
    expect(page.locator("#products li")).to_have_count(5)
    page.screenshot(path=tmp_path_factory.mktemp("page") / f"{size['width']}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for field in page.locator("input, button").all():
        assert field.bounding_box()["height"] >= 44  # for a thumb
    for element, colour, behind in page.evaluate(COLOURS):
        assert contrast(colour, behind) >= ENOUGH, element


def test_it_is_made_for_screen_readers_and_keyboards(page: Page) -> None:
    ask(page, "123")
    expect(page.locator("#products li")).to_have_count(5)
    assert page.locator("html").get_attribute("lang") == "en" and page.title()
    levels = [int(tag[1]) for tag in page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3')].map(h => h.tagName)")]  # fmt: skip
    assert levels[0] == 1 and set(levels[1:]) == {2}
    expect(page.locator("#result")).to_have_attribute("aria-live", "polite")
    expect(page.get_by_role("meter", name="Churn risk")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.goto("/")
    order = []
    for _ in range(3):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.type"))
    assert order == ["user", "key", "submit"]


def contrast(one: str, other: str) -> float:
    """The contrast of two CSS colours (WCAG 2.2, relative luminance)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
