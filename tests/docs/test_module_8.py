"""Module 8's documents are true: minutes, steps, commands, programs and figures."""

import asyncio
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import asyncpg
import pytest
from cachetools import LRUCache
from caching.workbench import typical
from pika.adapters.blocking_connection import BlockingChannel
from recommendations_api import process
from recommendations_api.prepare import prepared
from recommendations_api.settings import from_environment
from redis.asyncio import Redis
from shop_profile.crew import PATIENCE, until
from shop_profile.messages import Topology, declare, remove
from shop_profile.rabbit_kit import consumers, waiting

from course import connect, manifest
from course.cli import VERBS
from course.lesson import make_parser
from course.measure import seconds
from course.settings import ROOT, SERVICES
from course.shop.people import kind_of
from course.workspace import own_turn
from tests.docs.figures import FIGURES, figures_left, source_text
from tests.docs.pages import (
    STEPS,
    Page,
    lessons,
    module_of,
    numbers,
    run_blocks,
    spread,
    titles,
)
from tests.smoke.transcripts import replace_figures
from tests.support import run_python

STUDY, COMPANION, PLAN = (
    Page(f"{name}.md") for name in ("STUDY_GUIDE", "COMPANION_GUIDE", "DETAILED_LESSON_PLAN")
)
PAGES = (STUDY, COMPANION, PLAN)
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
MINUTES = re.compile(r"\((\d+) minutes\)")
NAME = "module_8_documents"
API = "Integration: the API"
ANSWERS = "Can you write it?"
THEMES = [title for title in COMPANION.headings(2) if title.startswith("Theme")]
LETTERS, RISKY = Topology("try.", "letters"), Topology("try.", "risky", delivery_limit=1)
TIMES = 10.0  # that a measured time may differ from the one in a document, either way


@pytest.fixture
def turn() -> Iterator[None]:
    """The documents' programs have names of their own, for one run at a time."""
    with own_turn(NAME):
        yield


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
    parts = {title.split()[0] for title in COMPANION.headings(3)} | {"Integration"}
    named = re.findall(r"companion(?: guide's)? ((?:\d\.\d|Integration)(?:(?: and | to )\d\.\d)*)",
                       page.prose)  # fmt: skip
    assert {part for words in named for part in re.split(" and | to ", words)} <= parts
    tasks = re.findall(r"tasks? (\d)(?: and (\d))?", page.prose)
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
def test_verbs_of_the_front_door(page: Page, service: Callable[[str], str]) -> None:
    """Those that change nothing are run; `doctor`, `prefetch` and `reset` have their own tests."""
    for words in unique(words for words in page.commands() if words[1] == "learn.py"):
        verb, *rest = words[2:]
        assert verb in VERBS
        if verb in ("up", "url", "status"):
            for name in set(rest) & set(SERVICES):
                service(name)
            ended = run_python("-m", "course", verb, *rest)
            assert ended.returncode == 0, ended.stderr
        elif verb != "run" and rest:
            assert set(rest) <= set(run_python("-m", "course", verb, "--help").stdout.split())


@EACH
def test_compose_has_the_services_that_it_starts(page: Page) -> None:
    known = re.findall(r"^  (\w+):$", source_text("docker-compose.yml"), re.MULTILINE)
    for words in page.commands():
        if words[0] == "docker":
            assert words[1:4] == ["compose", "up", "-d"]
            assert set(words[4:]) - {"--wait"} <= set(known)


def unique(commands: Iterator[list[str]]) -> list[list[str]]:
    return [list(words) for words in dict.fromkeys(tuple(words) for words in commands)]


def workers() -> list[list[str]]:
    """The commands of the companion guide for two terminals."""
    module = ["python", "-m", "shop_profile.workers"]
    return unique(words for words in COMPANION.commands() if words[:3] == module)


def test_the_two_terminals(turn: None, service: Callable[[str], str]) -> None:
    service("rabbitmq")
    consume, publish, *_ = workers()
    (block,) = (block for block in COMPANION.blocks() if block.kind == "text")
    with empty_queues() as channel, begun(consume) as consumer:
        until(lambda: consumers(channel, LETTERS.work) == 1)
        said = run_python(*publish[1:])
        assert said.stdout.split("\n")[:-1] == [
            f"published user.created of user {user}" for user in (1, 2, 3)
        ]
        heard = [consumer.stdout.readline() for _ in block.text.splitlines()]
    assert "".join(heard) == block.text


def test_the_dead_letter(turn: None, service: Callable[[str], str]) -> None:
    service("rabbitmq")
    _, publish, risky, dead, replay = workers()
    with empty_queues() as channel:
        with begun(risky) as consumer:
            until(lambda: consumers(channel, RISKY.work) == 1)
            assert run_python(*publish[1:]).returncode == 0
            assert consumer.wait(PATIENCE) == 1
        assert run_python(*risky[1:]).returncode == 1, "the second start dies, too"
        with begun(risky) as consumer:
            while "done 3" not in consumer.stdout.readline():
                assert consumer.poll() is None, "the third start lives"
        said = run_python(*dead[1:]).stdout
        assert said.startswith("attempt 1, delivery_limit: ")
        assert '"user_id": 2' in said
        assert run_python(*replay[1:]).stdout == "replayed: 1\n"
        assert waiting(channel, RISKY.work) == 1


@contextmanager
def empty_queues() -> Iterator[BlockingChannel]:
    """A channel; the queues of both parts are there, empty, and gone afterwards."""
    with connect.rabbitmq() as broker:
        channel = broker.channel()
        try:
            for topology in (LETTERS, RISKY):
                remove(broker.channel(), topology)
            for topology in (LETTERS, RISKY):
                declare(channel, topology)
            yield channel
        finally:
            for topology in (LETTERS, RISKY):
                remove(broker.channel(), topology)


