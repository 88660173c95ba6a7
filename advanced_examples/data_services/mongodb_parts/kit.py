"""What work with MongoDB needs around its subject: own collections, a count of commands, rows.

And what a server says of itself: the course's embedded one has no query plans, no validation and
no transactions, and a lone real one has no transactions either.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bson.decimal128 import Decimal128
from psycopg2.extras import RealDictCursor
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandListener

from course.lesson import Lesson

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

Document = dict[str, Any]
PREFIX = "data_02_"  # of the lesson's collections


class Commands(CommandListener):
    """What a client sends, by name: `MongoClient(url, event_listeners=[commands])`."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()

    def started(self, event: Any) -> None:
        """pymongo calls this for every command, from the thread that sends it."""
        self.sent[event.command_name] += 1

    def succeeded(self, event: Any) -> None:
        """Counted already."""

    def failed(self, event: Any) -> None:
        """Counted already."""

    def during(self, work: Callable[[], Any]) -> tuple[Any, int, float]:
        """(what `work` returns, the number of commands meanwhile, the seconds that it takes)."""
        before, start = self.sent.total(), time.perf_counter()
        result = work()
        return result, self.sent.total() - before, time.perf_counter() - start


@contextmanager
def own_collections(database: Database) -> Iterator[None]:
    """Collections whose names begin with PREFIX are gone before and after the block."""

    def drop() -> None:
        for name in database.list_collection_names():
            if name.startswith(PREFIX):
                database.drop_collection(name)

    drop()
    try:
        yield
    finally:
        drop()


def is_embedded(database: Database) -> bool:
    """Whether the server says that it is the course's embedded one."""
    return "embedded" in database.client.admin.command("hello")


def has_transactions(database: Database) -> bool:
    """Whether the server says that it belongs to a replica set or a sharded cluster."""
    hello = database.client.admin.command("hello")
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def select(connection: "Connection", query: str) -> list[Document]:
    """The rows of a query as dictionaries."""
    with connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(query)
        return [dict(row) for row in cursor]


def in_python(value: Any) -> Any:
    """The value with Decimals for Decimal128, so that a document compares with a row."""
    if isinstance(value, dict):
        return {name: in_python(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [in_python(inner) for inner in value]
    return value.to_decimal() if isinstance(value, Decimal128) else value


def skipped(lesson: Lesson, database: Database, what: str) -> None:
    """Say aloud what isn't shown, and what would show it."""
    kind = "the course's embedded one" if is_embedded(database) else "a lone server"
    lesson.console.say(f"  SKIPPED: no {what} here. This MongoDB is {kind}.", "yellow")
    lesson.console.say("  `docker compose up -d` brings one that shows it.", "yellow")


@contextmanager
def in_short() -> Iterator[None]:
    """pymongo's errors end with all that the server answered: leave that out of their message."""
    try:
        yield
    except PyMongoError as error:
        error.args = (str(error).partition(", full error: ")[0],)
        raise
