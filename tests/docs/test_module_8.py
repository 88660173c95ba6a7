"""Module 8's documents are true: their minutes, steps, cross-references, commands and figures.

What they tell the reader to run is run in test_module_8_runs.py.
"""

import re

import pytest

from course import manifest
from course.lesson import make_parser
from course.settings import ROOT
from tests.docs.figures import FIGURES, figures_left, source_text
from tests.docs.pages import (
    COMPANION,
    PAGES,
    PLAN,
    STEPS,
    STUDY,
    Page,
    lessons,
    module_of,
    numbers,
    spread,
    titles,
)  # fmt: skip
from tests.smoke.transcripts import replace_figures

EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
MINUTES = re.compile(r"\((\d+) minutes\)")
KINDS = (
    *(("python", entry.path) for entry in lessons().values()),
    ("python", "-m", "shop_profile.workers"),
    ("python3", "learn.py"),
    ("docker", "compose"),
    ("curl", "-s"),
    ("source", ".venv/bin/activate"),
)
# ------------------------------------------------------------------------------- structure


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        (PLAN, "0. 1.1 1.2 1.3 1.4 2.1 2.2 2.3 3. 4.1 4.2 4.3 5.1"),
        (COMPANION, "1.1 1.2 1.3 1.4 1.5 2.1 2.2 2.3 2.4 3.1 3.2 3.3 3.4 4.1 4.2 4.3 4.4 5.1 5.2 "
                    "5.3 5.4"),
        (STUDY, "1. 2. 3. 4. 5. 6. 7. 8."),
    ],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_the_promised_sections_are_there(page: Page, wanted: str) -> None:
    found = {title.split()[0] for level in (2, 3) for title in page.headings(level)}
    assert set(wanted.split()) <= found


@EACH
def test_it_reads_plainly(page: Page) -> None:
    assert not re.search("[\u2014\U0001f300-\U0001faff]", page.text)


@EACH
def test_anchors_lead_to_a_heading(page: Page) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.text):
        text = (ROOT / "docs" / (target or page.name)).read_text(encoding="utf-8")
        titles_there = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles_there}


@EACH
def test_other_parts_that_it_names_exist(page: Page) -> None:
    words = " ".join(page.prose.split())
    parts = {title.split()[0] for title in COMPANION.headings(3)} | {"Integration"}
    named = re.findall(r"companion(?: guide's)? ((?:\d\.\d|Integration)(?:(?: and | to )\d\.\d)*)",
                       words)  # fmt: skip
    assert {part for several in named for part in re.split(" and | to ", several)} <= parts
    tasks = re.findall(r"tasks? (\d)(?: and (\d))?", words)
    known = {title[0] for title in STUDY.headings(3)}
    assert {number for pair in tasks for number in pair if number} <= known


# --------------------------------------------------------------------------------- minutes


def as_minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)


def timed(page: Page) -> list[tuple[str, int]]:
    """The headings that promise minutes, and how many."""
    headings = [title for level in (2, 3) for title in page.headings(level)]
    return [(title, int(found[1])) for title in headings if (found := MINUTES.search(title))]


@pytest.mark.parametrize(("heading", "promised"), timed(STUDY) + timed(PLAN))
def test_minutes_add_up(heading: str, promised: int) -> None:
    page = STUDY if heading in STUDY.headings(2) + STUDY.headings(3) else PLAN
    rows = page.tables(page.section(heading))[0]
    assert sum(int(row["minutes"]) for row in rows) == promised
    clock = 0
    for row in rows if "from" in rows[0] else []:
        assert as_minutes(row["from"]) == clock, row
        clock = as_minutes(row["to"])
        assert clock - as_minutes(row["from"]) == int(row["minutes"]), row


def test_days_are_as_long_as_their_lessons() -> None:
    long = {f"data/{number}": entry.minutes for number, entry in lessons().items()}
    assert list(long.values()) == [120, 90, 60, 90, 90, 60]
    days = [minutes for title, minutes in timed(STUDY) if title.startswith(("Day", "Integration"))]
    assert days == list(long.values())
    assert f"Everything is {sum(days)} minutes" in STUDY.prose
    for page in (STUDY, PLAN):
        rows = page.tables()[0]
        shown = {re.findall(r"data/\d\d", row["lesson"])[0]: int(row["minutes"]) for row in rows}
        assert shown == long
    of_days: dict[str, int] = {}
    for heading, minutes in timed(PLAN):
        day = heading[0].replace("0", "1")
        of_days[day] = of_days.get(day, 0) + minutes
    assert list(of_days.values()) == list(long.values())


# ----------------------------------------------------------------------------------- steps


