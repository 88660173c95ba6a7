"""The lesson on the recommendations API as a script: its story, --serve, Ctrl-C, nothing left."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import httpx
import psutil
import psycopg2
import pymongo
import pytest
import redis

from course.settings import ROOT
from course.workspace import own_turn
from tests.support import load_lesson, told_without_a_service

PATH = "advanced_examples/data_services/06_recommendations_api.py"
NO_STORY = f"""
from course.lesson import run
from tests.support import load_lesson
lesson = load_lesson({PATH!r})
lesson.STORY = ()
run(lesson.main, lesson.options)
"""


@pytest.fixture
def urls(service: Callable[[str], str]) -> dict[str, str]:
    return {name: service(name) for name in ("postgres", "redis", "mongo", "rabbitmq")}


def left_behind(urls: dict[str, str]) -> list[object]:
    """What the lesson's name can be found on, in all stores and among the processes."""
    left: list[object] = []
    with psycopg2.connect(urls["postgres"]) as database, database.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname = 'data_06'")
        left += cursor.fetchall()
    database.close()
    with redis.Redis.from_url(urls["redis"]) as client:
        left += client.keys("data_06:*")
    with pymongo.MongoClient(urls["mongo"]) as mongo:
        names = mongo.get_default_database("learning_db").list_collection_names()
        left += [name for name in names if name.startswith("data_06_")]
    return left + [one for one in psutil.process_iter() if is_of_the_lesson(one)]


def is_of_the_lesson(process: psutil.Process) -> bool:
    """A service or a consumer that works under the lesson's name."""
    try:
        return process.environ().get("RECOMMENDATIONS_NAME") == "data_06"
    except psutil.Error:
        return False


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_it_stays_up_until_ctrl_c_and_leaves_nothing(urls: dict[str, str]) -> None:
    """Without its story, which the smoke tests hear twice."""
    command, pipe = [sys.executable, "-c", NO_STORY, "--fast", "--serve"], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as lesson:
        assert lesson.stdout
        said = ""
        while "Ctrl-C ends the service" not in said:
            line = lesson.stdout.readline()
            assert line, said
            said += line
        page = re.search(r"The page: (http://\S+?)/#user=123&key=(\S+)", said)
        assert page
        headers = {"X-API-Key": page[2]}
        route = "/api/users/123/personalized-recommendations"
        assert httpx.get(page[1] + route, headers=headers).status_code == 200
        lesson.send_signal(signal.SIGINT)
        _, errors = lesson.communicate(timeout=60)
    assert lesson.returncode == 130 and errors == "Stopped by Ctrl-C.\n"
    with own_turn("data_06"):  # so that what is there is not another run's
        assert left_behind(urls) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_while_it_prepares_leaves_nothing(urls: dict[str, str]) -> None:
    command = [sys.executable, "-u", str(ROOT / PATH), "--fast"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as lesson:
        assert lesson.stdout
        while "Preparing" not in lesson.stdout.readline():
            assert lesson.poll() is None
        lesson.send_signal(signal.SIGINT)
        _, errors = lesson.communicate(timeout=60)
    assert lesson.returncode == 130 and errors == "Stopped by Ctrl-C.\n"
    with own_turn("data_06"):  # so that what is there is not another run's
        assert left_behind(urls) == []


def test_without_a_service_it_says_so_and_ends_with_69() -> None:
    assert "Redis" in told_without_a_service(load_lesson(PATH), REDIS_URL="redis://127.0.0.1:9/0")
