"""The lesson on messaging: every part by itself, its words against the package, and as a script."""

import argparse
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing

import pika
import pytest
from shop_profile import inbox, workers
from shop_profile.consuming import Message
from shop_profile.crew import Crew
from shop_profile.messages import Event, Topology, publish
from shop_profile.rabbit_kit import queues, waiting

from course.console import Console
from course.lesson import Lesson
from course.settings import ROOT
from course.workspace import own_schema
from tests.support import load_lesson, one_part, run_python

PATH = "advanced_examples/data_services/04_rabbitmq_messaging.py"
lesson = load_lesson(PATH)
GROUPS = ("emails", "recommendations", "analytics", "confirmed", "acks", "shared", "mails", "risky",
          "naive", "careful", "new_users", "films", "last", "ask", "probe")  # fmt: skip
TRY = Topology("test_04_try.", "emails", ("user.created",))
MODULE = ("-m", "shop_profile.workers")


@pytest.fixture
def tables(service: Callable[[str], str]) -> Iterator[str]:
    """The lesson's tables, and the URL of the broker."""
    url = service("rabbitmq")
    service("postgres")
    with own_schema(lesson.SCHEMA, lesson.TABLES):
        yield url


@pytest.mark.parametrize("part", lesson.PARTS, ids=lambda part: part.__name__)
def test_every_part_stands_alone_and_leaves_nothing(tables: str, part: Callable) -> None:
    teller = Lesson(Console(), argparse.Namespace(fast=True, step=False, from_step=1))
    try:
        teller.step(part, teller)
    finally:
        teller.close()
    assert teller.claims
    assert [claim for claim, holds in teller.claims if not holds] == []
    assert left_behind(tables) == []


def test_the_lessons_consumer_and_the_packages_agree(tables: str) -> None:
    """One event a transaction in the lesson, a hundred in the package: the same points."""
    events = [Event("user.created", user) for user in (1, 2, 2, 3)]
    delivered = [*events, events[1], events[3]]
    states = []
    with closing(lesson.open_database()) as database:
        for event in delivered:
            lesson.reward_once(database, event)
        states.append(lesson.points(database))
        with database, database.cursor() as cursor:
            cursor.execute("TRUNCATE points, processed_events")
            batch = [Message(event, 1, 0) for event in delivered]
            users = [message.event.user_id for message in inbox.claim(cursor, "points", batch)]
            cursor.execute(workers.REWARD, (workers.BONUS, users))
        states.append(lesson.points(database))
    assert states == [{1: 10, 2: 20, 3: 10}] * 2


def left_behind(url: str) -> list[str]:
    """Queues and exchanges of the lesson that are still there."""
    found = []
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for name in GROUPS:
            channel = connection.channel()
            try:
                channel.queue_declare(f"{lesson.PREFIX}{name}", passive=True)
                found.append(name)
            except pika.exceptions.ChannelClosedByBroker:
                continue
    return found


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
@pytest.mark.parametrize("step", [1, 10])
def test_ctrl_c_ends_it_cleanly(service: Callable[[str], str], step: int) -> None:
    service("postgres")
    url = service("rabbitmq")
    command, pipe = one_part(PATH, step, "--fast"), subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout
        while not process.stdout.readline().startswith("1  "):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"
    assert left_behind(url) == []


@pytest.mark.parametrize("program", [(ROOT / PATH,), (*MODULE, "consume", "emails")])
def test_without_the_broker_it_says_so_and_ends_with_69(program: tuple) -> None:
    result = run_python(*program, RABBITMQ_URL="amqp://a:b@127.0.0.1:9/")
    assert result.returncode == 69
    assert "Traceback" not in result.stderr


def test_two_terminals(service: Callable[[str], str]) -> None:
    """Consumer first, publisher second; off a terminal the consumer ends by itself."""
    service("rabbitmq")
    prefix = ("--prefix", TRY.prefix)
    with queues(TRY) as channel, Crew() as crew:
        consumer = crew.start("consume", "emails", *prefix, "--keys", *TRY.keys, "--idle", 1)
        done = run_python(*MODULE, "publish", "user.created", *prefix, "--count", "3")
        assert done.stdout.count("published user.created") == 3
        assert crew.hear("done", 3)[-1] == "worker: done 3"
        assert consumer.wait(20) == 0
        channel.basic_publish("", TRY.dead, b"{nonsense")
        letters = run_python(*MODULE, "dead", "emails", *prefix)
        assert letters.stdout == "attempt 1, unknown: {nonsense\n"
        assert run_python(*MODULE, "replay", "emails", *prefix).stdout == "replayed: 1\n"
        assert waiting(channel, TRY.work) == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["publish", "order.created"], 1, "No queue wants order.created: start a consumer first."),
        (["consume", "emails", "--limit", "3"], 1, "PRECONDITION_FAILED"),
        (["consume"], 2, "required: queue"),
        (["dance"], 2, "invalid choice"),
    ],
)
def test_mistakes_get_one_plain_sentence(
    service: Callable[[str], str], words: list[str], code: int, says: str
) -> None:
    service("rabbitmq")
    with queues(TRY):
        result = run_python(*MODULE, *words, *(["--prefix", TRY.prefix] if len(words) > 1 else []))
    assert result.returncode == code
    assert says in result.stderr and "Traceback" not in result.stderr


def test_a_killed_lesson_leaves_workers_that_end_by_themselves(
    service: Callable[[str], str],
) -> None:
    """Nobody is there to stop them: without a terminal they go when nothing comes."""
    service("rabbitmq")
    with queues(TRY) as channel, Crew() as crew:
        publish(channel, TRY.exchange, Event("user.created", 1))
        orphan = crew.consume(TRY, "w", "--idle", 0.3)
        crew.hear("w: ended")
        assert orphan.wait(10) == 0