@EACH
def test_steps_that_it_names_exist(page: Page) -> None:
    found = STEPS.findall(page.prose)
    for number, steps in found:
        assert set(spread(steps)) <= set(range(1, len(titles(number)) + 1)), (number, steps)
    assert len(found) == len(re.findall(r"`data/\d\d` step", page.prose)), "an unreadable one"


def test_the_plan_has_every_step_once_with_its_title() -> None:
    rows = [row for table in PLAN.tables() for row in table if "title" in row]
    planned = {(row["lesson"].strip("`"), int(row["step"])): row["title"] for row in rows}
    assert len(rows) == len(planned)
    assert planned == {
        (f"data/{number}", step): title
        for number in lessons()
        for step, title in enumerate(titles(number), 1)
    }


def test_each_day_of_the_study_guide_takes_every_step() -> None:
    for number, heading in zip(lessons(), [title for title, _ in timed(STUDY)], strict=False):
        _, *rows = STUDY.tables(STUDY.section(heading))[0]
        taken = [step for row in rows for _, steps in STEPS.findall(row["where"])
                 for step in spread(steps)]  # fmt: skip
        assert taken == list(range(1, len(titles(number)) + 1)), heading


def test_titles_are_the_banners_that_lessons_print() -> None:
    for number in lessons():
        file = ROOT / "tests" / "transcripts" / f"data_{number}.txt"
        if file.exists():  # tests/smoke demands it
            said = " ".join(file.read_text(encoding="utf-8").split())
            for step, title in enumerate(titles(number), 1):
                assert f" {step} {replace_figures(title)} ─" in said, (file.name, step)


def test_each_task_leads_to_a_step_of_its_lesson() -> None:
    for heading in STUDY.headings(3):
        if re.match(r"\d\. ", heading):
            ((number, _, path),) = re.findall(
                r"\[`data/(\d\d)` step (\d+)\]\(\.\./([^)]+)\)", STUDY.section(heading)
            )
            assert path == lessons()[number].path


# -------------------------------------------------------------------------------- commands


@EACH
def test_every_command_is_of_a_kind_that_is_tried(page: Page) -> None:
    for words in page.commands():
        assert any(words[: len(kind)] == list(kind) for kind in KINDS), words


@EACH
def test_lessons_take_the_flags_that_stand_in_it(page: Page) -> None:
    paths = {entry.path: number for number, entry in lessons().items()}
    for words in page.commands():
        if words[0] == "python" and words[1] != "-m":
            fits(paths[words[1]], words[2:])
        elif words[:3] == ["python3", "learn.py", "run"]:
            (entry,) = manifest.matching(words[3])
            fits(entry.id.removeprefix("data/"), words[4:])
    for flag in re.findall(r"`(--from \d+)`", page.prose):
        fits("01", flag.split())


def fits(number: str, flags: list[str]) -> None:
    """SystemExit when the lesson doesn't know the flags."""
    parser = make_parser("", "")
    getattr(module_of(number), "options", lambda parser: None)(parser)
    assert parser.parse_args(flags).from_step <= len(titles(number))


@EACH
def test_compose_has_the_services_that_it_starts(page: Page) -> None:
    known = re.findall(r"^  (\w+):$", source_text("docker-compose.yml"), re.MULTILINE)
    for words in page.commands():
        if words[0] == "docker":
            assert words[1:4] == ["compose", "up", "-d"]
            assert set(words[4:]) - {"--wait"} <= set(known)


# --------------------------------------------------------------------------------- figures


@pytest.mark.parametrize(("phrase", "file", "evidence"), FIGURES)
def test_a_figure_is_what_the_course_says(phrase: str, file: str, evidence: str) -> None:
    assert any(phrase in " ".join(page.prose.split()) for page in PAGES), "no document says so"
    assert evidence in source_text(file)
    assert numbers(phrase) <= numbers(evidence)


@EACH
def test_no_figure_is_left_unchecked(page: Page) -> None:
    assert figures_left(page) == []


def test_measured_figures_are_the_same_in_all_documents() -> None:
    of_n, tiers = (table for table in COMPANION.tables() if "measured here" in table[0])
    ((by_cache, by_key),) = (table for table in PLAN.tables() if "measured here" in table[0])
    assert by_cache["measured here"].startswith(
        ", ".join(f"{row['measured here']} at n = {row['n']}" for row in of_n)
    )
    row = next(row for row in tiers if row["tier"] == "database, row by key")
    assert by_key["claimed"] == row["claimed"]
    assert by_key["measured here"].startswith(row["measured here"] + ":")
    source = source_text(lessons()["03"].path)
    for row in tiers:
        assert f'("{row["tier"]}", "{row["claimed"]}"' in source
