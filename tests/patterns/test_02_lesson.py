"""The lesson as people run it: each part alone, twice at once, interrupted, without a server."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from customer_service import RepositoryFactory

from course import connect
from course.console import Console
from course.lesson import Lesson
from course.settings import ROOT
from course.workspace import own_schema, own_turn
from tests.support import load_lesson, run_when_its_turn_comes, told_without_a_service

PATH = "advanced_examples/patterns/02_repository_pattern.py"
lesson_02 = load_lesson(PATH)


@pytest.fixture
def services(service: Callable[[str], str]) -> None:
    service("postgres")
    service("mongo")


@pytest.fixture
def teller(services: None) -> Iterator[Lesson]:
    teller = Lesson(Console(), argparse.Namespace(fast=True, step=False, from_step=1))
    with own_turn(lesson_02.SCHEMA), own_schema(lesson_02.SCHEMA, lesson_02.TABLES):
        yield teller
    teller.close()


@pytest.mark.parametrize("part", lesson_02.PARTS, ids=lambda part: part.__name__)
def test_every_part_stands_alone(teller: Lesson, part: Callable) -> None:
    teller.step(part, teller)
    assert teller.claims
    assert [claim for claim, holds in teller.claims if not holds] == []


def test_the_factory_is_left_as_it_was() -> None:
    assert set(RepositoryFactory.engines) == {"memory", "postgres", "mongo", "duckdb"}


def left_behind() -> list[str]:
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'patterns_02%%'")
        schemas = [name for (name,) in cursor]
    with closing(connect.mongo().client) as client:
        names = client.get_default_database("learning_db").list_collection_names()
    return schemas + [name for name in names if name.startswith("patterns_02")]


def test_it_waits_for_its_turn_and_leaves_nothing_behind(services: None) -> None:
    run_when_its_turn_comes(own_turn(lesson_02.SCHEMA), ROOT / PATH, "--fast")
    assert left_behind() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_ends_it_cleanly(services: None) -> None:
    """In step 6, while two other processes register."""
    pipe = subprocess.PIPE
    command = [sys.executable, str(ROOT / PATH)]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        while not process.stdout.readline().startswith("    registered"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"
    assert left_behind() == []


def test_without_a_server_it_says_so_and_ends_with_69() -> None:
    assert "MongoDB" in told_without_a_service(lesson_02, MONGO_URL="mongodb://127.0.0.1:9/nowhere")
