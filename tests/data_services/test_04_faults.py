"""Consumers, broker and database killed with -9 in mid-flow: nothing lost, every effect once.

By the oracle for queues: lost = confirmed − delivered is empty, unexpected = delivered − attempted
is empty, and the effect in the database is exactly one. One private stack serves the module.
"""

import asyncio
import random
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import aio_pika
import pika
import psycopg2
import pytest
from aio_pika.exceptions import AMQPError
from shop_profile import workers
from shop_profile.crew import Crew, Process, until
from shop_profile.messages import Event, Topology, declare, open_channel, publish_async
from shop_profile.rabbit_kit import waiting

from tests.stack.private import PrivateStack

pytestmark = pytest.mark.faults

SCHEMA = "faults"
UNSURE = (AMQPError, TimeoutError, ConnectionError, RuntimeError)  # of a broker that dies
FLOW, FLOOD, UNDER_WAY = 150, 800, 300
IDLE = 0.6  # seconds without a message after which a consumer has drained the queue


@dataclass
class Scene:
    """A stack that may be killed, a consumer group on it, and the events sent so far."""

    stack: PrivateStack
    urls: dict[str, str]
    topology: Topology
    attempted: dict[str, Event] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)

    def connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.URLParameters(self.urls["RABBITMQ_URL"]))

    def query(self, sql: str) -> list[tuple]:
        with closing(psycopg2.connect(self.urls["DATABASE_URL"])) as database:
            database.autocommit = True
            with database.cursor() as cursor:
                cursor.execute(f"SET search_path = {SCHEMA}; {sql}")
                return cursor.fetchall() if cursor.description else []

    def left(self) -> dict[str, int]:
        """How many messages each of the group's queues holds."""
        with self.connect() as connection:
            channel = connection.channel()
            return {name: waiting(channel, name) for name in self.topology.queues()}

    async def send_until_confirmed(self, events: list[Event]) -> None:
        """Publish again, with the same id, whatever was refused or not answered."""
        async with asyncio.timeout(60):
            while left := [event for event in events if event.event_id not in self.confirmed]:
                await self.send(left)

    async def send(self, events: list[Event], kill_after: int | None = None) -> None:
        """Publish all at once; kill the broker when so many are confirmed."""
        connection = await aio_pika.connect(self.urls["RABBITMQ_URL"])
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange(self.topology.exchange, ensure=False)
        places, enough = asyncio.Semaphore(UNDER_WAY), asyncio.Event()

        async def send_one(event: Event) -> None:
            async with places:
                self.attempted[event.event_id] = event
                await publish_async(exchange, event)
                self.confirmed.add(event.event_id)
                if kill_after is not None and len(self.confirmed) >= kill_after:
                    enough.set()

        async def strike() -> None:
            await enough.wait()
            await asyncio.to_thread(self.stack.kill, "rabbitmq")

        work = [send_one(event) for event in events] + ([strike()] if kill_after else [])
        for result in await asyncio.gather(*work, return_exceptions=True):
            if result is not None and not isinstance(result, UNSURE):
                raise result
        if not connection.is_closed:
            await connection.close()

    def consume(self, crew: Crew, name: str, batch: int, *options: object) -> Process:
        own = ("--schema", SCHEMA, "--batch", batch)
        return crew.consume(self.topology, name, *own, *options)

    def judge(self) -> None:
        """The oracle, after a full drain."""
        assert set(self.left().values()) == {0}
        delivered = {row[0] for row in self.query("SELECT event_id::text FROM processed_events")}
        assert self.confirmed - delivered == set(), "lost"
        assert delivered - set(self.attempted) == set(), "unexpected"
        users = Counter(self.attempted[event_id].user_id for event_id in delivered)
        points = dict(self.query("SELECT user_id, points FROM points"))
        assert points == {user: workers.BONUS * count for user, count in users.items()}


