"""The same answer, and journeys to a real Redis are counted."""

from contextlib import contextmanager

import redis

from course import connect
from course.exercises import expect, require
from course.workspace import own_turn

PREFIX = "exercise_online_read:"


class CountingConnection(redis.Connection):
    """Counts how often something is sent: that is how often somebody waits for an answer."""

    journeys = 0

    def send_packed_command(self, *arguments, **options):
        CountingConnection.journeys += 1
        return super().send_packed_command(*arguments, **options)


@contextmanager
def features():
    """A client, with features of customers 1 to 100 under a prefix of their own."""
    pool = redis.ConnectionPool.from_url(
        connect.url("redis"), connection_class=CountingConnection, decode_responses=True
    )
    client = redis.Redis(connection_pool=pool)
    keys = [f"{PREFIX}{n}" for n in range(1, 101)]
    with own_turn("exercise_online_read"):
        try:
            with client.pipeline() as pipeline:
                for number, key in enumerate(keys, 1):
                    pipeline.hset(key, mapping={"recency_days": number, "frequency": 2 * number})
                pipeline.hdel(keys[1], "frequency")
                pipeline.execute()
            yield client
        finally:
            client.delete(*keys)
            client.close()


def check_answer(their):
    """Features, missing features, missing customers"""
    with features() as client:
        answer = their.read(client, PREFIX, [1, 2, 999], ["frequency", "recency_days"])
    expect(
        answer,
        {
            1: {"frequency": 2.0, "recency_days": 1.0},
            2: {"frequency": None, "recency_days": 2.0},
            999: {"frequency": None, "recency_days": None},
        },
        "Customer 2 has no frequency, customer 999 nothing at all.",
    )


def check_nobody(their):
    """Nobody asked for: no answer, no error"""
    with features() as client:
        expect(their.read(client, PREFIX, [], ["frequency"]), {})


def check_journeys(their):
    """A hundred customers in one journey"""
    with features() as client:
        client.ping()
        CountingConnection.journeys = 0
        answer = their.read(client, PREFIX, list(range(1, 101)), ["recency_days"])
        journeys = CountingConnection.journeys
    expect(len(answer), 100)
    require(
        journeys <= 2,
        f"{journeys} journeys for 100 customers",
        "A pipeline collects commands, sends them together, and gives the answers in a list.",
    )
