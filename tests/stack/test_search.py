"""Where a service is looked for: given, the usual port, embedded; nothing else is touched."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import psutil
import psycopg2
import pytest

from course.settings import SERVICES
from course.stack import greet
from course.stack.ports import any_free_port, is_free, listening
from tests.stack.private import FIND, PrivateStack

WHO = "vars(stack.who_answers('{}'))"
DEAD_URLS = {
    "postgres": ("DATABASE_URL", "postgresql://someone:s3cret@127.0.0.1:{}/shop"),
    "redis": ("REDIS_URL", "redis://:s3cret@127.0.0.1:{}/0"),
    "mongo": ("MONGO_URL", "mongodb://someone:s3cret@127.0.0.1:{}/shop"),
    "rabbitmq": ("RABBITMQ_URL", "amqp://someone:s3cret@127.0.0.1:{}/"),
}


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a program that accepts connections, is none of our services, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_given_url_that_is_dead_fails_plainly_and_nothing_else_is_tried(
    private_stack: Callable[..., PrivateStack],
) -> None:
    given = {name: url.format(any_free_port()) for name, url in DEAD_URLS.values()}
    stack = private_stack(**given)
    for service, error in stack.find(*SERVICES).items():
        name = DEAD_URLS[service][0]
        assert "does not answer at the address that was given" in error["text"]
        assert name in error["looked"] and f"unset {name}" in error["command"]
        assert "s3cret" not in error["text"]
    assert stack.processes() == []


def test_a_given_url_that_answers_is_used_and_never_stopped(
    private_stack: Callable[..., PrivateStack], shared_stack: PrivateStack
) -> None:
    urls = {name: it["url"] for name, it in shared_stack.find(*SERVICES).items()}
    stack = private_stack(**{DEAD_URLS[name][0]: url for name, url in urls.items()})
    found = stack.find(*SERVICES)
    assert {name: it["url"] for name, it in found.items()} == urls
    assert {it["source"] for it in found.values()} == {"given"}
    assert stack.down() == []
    assert all(listening(shared_stack.port(service)) for service in SERVICES)


def test_a_server_at_the_usual_address_that_accepts_us_is_used_and_never_stopped(
    private_stack: Callable[..., PrivateStack], shared_stack: PrivateStack
) -> None:
    ports = {f"{name.upper()}_PORT": str(shared_stack.port(name)) for name in SERVICES}
    stack = private_stack(**ports)
    found = stack.find(*SERVICES)
    assert {it["source"] for it in found.values()} == {"compose"}
    assert found["postgres"]["text"].startswith("PostgreSQL 18")
    assert found["postgres"]["url"] == shared_stack.find("postgres")["postgres"]["url"]
    assert stack.answer(WHO.format("rabbitmq"))["who"] == "compose"
    assert stack.down() == [] and not list(stack.folder.glob("*.json"))
    assert all(listening(shared_stack.port(service)) for service in SERVICES)


def test_a_foreign_postgres_on_the_usual_port_is_named_and_left_alone(
    private_stack: Callable[..., PrivateStack],
) -> None:
    foreign = private_stack(POSTGRES_USER="somebody", POSTGRES_PASSWORD="else")
    url = foreign.find("postgres")["postgres"]["url"]
    port = foreign.port("postgres")

    stack = private_stack(POSTGRES_PORT=str(port))
    ours = stack.find("postgres")["postgres"]
    assert ours["source"] == "embedded" and f":{port}/" not in ours["url"]
    answer = stack.answer(WHO.format("postgres"))
    assert answer["who"] == "refuses"
    words = f"another PostgreSQL answers on {port} and refuses the course's user"
    assert answer["text"] == words
    assert stack.down() == ["postgres"]
    psycopg2.connect(url).close()


@pytest.mark.parametrize("user", ["somebody", "admin"])
def test_a_rabbitmq_that_wants_another_user_refuses(
    shared_stack: PrivateStack, private_stack: Callable[..., PrivateStack], user: str
) -> None:
    port = str(shared_stack.port("rabbitmq"))
    stack = private_stack(RABBITMQ_PORT=port, RABBITMQ_USER=user, RABBITMQ_PASSWORD="else")
    answer = stack.answer(WHO.format("rabbitmq"))
    assert answer["who"] == "refuses" and answer["version"][0].isdigit()


def test_a_rabbitmq_that_is_slow_to_answer_has_not_refused_us() -> None:
    introduction = struct.pack("!HHBBI", 10, 10, 0, 9, 0) + b"\xce"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def introduce_itself() -> None:
            with server.accept()[0] as broker:
                broker.sendall(struct.pack("!BHI", 1, 0, 10) + introduction)
                while broker.recv(1_000):  # until the other side has had enough
                    pass

        busy = threading.Thread(target=introduce_itself)
        busy.start()
        greeting = greet.greet("rabbitmq", server.getsockname()[1], timeout=0.3)
        busy.join(30)
    assert greeting.kind == greet.STRANGER and "timed out" in greeting.problem


def test_a_usual_port_that_is_taken_means_another_port(
    private_stack: Callable[..., PrivateStack], stranger: int
) -> None:
    stack = private_stack(REDIS_PORT=str(stranger))
    assert stack.answer(WHO.format("redis"))["who"] == "stranger"
    first = stack.find("redis")["redis"]
    assert first["source"] == "embedded" and f":{stranger}/" not in first["url"]
    assert stack.find("redis")["redis"] == first


def test_nobody_on_the_usual_port(private_stack: Callable[..., PrivateStack]) -> None:
    stack = private_stack()
    for service in SERVICES:
        answer = stack.answer(WHO.format(service))
        assert answer["who"] == "nobody"
        assert answer["text"] == f"nobody answers on {stack.port(service)}"


def test_a_process_that_got_the_pid_of_our_server_is_neither_trusted_nor_stopped(
    private_stack: Callable[..., PrivateStack], stranger: int
) -> None:
    stack = private_stack()
    stack.find("redis")
    stack.kill("redis")
    innocent = psutil.Process()  # this very test, which listens on the stranger's port
    state = stack.state("redis") | {"pid": innocent.pid, "port": stranger}
    (stack.folder / "redis.json").write_text(json.dumps(state), encoding="utf-8")
    found = stack.find("redis")["redis"]
    assert found["source"] == "embedded" and stack.state("redis")["pid"] != innocent.pid
    assert stack.down() == ["redis"] and innocent.is_running()


def test_a_missing_python_package_is_named_with_its_remedy(
    private_stack: Callable[..., PrivateStack],
) -> None:
    missing = "import sys; sys.modules['fasteners'] = None\n"
    found = json.loads(private_stack().run(missing + FIND, "redis"))["found"]["redis"]
    assert "fasteners" in found["problem"]
    assert found["command"] == "pip install -r requirements.txt"


def test_a_port_counts_as_free_only_when_it_can_be_had(stranger: int) -> None:
    assert not is_free(stranger)
    assert is_free(any_free_port())
