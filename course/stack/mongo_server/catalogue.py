"""Commands about collections, indexes and databases themselves."""

from typing import Any

from mongomock.filtering import filter_applies

from course.stack.mongo_server.commands import Context, Registry
from course.stack.mongo_server.errors import CommandError, unsupported
from course.stack.mongo_server.queries import check_filter
from course.stack.mongo_server.storage import Collection
from course.stack.mongo_server.wire import Document, words

INDEX_OPTIONS = words(
    "key name unique sparse background expireAfterSeconds partialFilterExpression v"
)
ID_INDEX = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
registry = Registry()


@registry.command("create")
def create(context: Context, command: Document) -> Document:
    """Make an empty collection."""
    context.database.create_collection(context.collection(command).name)
    return {"ok": 1.0}


@registry.command("drop")
def drop(context: Context, command: Document) -> Document:
    """Remove a collection; no error if there is none, as in MongoDB 7."""
    context.collection(command).drop()
    return {"ok": 1.0}


@registry.command("dropDatabase")
def drop_database(context: Context, command: Document) -> Document:
    """Remove a database with everything in it."""
    context.server.drop_database(context.database_name)
    return {"dropped": context.database_name, "ok": 1.0}


@registry.command("listCollections", options="filter nameOnly authorizedCollections cursor")
def list_collections(context: Context, command: Document) -> Document:
    """The collections of a database, as a cursor."""
    details = {"options": {}, "info": {"readOnly": False}, "idIndex": ID_INDEX}
    shown = [
        {"name": name, "type": "collection"} | ({} if command.get("nameOnly") else details)
        for name in sorted(context.database.list_collection_names())
    ]
    namespace = f"{context.database_name}.$cmd.listCollections"
    return context.cursors.first_batch(namespace, _matching(shown, command), None)


@registry.command("listDatabases", options="filter nameOnly authorizedDatabases")
def list_databases(context: Context, command: Document) -> Document:
    """The databases that hold a collection; what they take in memory is not counted."""
    size = {} if command.get("nameOnly") else {"sizeOnDisk": 0, "empty": False}
    shown = [{"name": name, **size} for name in sorted(context.server.list_database_names())]
    return {"databases": _matching(shown, command), "ok": 1.0}


def _matching(entries: list[Document], command: Document) -> list[Document]:
    query = command.get("filter") or {}
    check_filter(query)
    return [entry for entry in entries if filter_applies(query, entry)]


@registry.command("createIndexes", options="indexes commitQuorum")
def create_indexes(context: Context, command: Document) -> Document:
    """Build indexes; an index that is there already with the same options is left alone."""
    collection = context.collection(command)
    before = len(collection.indexes()) + 1
    for wanted in [_description(index) for index in command["indexes"]]:
        if wanted["key"] != ID_INDEX["key"] and not _is_there(collection, wanted):
            collection.add_index(wanted["name"], wanted)
    after = len(collection.indexes()) + 1
    return {"numIndexesBefore": before, "numIndexesAfter": after, "ok": 1.0}


def _description(index: Any) -> Document:
    """An index as `listIndexes` shows it.

    Raises:
        CommandError: a kind of index, or an option, that is not supported.
    """
    unknown = set(index) - INDEX_OPTIONS
    if unknown:
        raise unsupported(f"the index option {min(unknown)}")
    fields = index["key"]
    for path, kind in fields.items():
        if kind not in (1, -1) or "$" in path:
            raise unsupported(f"{'wildcard' if '$' in path else kind} indexes")
    if "expireAfterSeconds" in index and (len(fields) > 1 or "." in next(iter(fields))):
        raise CommandError(67, "a TTL index has one field, here not an embedded one")
    check_filter(index.get("partialFilterExpression", {}))
    name = index.get("name") or "_".join(f"{path}_{way}" for path, way in fields.items())
    options = {option: index[option] for option in sorted(set(index) - {"v", "key", "background"})}
    return {"v": 2, "key": fields, **options, "name": name}


def _is_there(collection: Collection, wanted: Document) -> bool:
    for name, known in collection.indexes().items():
        if name == wanted["name"]:
            if known == wanted:
                return True
            raise CommandError(86, f"an index named {name} exists with other options")
        if list(known["key"].items()) == list(wanted["key"].items()):
            raise CommandError(85, f"the same index exists with the name {name}")
    return False


@registry.command("listIndexes", options="cursor")
def list_indexes(context: Context, command: Document) -> Document:
    """The indexes of a collection, as a cursor."""
    collection = _existing(context, command)
    shown = [ID_INDEX, *collection.indexes().values()]
    return context.cursors.first_batch(collection.full_name, shown, None)


@registry.command("dropIndexes", options="index")
def drop_indexes(context: Context, command: Document) -> Document:
    """Remove an index by name or by fields, or with `*` every index but the one of `_id`."""
    collection = _existing(context, command)
    known, wanted = collection.indexes(), command.get("index")
    if wanted in ("_id_", ID_INDEX["key"]):
        raise CommandError(72, "cannot drop _id index")
    chosen = [n for n, index in known.items() if wanted in ("*", n, index["key"])]
    if not chosen and wanted != "*":
        raise CommandError(27, f"index not found with name [{wanted}]")
    for name in chosen:
        collection.drop_index(name)
    return {"nIndexesWas": len(known) + 1, "ok": 1.0}


def _existing(context: Context, command: Document) -> Collection:
    collection = context.collection(command)
    if collection.name not in context.database.list_collection_names():
        raise CommandError(26, f"ns does not exist: {collection.full_name}")
    return collection
