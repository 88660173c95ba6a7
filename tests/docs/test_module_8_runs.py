"""What Module 8's documents tell the reader to run is run: commands, programs, measurements."""

import asyncio
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
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

from course import connect
from course.cli import VERBS
from course.measure import seconds
from course.settings import ROOT, SERVICES
from course.shop.people import kind_of
from course.workspace import own_turn
from tests.docs.pages import COMPANION, PAGES, STUDY, module_of, numbers, run_blocks
from tests.support import run_python

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


def test_verbs_of_the_front_door(service: Callable[[str], str]) -> None:
    """Those that change nothing are run; `doctor`, `prefetch` and `reset` have their own tests."""
    for words in unique(w for page in PAGES for w in page.commands() if w[1] == "learn.py"):
        verb, *rest = words[2:]
        assert verb in VERBS
        if verb in ("up", "url", "status"):
            for name in set(rest) & set(SERVICES):
                service(name)
            ended = run_python("-m", "course", verb, *rest)
            assert ended.returncode == 0, ended.stderr
        elif verb != "run" and rest:
            assert set(rest) <= set(run_python("-m", "course", verb, "--help").stdout.split())


def unique(commands: Iterable[list[str]]) -> list[list[str]]:
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
    own = replace(from_environment(), name=f"{NAME}_api")
    with prepared(own) as ready, process.service(ready) as api:
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
