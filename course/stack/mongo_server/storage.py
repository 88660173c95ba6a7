"""Mongomock's classes, with what a server needs on top of them.

- Documents are looked up by `_id` instead of by going through all of them.
- A unique index knows who has which value; mongomock compares with every document.
- A write that fails leaves no trace; mongomock changes documents in place, operator by operator.
"""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import bson
from bson.regex import Regex
from mongomock import collection, database, mongo_client
from mongomock.filtering import NOTHING, BsonComparable, filter_applies, iter_key_candidates
from mongomock.helpers import hashdict

from course.stack.mongo_server import aggregation
from course.stack.mongo_server.errors import CommandError, unsupported
from course.stack.mongo_server.updates import check_targets
from course.stack.mongo_server.wire import CODEC, MAX_DOCUMENT_BYTES, Document


class Collection(collection.Collection):
    """Documents by `_id`, in the order of their arrival, and the indexes over them."""

    def documents(
        self, query: Document, sort: Document | None = None, fields: Document | None = None
    ) -> Iterator[Document]:
        """Copies of the documents that match a checked query, sorted and projected."""
        order = list(sort.items()) if sort else None
        return iter(self._get_dataset(query, order, dict(fields) if fields else None, dict))

    def aggregated(self, pipeline: list[Document]) -> list[Document]:
        """The result of a checked pipeline; a `$match` in front is looked up as in `find`."""
        query: Document = {}
        if pipeline and "$match" in pipeline[0]:
            query, pipeline = pipeline[0]["$match"], pipeline[1:]
        return aggregation.run(list(self.documents(query)), self.database, pipeline)

    def add(self, document: Document) -> None:
        """Add a document; it gets an ObjectId if it has no `_id`."""
        self._insert(document if "_id" in document else {"_id": bson.ObjectId(), **document})

    def change(
        self, query: Document, update: Any, upsert: bool = False, multi: bool = False
    ) -> Document:
        """Carry out a checked update: `n`, `nModified`, `updatedExisting`, `upserted`."""
        result: Document = self._update(query, update, upsert=upsert, multi=multi)
        return result

    def add_index(self, name: str, description: Document) -> None:
        """Build an index; `holders` leads from values to the `_id` of who has them.

        Raises:
            CommandError: 11000 if it is unique and two documents have the same value.
        """
        index = {**description, "key": list(description["key"].items()), "holders": {}}
        index["description"] = description
        for document in list(self._store.documents):
            self._claim(name, index, document)
        self._store.create()
        self._store.create_index(name, index)

    def indexes(self) -> dict[str, Document]:
        """The descriptions of the indexes by name, without that of `_id`."""
        return {name: index["description"] for name, index in self._store.indexes.items()}

    def _iter_documents(self, filter: Document) -> Iterable[Document]:
        """The one door through which mongomock finds what it reads, changes or removes."""
        wanted = pinned_ids(filter)
        if wanted is None:
            found: Iterable[Document] = super()._iter_documents(filter)
            return found
        keys = dict.fromkeys(_key(value) for value in sorted(wanted, key=BsonComparable))
        likely = [self._store[key] for key in keys if key in self._store]
        return (document for document in likely if filter_applies(filter, document))

    def _insert(self, data: Document, session: None = None, ordered: bool = True) -> Any:
        """Mongomock copies the document first; one from the wire belongs to nobody else."""
        check_document(data)
        if _key(data["_id"]) in self._store:
            raise self._duplicate("_id_", {"_id": data["_id"]}, {"_id": 1})
        self._claim_all(data)
        self._store.create()  # so that it stays when its last document goes
        self._store[_key(data["_id"])] = data
        return data["_id"]

    def _apply_update_document(
        self, existing_document: Document, spec: Document, document: Document, was_insert: bool
    ) -> None:
        check_targets(existing_document, document)
        changed = copy.deepcopy(existing_document)
        if "_id" in document and document["_id"] != changed["_id"]:
            raise immutable_id()
        positional = any(".$" in path for fields in document.values() for path in _names(fields))
        super()._apply_update_document(changed, spec if positional else {}, document, was_insert)
        self._put(existing_document, changed, was_insert)

    def _apply_update_pipeline(
        self, existing_document: Document, pipeline: list[Document], session: None
    ) -> None:
        (changed,) = aggregation.run([copy.deepcopy(existing_document)], self.database, pipeline)
        self._put(existing_document, changed, was_insert=False)

    def _put(self, document: Document, changed: Document, was_insert: bool) -> None:
        """Let a stored document become what it was changed to, if that may be stored."""
        if not was_insert:
            if changed.get("_id", NOTHING) != document["_id"]:
                raise immutable_id()
            check_document(changed, code_if_too_large=17419)
            self._claim_all(changed)
        document.clear()
        document.update(changed)

    def _ensure_uniques(self, new_data: Document) -> None:
        """Nothing to do: `_claim_all` has looked before anything was stored."""

    def _claim_all(self, document: Document) -> None:
        for name, index in self._store.indexes.items():
            self._claim(name, index, document)

    def _claim(self, name: str, index: Document, document: Document) -> None:
        """Note that a document has its values in a unique index, unless another one has them."""
        values = indexed_values(index, document) if index.get("unique") else None
        if values is None:
            return
        holder = index["holders"].get(aggregation.frozen(values), NOTHING)
        other = self._store[holder] if holder is not NOTHING and holder in self._store else None
        # A holder may have changed since; what it has now decides.
        if other and other["_id"] != document["_id"] and indexed_values(index, other) == values:
            pattern = dict(index["key"])
            raise self._duplicate(name, dict(zip(pattern, values, strict=True)), pattern)
        index["holders"][aggregation.frozen(values)] = _key(document["_id"])

    def _duplicate(self, index: str, values: Document, pattern: Document) -> CommandError:
        shown = ", ".join(f"{path}: {value!r}" for path, value in values.items())
        message = (
            f"E11000 duplicate key error collection: {self.full_name} index: {index} "
            f"dup key: {{ {shown} }}"
        )
        return CommandError(11000, message, keyPattern=pattern, keyValue=values)


