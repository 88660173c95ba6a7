"""Commands that read: find, aggregate, count, distinct and the cursors they open."""

from itertools import islice
from typing import Any

from mongomock.filtering import BsonComparable

from course.stack.mongo_server.commands import Context, Registry, whole
from course.stack.mongo_server.errors import CommandError
from course.stack.mongo_server.queries import (
    check_filter,
    check_pipeline,
    check_projection,
    check_sort,
)
from course.stack.mongo_server.wire import Document

registry = Registry()


@registry.command(
    "find",
    options="filter projection sort skip limit batchSize singleBatch hint noCursorTimeout "
    "allowDiskUse allowPartialResults",
)
def find(context: Context, command: Document) -> Document:
    """Matching documents, sorted, cut and projected, as a cursor."""
    collection = context.collection(command)
    query, sort = command.get("filter", {}), command.get("sort") or {}
    fields = command.get("projection") or {}
    check_filter(query)
    check_sort(sort)
    check_projection(fields)
    start, limit = whole(command, "skip", 0), whole(command, "limit", 0)
    found = islice(
        collection.documents(query, sort, fields), start, start + limit if limit else None
    )
    size, single = whole(command, "batchSize"), bool(command.get("singleBatch"))
    return context.cursors.first_batch(collection.full_name, list(found), size, single)


@registry.command("getMore", options="collection batchSize")
def get_more(context: Context, command: Document) -> Document:
    """The next batch of a cursor."""
    return context.cursors.next_batch(command["getMore"], whole(command, "batchSize") or None)


@registry.command("killCursors", options="cursors")
def kill_cursors(context: Context, command: Document) -> Document:
    """Close cursors before their end."""
    return context.cursors.kill(command["cursors"])


@registry.command("aggregate", options="pipeline cursor allowDiskUse hint")
def aggregate(context: Context, command: Document) -> Document:
    """The result of a pipeline, as a cursor."""
    pipeline: Any = command.get("pipeline")
    check_pipeline(pipeline)
    if not isinstance(command.get("cursor"), dict):
        raise CommandError(9, "The 'cursor' option is required")
    collection = context.collection(command)
    size = whole(command["cursor"], "batchSize")
    return context.cursors.first_batch(collection.full_name, collection.aggregated(pipeline), size)


@registry.command("count", options="query skip limit hint fields")
def count(context: Context, command: Document) -> Document:
    """How many documents match."""
    query = command.get("query") or {}
    check_filter(query)
    number = context.collection(command).count_documents(query, skip=whole(command, "skip", 0))
    limit = whole(command, "limit", 0)
    return {"n": min(number, limit) if limit else number, "ok": 1.0}


@registry.command("distinct", options="key query hint")
def distinct(context: Context, command: Document) -> Document:
    """Every value that a field has, once and in order; the elements of arrays one by one."""
    query = command.get("query") or {}
    check_filter(query)
    found = context.collection(command).distinct(command["key"], query)
    return {"values": sorted(found, key=BsonComparable), "ok": 1.0}
