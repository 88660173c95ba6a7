"""The lesson as a program: interrupted, without a service, piped, and what it leaves behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import psutil
import pytest
from observability.data_parts import PAGE
from observability.orders import Namespace
from pika.exceptions import ChannelClosedByBroker

from course import connect
from course.settings import ROOT
from tests.support import load_lesson, run_python, told_without_a_service

PATH = "advanced_examples/monitoring/04_observability.py"
lesson = load_lesson(PATH)


def test_without_rabbitmq_it_says_so() -> None:
    assert "RabbitMQ" in told_without_a_service(lesson, RABBITMQ_URL="amqp://a:b@127.0.0.1:9/")


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_ends_it_and_its_services(service: Callable[[str], str]) -> None:
    service("postgres")
    service("rabbitmq")
    pipe = subprocess.PIPE
    command = [sys.executable, "-u", str(ROOT / PATH)]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, encoding="utf-8") as process:
        assert process.stdout
        while not process.stdout.readline().startswith("5  "):
            assert process.poll() is None
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"
    assert len(children) >= 1 and not any(child.is_running() for child in children)
    assert_nothing_is_left()


def assert_nothing_is_left() -> None:
    with closing(connect.postgres()) as database, database.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (lesson.NAME,))
        assert cursor.fetchall() == []
    with connect.rabbitmq() as broker, pytest.raises(ChannelClosedByBroker, match="NOT_FOUND"):
        broker.channel().queue_declare(Namespace(lesson.NAME).queue, passive=True)


def test_from_another_directory_with_a_step_to_begin_with(
    service: Callable[[str], str], tmp_path: os.PathLike[str]
) -> None:
    service("postgres")
    service("rabbitmq")
    PAGE.unlink(missing_ok=True)
    command = [sys.executable, "-W", "error::ResourceWarning", str(ROOT / PATH)]
    result = subprocess.run(
        [*command, "--fast", "--from", "12"], cwd=tmp_path, capture_output=True, encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    assert "Four kinds of metrics" not in result.stdout
    assert PAGE.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert_nothing_is_left()


def test_a_service_that_is_left_alone_ends(service: Callable[[str], str]) -> None:
    """The intake ends when the program that started it is gone: its input ends with it."""
    service("rabbitmq")
    said = run_python("-m", "observability", "intake", "--end-with-input")
    assert said.returncode == 0, said.stderr
    assert "listens on http://127.0.0.1:" in said.stdout
