"""The defence of the flight project: one source of figures, and slides that can be read."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.flights.flight_service import PROJECT, python
from tests.support import load_lesson, run_python

FOLDER = PROJECT / "defence"
SLIDES = (FOLDER / "slides.md").read_text("utf-8")
PAGE = (PROJECT / "docs" / "DEFENCE.md").read_text("utf-8")
PROSE, _, TABLE = PAGE.partition("| what | figure | from |\n")
figures: Any = load_lesson("advanced_examples/flight_delays/defence/figures.py")
FIGURES = figures.load()

TALK = {"0–2": 2, "2–6": 4, "6–10": 7, "10–15": 10, "15–18": 12, "18–22": 14, "22–25": 15}
QUESTIONS = ("Why an ensemble?", "What about drift?", "Why a feature store?", "Is it reproducible?",
             "Monitoring or metrics?", "What was the hardest problem?")  # fmt: skip
WIDTH, HEIGHT, SMALLEST = 1280, 720, 26  # pixels; the smallest letters that the last row reads
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")
FREE = {"100", "130", "150", "127.0.0.1"} | {str(year) for year in range(2022, 2026)}


def told(text: str) -> set[str]:
    """The numbers of a text that must be figures: not small whole ones, not years."""
    found = {number.rstrip(",") for number in NUMBER.findall(text)} - FREE
    return {number for number in found if not number.isdigit() or len(number) > 2}


def shown() -> set[str]:
    """The numbers in all figures."""
    return {number for one in FIGURES.values() for number in NUMBER.findall(one.shown)}


def test_each_figure_says_where_it_comes_from() -> None:
    for name, one in FIGURES.items():
        sources = [bool(one.file and one.key), bool(one.measured), bool(one.stands_in)]
        assert sum(sources) == 1, name


def test_slides_and_page_show_figures_and_no_other_numbers() -> None:
    assert told(figures.PLACE.sub("", SLIDES)) == set()
    assert told(PROSE) <= shown()
    assert figures.table(FIGURES) == PAGE[len(PROSE) :].strip()


def test_each_figure_is_used() -> None:
    charts = (FOLDER / "charts.py").read_text("utf-8")
    used = set(figures.PLACE.findall(SLIDES)) | set(re.findall(r'"(\w+)"', charts))
    prose = " ".join(PROSE.split())
    assert {
        name for name, one in FIGURES.items() if name not in used and one.shown not in prose
    } == set()
    assert set(figures.PLACE.findall(SLIDES)) <= set(FIGURES)


@pytest.mark.parametrize("name", [name for name, one in FIGURES.items() if one.stands_in])
def test_other_pages_promise_the_same(name: str) -> None:
    one = FIGURES[name]
    page = " ".join((PROJECT / one.stands_in).read_text("utf-8").split())
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", page)
    wanted = re.sub(r"(?<=\d),(?=\d{3})", "", one.shown)
    assert re.search(rf"(?<![\w.]){re.escape(wanted)}(?![\w])", plain), f"{one.stands_in}: {wanted}"


def test_the_models_are_as_the_default_run_has_them() -> None:
    """docs/measured.json, which a test holds against a run of the whole pipeline."""
    measured = json.loads((PROJECT / "docs" / "measured.json").read_text("utf-8"))["models"]
    for name, model in {
        "mae_mean": "baseline", "mae_xgboost": "xgboost", "mae_network": "network",
        "mae_ensemble": "ensemble", "mae_best": "best reachable",
    }.items():  # fmt: skip
        assert FIGURES[name].of(measured[model][0]) == FIGURES[name].shown
    best, ours = (measured[name][0] for name in ("best reachable", "ensemble"))
    assert FIGURES["over_best"].of(ours / best - 1) == FIGURES["over_best"].shown


def test_the_number_of_inputs() -> None:
    asked = run_python("-c", "from features.vector import INPUTS as i; print(len(i))", cwd=PROJECT)
    assert asked.stdout.strip() == FIGURES["inputs"].shown


def test_another_run_is_compared(tmp_path: Path) -> None:
    files: dict[str, Any] = {}
    for one in FIGURES.values():
        if one.file:
            *way, last = one.key.split(".")
            place = files.setdefault(one.file, {})
            for part in way:
                place = place.setdefault(part, {})
            place[last] = one.value / 100 if "%" in one.shown else one.value
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    assert figures.differences(FIGURES, tmp_path) == []
    files["metrics/evaluation.json"]["models"]["ensemble"] |= {"mae": 7.7, "over_best": 0.0892}
    (tmp_path / "metrics/evaluation.json").write_text(json.dumps(files["metrics/evaluation.json"]))
    done = run_python(FOLDER / "figures.py", "--compare", tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "mae_ensemble: 7.60 here, 7.70 there", "over_best: 7.5 % here, 8.9 % there"
    ]  # fmt: skip
    empty = run_python(FOLDER / "figures.py", "--compare", tmp_path / "none")
    assert empty.returncode == 1 and "has not run in" in empty.stderr


def test_the_half_hour_is_the_one_that_was_asked_for() -> None:
    rows = re.findall(r"^\| (\d+–\d+) \| (\d+)(?:–(\d+))? \|", PROSE, re.MULTILINE)
    assert {minutes: int(last or first) for minutes, first, last in rows[:-1]} == TALK
    assert rows[-1] == ("25–30", "15", "")
    assert [int(first) for _, first, _ in rows[:-1]] == [1, 3, 5, 8, 11, 13, 15]
    slides = re.split(r"^## ", SLIDES, flags=re.MULTILINE)[1:]
    assert len(slides) == 15
    for number, slide in enumerate(slides, start=1):
        minutes = next(when for when, last in TALK.items() if number <= last)
        start = slide.split("::: notes\n")[1].removeprefix("Still ")
        assert start.startswith(minutes.replace("–", " to ")), f"slide {number}: {start[:40]}"


def test_the_slide_of_the_demo_names_its_scenes() -> None:
    recorded = (FOLDER / "demo.txt").read_text("utf-8")
    scenes = re.findall(r"^\d  (.+)\n-+$", recorded, re.MULTILINE)
    (slide,) = (part for part in SLIDES.split("## ") if part.startswith("The service, live"))
    assert re.findall(r"^\d\. (.+)$", slide, re.MULTILINE) == scenes
    assert "seven scenes" in PROSE and len(scenes) == 7


def test_the_page_answers_what_will_be_asked() -> None:
    for question in QUESTIONS:
        answer = PROSE.split(f"**{question}**")[1].split("\n\n")[0]
        assert told(answer) or "three in ten" in answer, question
    assert re.findall(r"^\| (\d+) % \|", PROSE, re.MULTILINE) == ["40", "25", "20", "15"]
    for section in ("Learnt", "Owed", "Roadmap"):
        assert f"\n## {section}" in PROSE


def test_without_its_environment_it_says_how_to_make_it() -> None:
    done = run_python("-S", FOLDER / "slides.py")
    assert done.returncode == 1
    assert "learn.py environment advanced_examples/flight_delays/environments/slides" in done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Path:
    """The slides, built by the command, and printed."""
    tool("chromium")
    page = tmp_path_factory.mktemp("slides") / "slides.html"
    command = [python("slides"), FOLDER / "slides.py", "--pdf", "--output", page]
    subprocess.run(command, check=True, capture_output=True, cwd=page.parent)
    return page


@pytest.fixture(scope="module")
def browser(tool: Callable[[str], str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=tool("chromium"), args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def talk(browser: Browser, built: Path) -> Iterator[Page]:
    """The slides in a browser; a request to anywhere, and any complaint, fails the test."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    outside: list[str] = []
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else outside.append(r.url),
    )
    page.on("console", lambda m: outside.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: outside.append(str(error)))
    page.goto(built.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    yield page
    assert outside == []


# What can't be read of the slide on show: too small, out of the frame, a picture that is missing.
UNREADABLE = """([width, height, smallest]) => {
  const slide = Reveal.getCurrentSlide(), bad = [];
  if (slide.scrollHeight > slide.clientHeight || slide.scrollWidth > slide.clientWidth)
    bad.push("overflows");
  for (const part of slide.querySelectorAll(":not(aside, aside *)")) {
    const words = [...part.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const picture = part.tagName === "IMG", box = part.getBoundingClientRect();
    const cut = part.closest("pre") && part.scrollWidth > part.clientWidth && part.clientWidth;
    const inside = !cut && box.left >= 0 && box.right <= width && box.bottom <= height;
    if (words && parseFloat(getComputedStyle(part).fontSize) < smallest)
      bad.push("small: " + part.textContent);
    if ((words || picture) && !inside) bad.push("outside or cut: " + part.textContent);
    if (picture && !(part.complete && part.naturalWidth)) bad.push("no picture");
  }
  return bad;
}"""
LOADED = "[...Reveal.getCurrentSlide().querySelectorAll('img')].every(i => i.complete)"


def test_all_fifteen_slides_can_be_read_from_the_last_row(talk: Page) -> None:
    assert talk.evaluate("Reveal.getTotalSlides()") == 15
    pictures = 0
    for number in range(15):
        talk.evaluate(f"Reveal.slide({number})")
        talk.wait_for_function(LOADED)
        assert talk.evaluate(UNREADABLE, [WIDTH, HEIGHT, SMALLEST]) == [], f"slide {number + 1}"
        words = talk.evaluate("Reveal.getCurrentSlide().innerText")
        assert told(words) <= shown() and "[[" not in words, f"slide {number + 1}"
        pictures += talk.evaluate("Reveal.getCurrentSlide().querySelectorAll('img').length")
    assert pictures == len(re.findall(r"!\[\]\(\w+\.svg\)", SLIDES)) > 0


def test_the_speaker_has_notes(talk: Page) -> None:
    notes = talk.evaluate("Reveal.getSlides().map(s => Reveal.getSlideNotes(s) || '')")
    assert len(notes) == 15 and all(len(note) > 60 and "[[" not in note for note in notes)


def test_the_pdf_has_a_sheet_for_each_slide(built: Path) -> None:
    printed = built.with_suffix(".pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 15
    assert len(re.findall(rb"/MediaBox \[0 0 960 540\]", printed)) == 15