@contextmanager
def begun(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on, ended with the block."""
    command = [sys.executable, *words[1:]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.terminate()


def test_requests_to_the_api(turn: None, service: Callable[[str], str]) -> None:
    for name in SERVICES:
        service(name)
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not on this machine")
    asked = [words for words in COMPANION.commands() if words[0] == "curl"]
    with prepared(replace(from_environment(), name=NAME)) as ready, process.service(ready) as api:
        said = []
        for words in asked:
            line = [word.replace("$BASE", api.url) for word in words[1:]]
            ended = subprocess.run([curl, *line, "-w", "\n%{http_code}"], capture_output=True,
                                   check=True, encoding="utf-8", timeout=60)  # fmt: skip
            said.append(ended.stdout.rpartition("\n"))
    assert [status for _, _, status in said] == ["200", "200", "200", "401", "404", "422", "200"]
    first, second = (json.loads(body) for body, _, _ in said[1:3])
    assert (first.pop("served_from"), second.pop("served_from")) == ("database", "redis")
    assert first == second
    fields = {code for row in COMPANION.tables(COMPANION.section(API))[0]
              for code in re.findall(r"`(\w+)`", row["field"])}  # fmt: skip
    assert fields - {"served_from"} == set(first)


KINDS = (
    *(("python", entry.path) for entry in lessons().values()),
    ("python", "-m", "shop_profile.workers"),
    ("python3", "learn.py"),
    ("docker", "compose"),
    ("curl", "-s"),
    ("source", ".venv/bin/activate"),
)


# -------------------------------------------------------------------------------- programs


@pytest.mark.parametrize("theme", THEMES)
def test_the_companions_programs_print_what_it_says(
    theme: str, turn: None, service: Callable[[str], str]
) -> None:
    for name in {"1": ["postgres"], "2": ["postgres", "mongo"], "3": ["postgres", "redis"]}.get(
        theme.split()[1].rstrip(":"), ["postgres"]
    ):
        service(name)
    _, said = run_blocks(COMPANION, theme)
    assert bool(said) != theme.startswith("Theme 4"), "that one has two terminals instead"
    for block, printed in said:
        assert block.prints == printed, f"docs/{COMPANION.name}, line {block.line}"


def test_the_eight_answers_run_and_are_right(turn: None, service: Callable[[str], str]) -> None:
    for name in ("postgres", "mongo", "rabbitmq"):
        service(name)
    names, said = run_blocks(STUDY, ANSWERS)
    assert len(said) == 8
    for block, printed in said:
        assert block.prints == printed, f"docs/{STUDY.name}, line {block.line}"
    acts_like_cachetools(names["LRU"])
    lesson = module_of("05")
    for days in range(0, 400, 7):
        for orders in (0, 1, 5):
            assert names["churn_risk"](days, orders) == lesson.risk_by_hand(days, orders)
            for registered in (days, days + 500):
                customer = (days, orders, 16 * orders, registered)
                assert names["segment"](*customer) == lesson.segment(*customer)
    customers = lesson.frames.read_shop().customers
    right = sum(
        names["segment"](c.recency, c.orders, c.last_year, c.registered) == kind_of(c.Index)
        for c in customers.itertuples()
    )
    assert right >= 0.99 * len(customers)


def acts_like_cachetools(own: type) -> None:
    """The same values after the same use, at several sizes."""
    chance = random.Random(8)
    for size in (1, 2, 5):
        ours, theirs = own(size), LRUCache(size)
        for value in range(500):
            key = chance.randrange(8)
            if chance.random() < 0.5:
                ours.put(key, value)
                theirs[key] = value
            else:
                assert ours.get(key) == theirs.get(key)
            assert set(ours.values) == set(theirs)


def test_each_task_leads_to_a_step_of_its_lesson() -> None:
    for heading in STUDY.headings(3):
        if re.match(r"\d\. ", heading):
            ((number, _, path),) = re.findall(
                r"\[`data/(\d\d)` step (\d+)\]\(\.\./([^)]+)\)", STUDY.section(heading)
            )
            assert path == lessons()[number].path


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


@pytest.mark.alone
def test_measured_figures_are_near_what_is_measured_now(service: Callable[[str], str]) -> None:
    of_n, tiers = (table for table in COMPANION.tables() if "measured here" in table[0])
    lesson = module_of("03")
    for row in of_n:
        n, fast = int(row["n"]), []
        slow = min(seconds(partial(lesson.plain_fibonacci, n)) for _ in range(5))
        for _ in range(20):
            lesson.fibonacci.cache_clear()
            fast.append(seconds(partial(lesson.fibonacci, n)))
        (said,) = numbers(row["measured here"])
        assert said / 3 < slow / min(fast) < said * 3, row
    now = asyncio.run(times_by_tier(service("redis"), service("postgres"), lesson.REPORT))
    for row in tiers:
        (said,) = numbers(row["measured here"])
        assert said / TIMES < now[row["tier"]] < said * TIMES, (row, now)


async def times_by_tier(redis_url: str, postgres_url: str, report: str) -> dict[str, float]:
    """Median milliseconds of each tier."""
    memory = {5: "a name"}
    async with Redis.from_url(redis_url) as redis, asyncpg.create_pool(postgres_url) as pool:
        by_key = "SELECT name FROM customers WHERE customer_id = $1"
        return {
            "memory": statistics.median(
                seconds(partial(memory.get, 5), 20_000) / 20 for _ in range(5)
            ),
            "Redis": await typical(partial(redis.get, NAME), 300),
            "database, row by key": await typical(partial(pool.fetchval, by_key, 5), 300),
            "database, report": await typical(partial(pool.fetch, report), 9),
        }
