"""The embedded MongoDB as a process: its speed, several clients at once, its beginning and end."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from pymongo import (
    AsyncMongoClient,
    MongoClient,
)
from pymongo.errors import PyMongoError

from tests.stack.mongo_process import Client, Documents, running_server


def seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# --- speed -------------------------------------------------------------------------------------


def test_20_000_inserts_and_lookups_by_id_without_a_scan(things: Documents) -> None:
    documents = [{"_id": n, "n": n, "city": "Kyiv", "tags": ["a", "b"]} for n in range(20_000)]
    assert seconds(lambda: things.insert_many(documents)) < 20
    scan = min(seconds(lambda: things.find_one({"n": 19_999})) for _ in range(3))
    for lookup in (
        lambda: things.find_one({"_id": 19_999}),
        lambda: things.find_one({"_id": {"$in": [5, 19_999]}, "n": 19_999}),
        lambda: things.update_one({"_id": 19_999}, {"$inc": {"hits": 1}}),
        lambda: things.find_one_and_update({"_id": 19_999}, {"$inc": {"hits": 1}}),
        lambda: things.delete_one({"_id": "nobody"}),
    ):
        by_id = min(seconds(lookup) for _ in range(30))
        assert by_id * 20 < scan, f"{by_id * 1000:.2f} ms against a scan's {scan * 1000:.2f} ms"


def test_a_unique_index_does_not_slow_inserts_down_to_scans(things: Documents) -> None:
    things.create_index("email", unique=True)
    documents = [{"email": f"{n}@example.com"} for n in range(8_000)]
    assert seconds(lambda: things.insert_many(documents)) < 20


@pytest.mark.alone
def test_pings_are_answered_during_a_long_aggregation(url: str, things: Documents) -> None:
    things.insert_many([{"_id": n, "city": n % 7} for n in range(20_000)])
    join = {"from": "things", "localField": "city", "foreignField": "city", "as": "same"}
    long: list[dict[str, Any]] = [
        {"$match": {"_id": {"$lt": 12}}},
        {"$lookup": join},
        {"$project": {"same._id": 1}},
    ]
    script = f"""from pymongo import MongoClient
list(MongoClient({url!r}).test.things.aggregate({[*long, {"$count": "n"}]!r}))"""
    with subprocess.Popen([sys.executable, "-c", script]) as other:
        slowest = 0.0
        while other.poll() is None:
            slowest = max(slowest, seconds(lambda: things.database.command("ping")))
        assert other.returncode == 0
    assert slowest < 1


# --- several clients at once -------------------------------------------------------------------


def run_twice(url: str, script: str) -> list[str]:
    """The same script in two processes at once; what each printed."""
    code = f"from pymongo import MongoClient\nthings = MongoClient({url!r}).test.things\n{script}"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    return outputs


def test_two_processes_count_without_losing_one(url: str, things: Documents) -> None:
    run_twice(
        url,
        "for n in range(200):\n"
        "    things.update_one({'_id': 'counter'}, {'$inc': {'n': 1}}, upsert=True)\n"
        "    things.find_one_and_update({'_id': 'counter'}, {'$inc': {'m': 1}})",
    )
    assert things.find_one({"_id": "counter"}) == {"_id": "counter", "n": 400, "m": 400}


def test_two_processes_cannot_both_have_the_same_value(url: str, things: Documents) -> None:
    things.create_index("seat", unique=True)
    outputs = run_twice(
        url,
        "from pymongo.errors import DuplicateKeyError\n"
        "got = 0\n"
        "for seat in range(100):\n"
        "    try:\n"
        "        things.insert_one({'seat': seat})\n"
        "        got += 1\n"
        "    except DuplicateKeyError:\n"
        "        pass\n"
        "print(got)",
    )
    assert sum(int(output) for output in outputs) == 100
    assert things.count_documents({}) == 100


def test_the_asynchronous_client(url: str) -> None:
    async def use() -> list[Any]:
        async with AsyncMongoClient[dict[str, Any]](url) as client:
            things = client["test_async"]["things"]
            await asyncio.gather(*(things.insert_one({"_id": n}) for n in range(50)))
            found = [d["_id"] async for d in things.find({}, batch_size=9).sort("_id")]
            await client.drop_database("test_async")
            return found

    assert asyncio.run(use()) == list(range(50))


def test_sessions_are_accepted(client: Client, things: Documents) -> None:
    with client.start_session() as session:
        things.insert_one({"_id": 1}, session=session)
        assert things.find_one({}, session=session) == {"_id": 1}


# --- the process -------------------------------------------------------------------------------


def test_it_stops_cleanly_when_told_to() -> None:
    with running_server() as (process, url), MongoClient[dict[str, Any]](url) as client:
        client["test"]["things"].insert_one({})
        process.terminate()
        _, log = process.communicate(timeout=60)
        if os.name == "posix":
            assert process.returncode == 0
            assert "stopped; the data is gone" in log
        assert "Traceback" not in log


def test_a_taken_port_is_one_plain_line(url: str) -> None:
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "course.stack.mongo_server", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"cannot listen on 127\.0\.0\.1:{port}: .+\n", done.stderr)


def test_it_stops_at_once_even_in_the_middle_of_a_long_command() -> None:
    with (
        running_server() as (process, url),
        MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=500) as client,
    ):
        things = client["test"]["things"]
        things.insert_many({"_id": number} for number in range(3_000))
        every = {"$lookup": {"from": "things", "localField": "x", "foreignField": "x", "as": "y"}}
        long = threading.Thread(target=aggregate_until_the_end, args=(things, every))
        long.start()
        time.sleep(0.5)
        process.terminate()
        process.communicate(timeout=60)
        long.join(20)


def aggregate_until_the_end(things: Documents, stage: dict[str, Any]) -> None:
    """Run an aggregation that the server does not live to answer."""
    with contextlib.suppress(PyMongoError):
        list(things.aggregate([stage]))
