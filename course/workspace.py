"""What a lesson has to itself: a turn among its own runs, a new schema, a Redis to kill."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from course import connect
from course.settings import STACK_DIR, STACK_REMEDY, writing_to

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from course.stack.own import OwnRedis

LOOK_AGAIN = 0.2  # seconds
WAITING = "Another run of this lesson is under way: waiting for it to end."


@contextmanager
def own_turn(name: str) -> Iterator[None]:
    """While the block runs, no other run on this machine is in a block of the same `name`.

    For what a lesson keeps outside PostgreSQL: keys, collections, queues. A run that dies gives
    its turn back.
    """
    from fasteners import InterProcessLock  # type: ignore[import-untyped]

    with writing_to(STACK_DIR, STACK_REMEDY):
        STACK_DIR.mkdir(parents=True, exist_ok=True)
        lock = InterProcessLock(STACK_DIR / f"{name}.turn")
        free = lock.acquire(blocking=False)
    if not free:
        print(WAITING)
        lock.acquire(delay=LOOK_AGAIN, max_delay=LOOK_AGAIN)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def own_schema(name: str, tables: str = "") -> Iterator[None]:
    """While the block runs there is a fresh schema `name` in which `tables` (SQL) was executed.

    Two runs at once would destroy each other's tables, so the second waits until the first ends.
    The lock belongs to the connection: a run that dies gives it back.
    """
    from psycopg2.sql import SQL, Identifier

    schema = Identifier(name)
    with closing(connect.postgres()) as guard, guard.cursor() as cursor:
        guard.autocommit = True
        _take_turn(cursor, name)
        cursor.execute(SQL("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}").format(schema))
        try:
            cursor.execute(SQL("SET search_path = {}, public").format(schema))
            if tables:
                cursor.execute(tables)
            yield
        finally:
            cursor.execute(SQL("DROP SCHEMA {} CASCADE").format(schema))


@contextmanager
def own_redis(name: str) -> Iterator["OwnRedis | None"]:
    """While the block runs, a Redis called `name` is up that the block may kill and start again.

    None where no real Redis can be started: say so and leave out what needs it. Names must not be
    shared by two runs at once, see `own_turn`.
    """
    from course.stack.own import OwnRedis
    from course.stack.redis import redis_server

    if redis_server() is None:
        yield None
        return
    server = OwnRedis(STACK_DIR / name)
    server.remove()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _take_turn(cursor: "Cursor", name: str) -> None:
    """Wait for the lock in small portions, so that Ctrl-C is heard meanwhile."""
    told = False
    while True:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (name,))
        if cursor.fetchone() == (True,):
            return
        if not told:
            print(WAITING)
        told = True
        time.sleep(LOOK_AGAIN)
