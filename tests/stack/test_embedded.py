"""Embedded servers: cold and warm, several at once, and gone without a trace."""

import json
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
import redis

from course.settings import SERVICES
from tests.stack.private import FIND, PrivateStack


def test_two_processes_at_once_start_each_server_once(
    cold_start: tuple[PrivateStack, list[dict[str, Any]]],
) -> None:
    stack, answers = cold_start  # the pipes of both have ended: no server inherited one
    assert answers[0]["found"] == answers[1]["found"]
    assert {it["source"] for it in answers[0]["found"].values()} == {"embedded"}
    programs = [process.name() for process in stack.processes()]
    assert all(programs.count(name) <= 1 for name in ("beam.smp", "epmd", "redis-server"))
    slowest = max(answer["seconds"] for answer in answers)
    print(f"cold start of all four, by two processes at once: {slowest:.1f} s")


@pytest.mark.alone
def test_a_warm_stack_answers_the_same_in_milliseconds(shared_stack: PrivateStack) -> None:
    answers = [json.loads(shared_stack.run(FIND, *SERVICES)) for _ in range(5)]
    assert all(answer["found"] == answers[0]["found"] for answer in answers)
    assert min(answer["seconds"] for answer in answers) < 0.3  # about 0.05 on an idle machine


def test_servers_take_their_usual_ports_and_say_what_they_are(shared_stack: PrivateStack) -> None:
    found = shared_stack.find(*SERVICES)
    for service, endpoint in found.items():
        assert endpoint["text"].endswith(f"embedded at 127.0.0.1:{shared_stack.port(service)}")
        assert "admin123" not in endpoint["text"]
    assert found["postgres"]["text"].startswith("PostgreSQL 18")
    assert found["rabbitmq"]["text"].startswith("RabbitMQ ")
    assert "mongomock" in found["mongo"]["detail"]


def test_status_tells_what_runs_and_starts_nothing(
    private_stack: Callable[..., PrivateStack], shared_stack: PrivateStack
) -> None:
    rows = "[[name, str(it), text] for name, it, text in stack.status()]"
    assert all("started" in text for _, _, text in shared_stack.answer(rows))

    idle = private_stack()
    assert [it for _, it, _ in idle.answer(rows)] == ["None"] * len(SERVICES)
    assert not idle.folder.exists()
    assert idle.down() == []


def test_postgres_is_the_same_everywhere(shared_stack: PrivateStack) -> None:
    session = psycopg2.connect(shared_stack.find("postgres")["postgres"]["url"])
    with session, session.cursor() as cursor:
        cursor.execute("""
            SELECT current_setting('server_encoding'), current_setting('TimeZone'),
                   current_setting('password_encryption'), current_setting('listen_addresses'),
                   current_setting('fsync'), current_database(), upper('київ'),
                   (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
        """)
        row = cursor.fetchone()
    session.close()
    expected = ("UTF8", "UTC", "scram-sha-256", "127.0.0.1", "on", "learning_db", "КИЇВ", True)
    assert row == expected


def test_psql_is_there_and_logs_are_written(shared_stack: PrivateStack) -> None:
    assert shared_stack.answer("stack.psql_path().exists()") is True
    logs = shared_stack.answer(f"[str(stack.logs(service)) for service in {SERVICES}]")
    assert all(log.startswith(str(shared_stack.folder)) for log in logs)


def test_without_a_real_redis_an_imitation_serves_and_says_so(
    private_stack: Callable[..., PrivateStack],
) -> None:
    stack = private_stack()
    no_redis = "from course.stack import redis; redis.redis_server = lambda: None\n"
    endpoint = json.loads(stack.run(no_redis + FIND, "redis"))["found"]["redis"]
    assert "not a real Redis" in endpoint["text"]
    with redis.Redis.from_url(endpoint["url"], decode_responses=True) as client:
        client.set("word", "київ")
        assert client.get("word") == "київ"
        assert stack.down() == ["redis"]  # an open connection does not keep it alive


def test_reset_data_stops_one_server_and_forgets_its_data(
    private_stack: Callable[..., PrivateStack],
) -> None:
    stack = private_stack()
    stack.find("redis", "mongo")
    assert stack.answer("stack.reset_data('redis')") is True
    assert not (stack.folder / "redis").exists()
    assert stack.answer("stack.reset_data('redis')") is False
    assert stack.down() == ["mongo"]