class Database(database.Database):
    """A database of such collections."""

    def get_collection(self, name: str, *_: Any, **options: Any) -> Collection:
        """The collection of that name; it exists from its first document or index."""
        if name not in self._collection_accesses:
            self._ensure_valid_collection_name(name)
            self._collection_accesses[name] = Collection(self, name=name, _db_store=self._store)
        found: Collection = self._collection_accesses[name]
        return found


class Server(mongo_client.MongoClient):
    """All databases of one running server."""

    def __init__(self) -> None:
        aggregation.correct_mongomock()
        super().__init__()

    def get_database(self, name: str = "", *_: Any, **options: Any) -> Database:
        """The database of that name."""
        if not name or set(name) & set('/\\. "$\0'):
            raise CommandError(73, f"Invalid database name: '{name}'")
        if name not in self._database_accesses:
            self._database_accesses[name] = Database(self, name, self._store[name])
        found: Database = self._database_accesses[name]
        return found


def pinned_ids(query: Document) -> list[Any] | None:
    """The values of `_id` that a query allows, or None if it doesn't list them.

    >>> pinned_ids({"_id": {"$in": [1, 2]}, "n": 3})
    [1, 2]
    """
    wanted = [query["_id"]] if "_id" in query else None
    if wanted and isinstance(wanted[0], dict) and any(name[:1] == "$" for name in wanted[0]):
        condition = wanted[0]
        wanted = [condition["$eq"]] if "$eq" in condition else condition.get("$in")
    if wanted is None or any(isinstance(value, Regex) for value in wanted):
        return None
    return wanted


def indexed_values(index: Document, document: Document) -> list[Any] | None:
    """What a unique index knows a document by; None if it doesn't cover the document."""
    partial = index.get("partialFilterExpression")
    if partial is not None and not filter_applies(partial, document):
        return None
    values: list[Any] = []
    for path, _ in index["key"]:
        found = list(iter_key_candidates(path, document)) or [NOTHING]
        if len(found) > 1 or isinstance(found[0], list):
            raise unsupported("arrays in the fields of a unique index")
        values.append(found[0])
    if index.get("sparse") and all(value is NOTHING for value in values):
        return None
    return [None if value is NOTHING else value for value in values]


def check_document(document: Document, code_if_too_large: int = 10334) -> None:
    """Refuse what MongoDB would not store.

    Raises:
        CommandError: a document over 16 MiB, an `_id` or a field name that is not allowed.
    """
    size = len(bson.encode(document, codec_options=CODEC))
    if size > MAX_DOCUMENT_BYTES:
        message = f"the document has {size} bytes; the maximum is {MAX_DOCUMENT_BYTES}"
        raise CommandError(code_if_too_large, message)
    if isinstance(document["_id"], list | Regex):
        raise CommandError(53, "the '_id' value cannot be an array or a regular expression")
    for name in document:
        if name.startswith("$"):
            message = f"the dollar ($) prefixed field '{name}' is not valid for storage"
            raise CommandError(52, message)


def immutable_id() -> CommandError:
    """The error for an update that would give a document another `_id`."""
    return CommandError(66, "the (immutable) field '_id' was found to have been altered")


def _names(fields: Any) -> Iterable[str]:
    return fields if isinstance(fields, dict) else ()


def _key(value: Any) -> Any:
    """The key under which mongomock keeps a document with that `_id`."""
    return hashdict(value) if isinstance(value, dict) else value
