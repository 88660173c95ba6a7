"""Commands that write: insert, update, delete, findAndModify.

A batch is a list of writes. An ordered batch stops at the first failure, an unordered one goes
on; either way the reply lists each failure with its place in the batch.
"""

from collections.abc import Callable
from typing import Any

from course.stack.mongo_server.commands import Context, Registry
from course.stack.mongo_server.errors import CommandError, mongomock_errors, unsupported
from course.stack.mongo_server.queries import check_filter, check_projection, check_sort
from course.stack.mongo_server.storage import Collection
from course.stack.mongo_server.updates import check_update, is_replacement
from course.stack.mongo_server.wire import Document

MAX_BATCH = 100_000
registry = Registry()


@registry.command("insert", options="documents ordered bypassDocumentValidation")
def insert(context: Context, command: Document) -> Document:
    """Add documents."""
    collection = context.collection(command)
    done, errors = _each(command, "documents", lambda _, document: collection.add(document))
    return _with_errors({"n": done}, errors)


@registry.command("update", options="updates ordered bypassDocumentValidation")
def update(context: Context, command: Document) -> Document:
    """Change, replace or upsert documents."""
    collection = context.collection(command)
    reply: Document = {"n": 0, "nModified": 0}
    upserted: list[Document] = []

    def one(index: int, write: Document) -> None:
        _only(write, "q u multi upsert hint")
        upsert, multi = bool(write.get("upsert")), bool(write.get("multi"))
        check_update(write["u"], write["q"], upsert)
        if multi and is_replacement(write["u"]):
            raise CommandError(9, "multi update is not supported for replacement-style update")
        result = collection.change(write["q"], write["u"], upsert, multi)
        reply["n"] += result["n"]
        reply["nModified"] += result["nModified"]
        if result["n"] and not result["updatedExisting"]:
            upserted.append({"index": index, "_id": result["upserted"]})

    _, errors = _each(command, "updates", one)
    if upserted:
        reply["upserted"] = upserted
    return _with_errors(reply, errors)


@registry.command("delete", options="deletes ordered")
def delete(context: Context, command: Document) -> Document:
    """Remove documents: the first match (`limit` 1) or every one (`limit` 0)."""
    collection = context.collection(command)
    removed = 0

    def one(_: int, write: Document) -> None:
        nonlocal removed
        _only(write, "q limit hint")
        check_filter(write["q"])
        remove = collection.delete_one if write.get("limit") else collection.delete_many
        removed += remove(write["q"]).deleted_count

    _, errors = _each(command, "deletes", one)
    return _with_errors({"n": removed}, errors)


@registry.command(
    "findAndModify",
    options="query sort update remove new fields upsert hint bypassDocumentValidation",
)
def find_and_modify(context: Context, command: Document) -> Document:
    """Change or remove one document and return it, as it was or as it became."""
    collection = context.collection(command)
    query, sort = command.get("query") or {}, command.get("sort") or {}
    check_sort(sort)
    check_projection(command.get("fields") or {})
    if bool(command.get("remove")) == ("update" in command):
        raise CommandError(9, "Either an update or remove=true must be specified")
    check_update(command.get("update", {}), query, bool(command.get("upsert")))
    found = next(collection.documents(query, sort), None)
    if found:
        query = {**query, "_id": found["_id"]}
    if not command.get("remove"):
        return _find_and_update(collection, command, query)
    shown = _shown(collection, command, query) if found else None
    if found:
        collection.delete_one(query)
    return {"lastErrorObject": {"n": int(found is not None)}, "value": shown, "ok": 1.0}


def _find_and_update(collection: Collection, command: Document, query: Document) -> Document:
    before = _shown(collection, command, query)
    result = collection.change(query, command["update"], bool(command.get("upsert")))
    outcome = {"n": result["n"], "updatedExisting": result["updatedExisting"]}
    if result["n"] and not result["updatedExisting"]:
        query = {"_id": result["upserted"]}
        outcome["upserted"] = result["upserted"]
    after = {"_id": query["_id"]} if "_id" in query else query
    value = _shown(collection, command, after) if command.get("new") else before
    return {"lastErrorObject": outcome, "value": value, "ok": 1.0}


def _shown(collection: Collection, command: Document, query: Document) -> Document | None:
    return next(collection.documents(query, fields=command.get("fields")), None)


def _each(
    command: Document, option: str, write: Callable[[int, Any], None]
) -> tuple[int, list[Document]]:
    """Carry out the writes of a batch: how many succeeded, and the failures."""
    batch = command.get(option)
    if not isinstance(batch, list) or not 0 < len(batch) <= MAX_BATCH:
        raise CommandError(9, f"'{option}' must hold 1 to {MAX_BATCH} writes")
    errors = []
    for index, item in enumerate(batch):
        try:
            with mongomock_errors():
                write(index, item)
        except CommandError as problem:
            errors.append(problem.as_write_error(index))
            if command.get("ordered", True):
                return index, errors
    return len(batch) - len(errors), errors


def _with_errors(reply: Document, errors: list[Document]) -> Document:
    return {**reply, **({"writeErrors": errors} if errors else {}), "ok": 1.0}


def _only(write: Document, options: str) -> None:
    unknown = set(write) - set(options.split())
    if unknown:
        raise unsupported(f"the option {min(unknown)} of a write")