@pytest.fixture(scope="module")
def stack() -> Iterator[tuple[PrivateStack, dict[str, str]]]:
    # Quorum queues of RabbitMQ 3.10 break when their folder's path has letters beyond Latin-1.
    stack = PrivateStack(Path(tempfile.mkdtemp(prefix="stack of messages ")).resolve() / "course")
    try:
        found = stack.find("rabbitmq", "postgres")
        if "url" not in found["rabbitmq"]:
            pytest.skip(found["rabbitmq"]["text"])
        urls = {name: found[it]["url"] for name, it in
                (("RABBITMQ_URL", "rabbitmq"), ("DATABASE_URL", "postgres"))}  # fmt: skip
        yield stack, urls
    finally:
        stack.close()


@pytest.fixture
def scene(stack: tuple[PrivateStack, dict[str, str]]) -> Scene:
    """A fresh schema and empty queues on the module's stack."""
    stack[0].find("rabbitmq", "postgres")  # a test that failed may have left one dead
    prefix = f"faults.{uuid.uuid4().hex}."
    scene = Scene(*stack, Topology(prefix, "rewards", delays=(0.1,), delivery_limit=20))
    scene.query(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}; {workers.TABLES}")
    with scene.connect() as connection:
        declare(open_channel(connection), scene.topology)
    return scene


def some_events(rng: random.Random, count: int) -> list[Event]:
    """Events of a few users, a fifth of them twice or more, in no order at all."""
    events = [Event("user.created", rng.randrange(20)) for _ in range(count)]
    events += rng.choices(events, k=count // 5)
    rng.shuffle(events)
    return events


def kill(process: Process) -> None:
    process.kill()
    assert process.wait() in (-9, 1)


def drain(scene: Scene, crew: Crew, rng: random.Random) -> None:
    """Two healthy consumers side by side, until nothing comes any more."""
    last = [scene.consume(crew, name, rng.randint(2, 100), "--idle", IDLE) for name in "xy"]
    assert [process.wait(60) for process in last] == [0, 0]


def test_consumers_killed_at_the_worst_moments(scene: Scene, rng: random.Random) -> None:
    """Before the commit, after it and before the ack, in mid-batch, and at any time."""
    asyncio.run(scene.send_until_confirmed(some_events(rng, FLOW)))
    with Crew(**scene.urls) as crew:
        doomed = {
            moment: scene.consume(crew, moment, rng.randint(2, 20), "--hang", moment)
            for moment in rng.sample(workers.HANGS, len(workers.HANGS))
        }
        last = scene.consume(crew, "any time", rng.randint(2, 20), "--seconds", 0.01)
        while doomed:
            # One that is in its transaction makes those with the same ids wait: kill it at once.
            (line,) = crew.hear("hangs")
            kill(doomed.pop(line.split()[-1]))
        kill(last)
        drain(scene, crew, rng)
    scene.judge()


def test_postgres_killed_while_a_consumer_works(scene: Scene, rng: random.Random) -> None:
    asyncio.run(scene.send_until_confirmed(some_events(rng, FLOW)))
    with Crew(**scene.urls) as crew:
        worker = scene.consume(crew, "w", rng.randint(2, 20), "--seconds", 0.002, "--idle", IDLE)
        crew.hear("of user", rng.randint(1, FLOW // 2))
        scene.stack.kill("postgres")
        crew.hear("coming back")
        scene.stack.find("postgres")
        assert worker.wait(60) == 0
        crew.hear("w: ended")
    scene.judge()


def test_broker_killed_with_confirms_outstanding(scene: Scene, rng: random.Random) -> None:
    """What was confirmed is there; the rest is sent again with its ids, as an outbox does."""
    events = some_events(rng, FLOOD)
    with Crew(**scene.urls) as crew:
        scene.consume(crew, "w", rng.randint(2, 50))
        asyncio.run(scene.send_until_confirmed([Event("user.created", 0)]))
        crew.hear("done")
        asyncio.run(scene.send(events, kill_after=rng.randint(1, FLOOD // 2)))
        unsure = [event for event in events if event.event_id not in scene.confirmed]
        assert unsure, "everything was confirmed before the broker died"
        crew.hear("coming back")
        scene.stack.find("rabbitmq")
        asyncio.run(scene.send_until_confirmed(unsure))
        drain(scene, crew, rng)
        until(lambda: set(scene.left().values()) == {0})
    assert scene.confirmed == set(scene.attempted)
    scene.judge()
