"""Servers that were killed, starts broken off, files spoilt: all of it heals."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pika
import psycopg2
import pytest
import redis

from tests.stack.private import PrivateStack

pytestmark = pytest.mark.faults


def test_a_killed_postgres_comes_back_with_every_committed_row(shared_stack: PrivateStack) -> None:
    before = shared_stack.find("postgres")["postgres"]
    with psycopg2.connect(before["url"]) as session, session.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        cursor.execute("INSERT INTO kept VALUES (7)")
    session.close()
    shared_stack.kill("postgres")

    assert shared_stack.find("postgres")["postgres"] == before
    with psycopg2.connect(before["url"]) as session, session.cursor() as cursor:
        cursor.execute("SELECT max(number) FROM kept")
        assert cursor.fetchone() == (7,)
    session.close()


def test_a_killed_redis_comes_back_with_every_answered_write(shared_stack: PrivateStack) -> None:
    """Its log of writes is handed to the system before a write is answered (no power cut here)."""
    before = shared_stack.find("redis")["redis"]
    if "fakeredis" in before["detail"]:
        pytest.skip("fakeredis keeps nothing; a real Redis is not on this machine")
    with redis.Redis.from_url(before["url"]) as client:
        client.set("kept", "seven")
        shared_stack.kill("redis")
        assert shared_stack.find("redis")["redis"] == before
        assert client.get("kept") == b"seven"


def test_a_killed_mongo_comes_back(shared_stack: PrivateStack) -> None:
    before = shared_stack.find("mongo")
    shared_stack.kill("mongo")
    assert shared_stack.find("mongo") == before


def test_a_killed_rabbitmq_leaves_no_epmd_and_comes_back_with_every_confirmed_message(
    shared_stack: PrivateStack,
) -> None:
    before = shared_stack.find("rabbitmq")["rabbitmq"]
    parameters = pika.URLParameters(before["url"])
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.queue_declare("kept", durable=True)
    channel.confirm_delivery()
    for _ in range(20):
        lasting = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", "kept", b"seven", lasting, mandatory=True)
    connection.close()

    shared_stack.kill("rabbitmq")
    shared_stack.answer("stack.down(['rabbitmq'])")
    programs = {process.name() for process in shared_stack.processes()}
    assert programs.isdisjoint({"epmd", "beam.smp"})

    assert shared_stack.find("rabbitmq")["rabbitmq"] == before
    connection = pika.BlockingConnection(parameters)
    assert recovered(connection, "kept") == 20
    connection.channel().queue_delete("kept")
    connection.close()


def recovered(connection: pika.BlockingConnection, queue: str) -> int:
    """How many messages wait in a queue, once the broker has recovered it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return int(connection.channel().queue_declare(queue, passive=True).method.message_count)
        except pika.exceptions.ChannelClosedByBroker:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def test_a_start_that_was_broken_off_heals(
    private_stack: Callable[..., PrivateStack], rng: random.Random
) -> None:
    stack = private_stack()
    starting = stack.begin_finding("postgres", "redis")
    time.sleep(rng.uniform(0.1, 1.5))
    starting.kill()
    starting.communicate()
    found = stack.find("postgres", "redis")
    assert [it.get("source", it["text"]) for it in found.values()] == ["embedded", "embedded"]
    assert sorted(stack.down()) == ["postgres", "redis"]


@pytest.mark.parametrize("spoilt", ["", "{}", '{"service": "redis", "por', "null", "not json"])
def test_a_spoilt_state_file_heals_without_a_second_server(
    private_stack: Callable[..., PrivateStack], spoilt: str
) -> None:
    stack = private_stack()
    before = stack.find("redis")["redis"]
    (stack.folder / "redis.json").write_text(spoilt, encoding="utf-8")
    assert stack.find("redis")["redis"] == before
    assert len(stack.processes()) == 1


def test_a_lost_state_file_is_no_reason_to_leave_the_server_running(
    private_stack: Callable[..., PrivateStack],
) -> None:
    stack = private_stack()
    stack.find("redis")
    (stack.folder / "redis.json").unlink()
    assert stack.down() == ["redis"] and stack.processes() == []


def test_data_made_with_another_password_are_named_as_the_cause(
    private_stack: Callable[..., PrivateStack],
) -> None:
    stack = private_stack()
    stack.find("postgres")
    stack.down()
    error = stack.find("postgres", POSTGRES_PASSWORD="another")["postgres"]
    assert "made with another user or password" in error["problem"]
    assert stack.processes() == []


def test_a_server_that_cannot_start_says_the_end_of_its_log(
    private_stack: Callable[..., PrivateStack],
) -> None:
    stack = private_stack()
    stack.find("postgres")
    stack.down()
    settings: Path = stack.folder / "postgres" / "data" / "postgresql.auto.conf"
    settings.write_text("no_such_setting = 1\n", encoding="utf-8")
    error = stack.find("postgres")["postgres"]
    assert "PostgreSQL did not start" in error["text"] and "no_such_setting" in error["text"]
