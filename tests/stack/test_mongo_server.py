"""The embedded MongoDB answers plain pymongo over TCP, from several processes at once."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions
from pymongo import (
    DeleteMany,
    DeleteOne,
    IndexModel,
    InsertOne,
    ReplaceOne,
    ReturnDocument,
    UpdateMany,
    UpdateOne,
    WriteConcern,
)
from pymongo.errors import (
    BulkWriteError,
    CursorNotFound,
    DuplicateKeyError,
    OperationFailure,
    WriteError,
)

from tests.stack.mongo_process import Client, Documents

# --- who answers -------------------------------------------------------------------------------


def test_a_client_can_tell_that_it_is_embedded(client: Client) -> None:
    for name in ("buildInfo", "buildinfo", "BUILDINFO"):
        info = client.admin.command(name)
        assert info["embedded"].startswith("mongomock ")
        assert info["modules"] == ["embedded"]
    hello = client.admin.command("hello")
    assert hello["embedded"] == info["embedded"]
    assert hello["maxBsonObjectSize"] == 16 * 1024 * 1024
    assert client.server_info()["versionArray"][:2] == [5, 0]


def test_the_small_commands_answer(client: Client) -> None:
    for name in ("ping", "hello", "isMaster", "buildInfo"):
        assert client.admin.command(name)["ok"] == 1


def test_an_unknown_command_is_refused_by_name(client: Client) -> None:
    with pytest.raises(OperationFailure, match="does not support the command nonsense") as caught:
        client.admin.command("nonsense")
    assert caught.value.code == 59


# --- insert, find, cursors ---------------------------------------------------------------------


def test_types_come_back_as_they_went(client: Client) -> None:
    moment = datetime(2025, 10, 26, 12, 30, 15, 123000, tzinfo=UTC)
    document = {
        "_id": ObjectId(),
        "decimal": Decimal128("19.90"),
        "moment": moment,
        "bytes": b"\x00\xff",
        "uuid-like": Binary(b"0" * 16, 4),
        "pattern": Regex("^a", "i"),
        "long": Int64(5),
        "big": 2**62,
        "float": 1.5,
        "nothing": None,
        "yes": True,
        "nested": {"list": [1, "two", {"three": 3}]},
        "timestamp": Timestamp(7, 8),
    }
    aware = CodecOptions[dict[str, Any]](tz_aware=True, tzinfo=UTC)
    things = client["test"].get_collection("things", codec_options=aware)
    things.insert_one(document)
    found = things.find_one({"_id": document["_id"]})
    assert found == document
    assert list(found) == list(document), "fields keep their order"
    assert isinstance(found["long"], Int64)


def test_filter_sort_skip_limit_and_projection(things: Documents) -> None:
    things.insert_many([{"_id": n, "n": n, "even": n % 2 == 0, "x": {"y": n}} for n in range(10)])
    found = things.find({"even": True}, {"x.y": 1}).sort("n", -1).skip(1).limit(2)
    assert list(found) == [{"_id": 6, "x": {"y": 6}}, {"_id": 4, "x": {"y": 4}}]
    assert things.find_one({"n": 3}, {"_id": 0, "x": 0}) == {"n": 3, "even": False}
    assert things.find({"n": 3}).hint([("n", 1)])[0]["n"] == 3


def test_a_cursor_goes_through_all_batches(things: Documents) -> None:
    things.insert_many([{"_id": n} for n in range(1000)])
    assert [d["_id"] for d in things.find().sort("_id", 1)] == list(range(1000))
    assert [d["_id"] for d in things.find(batch_size=7).sort("_id", 1)] == list(range(1000))
    with things.aggregate([{"$sort": {"_id": -1}}], batchSize=99) as cursor:
        assert [d["_id"] for d in cursor] == list(range(999, -1, -1))


def test_a_batch_is_at_most_16_mib(things: Documents) -> None:
    things.insert_many([{"_id": n, "text": "x" * 3_000_000} for n in range(12)])
    assert [d["_id"] for d in things.find()] == list(range(12))


def test_a_cursor_shows_what_was_there_when_it_was_opened(things: Documents) -> None:
    things.insert_many([{"_id": n, "v": "old"} for n in range(300)])
    cursor = things.find(batch_size=10)
    first = next(cursor)
    things.update_many({}, {"$set": {"v": "new"}})
    assert {d["v"] for d in [first, *cursor]} == {"old"}


def test_a_killed_cursor_is_gone(things: Documents) -> None:
    things.insert_many([{"_id": n} for n in range(300)])
    cursor = things.find(batch_size=10)
    next(cursor)
    database = things.database
    reply = database.command("killCursors", "things", cursors=[cursor.cursor_id, Int64(999)])
    assert reply["cursorsKilled"] == [cursor.cursor_id]
    assert reply["cursorsNotFound"] == [999]
    with pytest.raises(CursorNotFound):
        list(cursor)


def test_count_and_distinct(things: Documents) -> None:
    things.insert_many([{"city": c, "tags": ["a", c]} for c in ("Kyiv", "Lviv", "Kyiv")])
    assert things.count_documents({"city": "Kyiv"}) == 2
    assert things.count_documents({}, skip=1, limit=1) == 1
    assert things.estimated_document_count() == 3
    assert things.distinct("city") == ["Kyiv", "Lviv"]
    assert sorted(things.distinct("tags", {"city": "Lviv"})) == ["Lviv", "a"]
    assert things.database["nothing"].count_documents({}) == 0


# --- writes ------------------------------------------------------------------------------------


def test_an_ordered_batch_stops_and_an_unordered_one_goes_on(things: Documents) -> None:
    batch = [{"_id": 1}, {"_id": 1}, {"_id": 2}]
    with pytest.raises(BulkWriteError) as caught:
        things.insert_many([dict(d) for d in batch])
    assert caught.value.details["nInserted"] == 1
    with pytest.raises(BulkWriteError) as caught:
        things.insert_many([dict(d) for d in batch], ordered=False)
    errors = caught.value.details["writeErrors"]
    assert [(e["index"], e["code"]) for e in errors] == [(0, 11000), (1, 11000)]
    assert errors[0]["keyPattern"] == {"_id": 1}
    assert errors[0]["keyValue"] == {"_id": 1}
    assert things.count_documents({}) == 2


UPDATES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": 1}, {"$set": {"b.c": 2}}, {"a": 1, "b": {"c": 2}}),
    ({"a": 1, "b": 2}, {"$unset": {"b": ""}}, {"a": 1}),
    ({"a": 1}, {"$inc": {"a": 2, "n": 5}}, {"a": 3, "n": 5}),
    ({"a": Decimal128("0.1")}, {"$inc": {"a": Decimal128("0.2")}}, {"a": Decimal128("0.3")}),
    ({"a": 3, "b": 3}, {"$min": {"a": 1, "b": 5}}, {"a": 1, "b": 3}),
    ({"a": 3, "b": 3}, {"$max": {"a": 1, "b": 5}}, {"a": 3, "b": 5}),
    ({"a": 3}, {"$rename": {"a": "b"}}, {"b": 3}),
    ({"t": [1]}, {"$push": {"t": 2, "u": 1}}, {"t": [1, 2], "u": [1]}),
    ({"t": [3]}, {"$push": {"t": {"$each": [1, 2], "$sort": 1, "$slice": 2}}}, {"t": [1, 2]}),
    ({"t": [1]}, {"$addToSet": {"t": {"$each": [1, 2]}}}, {"t": [1, 2]}),
    ({"t": [1, 2, 3]}, {"$pull": {"t": {"$gte": 2}}}, {"t": [1]}),
    ({"t": [{"n": 1}, {"n": 2}]}, {"$pull": {"t": {"n": 1}}}, {"t": [{"n": 2}]}),
    ({"t": [1, 2, 1]}, {"$pullAll": {"t": [1]}}, {"t": [2]}),
    ({"t": [1, 2, 3]}, {"$pop": {"t": -1}}, {"t": [2, 3]}),
    ({"t": [{"n": 1}]}, {"$set": {"t.0.n": 5}}, {"t": [{"n": 5}]}),
]


@pytest.mark.parametrize(("before", "update", "after"), UPDATES)
def test_update_operators(
    things: Documents, before: dict[str, Any], update: dict[str, Any], after: dict[str, Any]
) -> None:
    things.insert_one({"_id": 1, **before})
    result = things.update_one({"_id": 1}, update)
    assert (result.matched_count, result.modified_count) == (1, 1)
    assert things.find_one() == {"_id": 1, **after}


def test_the_positional_operator_changes_the_element_that_was_found(things: Documents) -> None:
    things.insert_one({"_id": 1, "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 1}]})
    things.update_one({"_id": 1, "items.sku": "b"}, {"$inc": {"items.$.n": 4}})
    query = {"items": {"$elemMatch": {"sku": "a", "n": 1}}}
    things.update_one(query, {"$set": {"items.$.n": 9}})
    assert things.find_one() == {"_id": 1, "items": [{"sku": "a", "n": 9}, {"sku": "b", "n": 5}]}


def test_an_update_with_a_pipeline_sees_the_document(things: Documents) -> None:
    things.insert_one({"_id": 1, "price": 10, "quantity": 3})
    total = {"$multiply": ["$price", "$quantity"]}
    things.update_one({"_id": 1}, [{"$set": {"total": total}}, {"$project": {"price": 0}}])
    assert things.find_one() == {"_id": 1, "quantity": 3, "total": 30}


def test_an_update_that_changes_nothing_says_so(things: Documents) -> None:
    things.insert_one({"_id": 1, "a": 1})
    result = things.update_one({"_id": 1}, {"$set": {"a": 1}})
    assert (result.matched_count, result.modified_count) == (1, 0)


def test_upserts(things: Documents) -> None:
    result = things.update_one(
        {"_id": "k", "a.b": 1, "n": {"$gt": 3}}, {"$inc": {"c": 2}, "$setOnInsert": {"d": 1}}, True
    )
    assert result.upserted_id == "k"
    assert things.find_one() == {"_id": "k", "a": {"b": 1}, "c": 2, "d": 1}
    things.update_one({"_id": "k"}, {"$inc": {"c": 2}, "$setOnInsert": {"d": 9}}, upsert=True)
    assert things.find_one() == {"_id": "k", "a": {"b": 1}, "c": 4, "d": 1}
    replaced = things.replace_one({"name": "new"}, {"x": 1}, upsert=True)
    assert things.find_one({"x": 1}) == {"_id": replaced.upserted_id, "x": 1}


def test_find_one_and_update_replace_delete(things: Documents) -> None:
    things.insert_many([{"_id": 1, "n": 5, "p": 1}, {"_id": 2, "n": 7, "p": 2}])
    before = things.find_one_and_update({}, {"$inc": {"n": 1}}, sort=[("p", -1)])
    assert before["n"] == 7
    after = things.find_one_and_update(
        {"_id": 2}, {"$inc": {"n": 1}}, {"n": 1}, return_document=ReturnDocument.AFTER
    )
    assert after == {"_id": 2, "n": 9}
    assert things.find_one_and_replace({"_id": 1}, {"z": 1})["n"] == 5
    assert things.find_one_and_delete({"_id": 1}) == {"_id": 1, "z": 1}
    assert things.find_one_and_delete({"_id": 1}) is None
    made = things.find_one_and_update(
        {"_id": 3}, {"$set": {"q": 1}}, upsert=True, return_document=ReturnDocument.AFTER
    )
    assert made == {"_id": 3, "q": 1}


def test_a_bulk_of_mixed_writes(things: Documents) -> None:
    result = things.bulk_write(
        [
            *(InsertOne({"_id": n, "n": n}) for n in range(5)),
            UpdateOne({"_id": 0}, {"$set": {"n": 10}}),
            UpdateMany({"n": {"$gte": 3}}, {"$inc": {"n": 1}}),
            ReplaceOne({"_id": "r"}, {"n": 0}, upsert=True),
            DeleteOne({"_id": 1}),
            DeleteMany({"n": {"$lt": 3}}),
        ]
    )
    assert (result.inserted_count, result.modified_count, result.deleted_count) == (5, 4, 3)
    assert result.upserted_ids == {7: "r"}
    assert [(d["_id"], d["n"]) for d in things.find()] == [(0, 11), (3, 4), (4, 5)]


WRONG_UPDATES: list[tuple[dict[str, Any], int]] = [
    ({"$set": {"_id": 2}}, 66),
    ({"$set": {"text.sub": 1}}, 28),
    ({"$set": {"a": 1}, "$inc": {"a": 1}}, 40),
    ({"$set": {"n.x": 1, "n": 2}}, 40),
    ({"$inc": {"text": 1}}, 14),
    ({"$inc": {"n": "1"}}, 14),
    ({"$push": {"n": 1}}, 2),
    ({"$set": {"fine": 1}, "$push": {"text": 1}}, 2),
    ({"$pop": {"n": 1}}, 2),
]


@pytest.mark.parametrize(("update", "code"), WRONG_UPDATES)
def test_a_failed_update_leaves_the_document_alone(
    things: Documents, update: dict[str, Any], code: int
) -> None:
    document = {"_id": 1, "n": 1, "text": "hello"}
    things.insert_one(document)
    with pytest.raises(WriteError) as caught:
        things.update_one({"_id": 1}, update)
    assert caught.value.code == code
    assert things.find_one() == document


def test_16_mib_is_the_limit(things: Documents) -> None:
    text = "x" * (9 * 1024 * 1024)
    things.insert_one({"_id": 1, "a": text})
    with pytest.raises(WriteError) as caught:
        things.update_one({"_id": 1}, {"$set": {"b": text}})
    assert caught.value.code == 17419


def test_what_an_id_and_a_field_may_be(things: Documents) -> None:
    for document, code in (({"_id": [1]}, 53), ({"$bad": 1}, 52)):
        with pytest.raises(WriteError) as caught:
            things.insert_one(document)
        assert caught.value.code == code
    things.insert_many([{"_id": 1}, {"_id": {"a": 1}}, {"_id": "1"}])
    with pytest.raises(DuplicateKeyError):
        things.insert_one({"_id": 1.0})


def test_writes_without_acknowledgement_arrive(things: Documents) -> None:
    careless = things.with_options(write_concern=WriteConcern(w=0))
    assert not careless.insert_one({"_id": 1}).acknowledged
    deadline = time.monotonic() + 5
    while things.count_documents({}) == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert things.count_documents({}) == 1


# --- indexes and catalogue ---------------------------------------------------------------------


def test_a_unique_index(things: Documents) -> None:
    assert things.create_index("email", unique=True) == "email_1"
    things.insert_many([{"_id": 1, "email": "a@example.com"}, {"_id": 2, "email": "b@example.com"}])
    with pytest.raises(DuplicateKeyError) as caught:
        things.insert_one({"email": "a@example.com"})
    assert caught.value.details["keyPattern"] == {"email": 1}
    assert caught.value.details["keyValue"] == {"email": "a@example.com"}
    with pytest.raises(DuplicateKeyError):
        things.update_one({"_id": 2}, {"$set": {"email": "a@example.com"}})
    assert things.find_one({"_id": 2})["email"] == "b@example.com"
    things.delete_one({"_id": 1})
    things.insert_one({"_id": 3, "email": "a@example.com"})
    things.drop_index("email_1")
    things.insert_one({"_id": 4, "email": "a@example.com"})
    with pytest.raises(DuplicateKeyError):
        things.create_index("email", unique=True)


def test_unique_over_several_fields_sparse_and_partial(things: Documents) -> None:
    things.create_index([("a", 1), ("b", -1)], unique=True)
    things.create_index("s", unique=True, sparse=True)
    active = {"active": True}
    things.create_index("name", unique=True, partialFilterExpression=active)
    things.insert_many([{"a": 1, "b": 1, "name": "x"}, {"a": 1, "b": 2, "name": "x"}])
    things.insert_one({"a": 2, "b": 1, "s": 5, "name": "x", "active": True})
    for document in ({"a": 1, "b": 2}, {"a": 3, "s": 5}, {"a": 4, "name": "x", "active": True}):
        with pytest.raises(DuplicateKeyError):
            things.insert_one(document)


def test_indexes_are_listed_and_dropped(things: Documents) -> None:
    things.create_indexes([IndexModel("a"), IndexModel([("b", -1)], name="down", unique=True)])
    assert set(things.index_information()) == {"_id_", "a_1", "down"}
    assert things.create_index("a") == "a_1", "the same index once more is no error"
    with pytest.raises(OperationFailure) as caught:
        things.create_index("a", unique=True)
    assert caught.value.code == 86
    with pytest.raises(OperationFailure) as caught:
        things.drop_index("none_1")
    assert caught.value.code == 27
    things.drop_indexes()
    assert list(things.index_information()) == ["_id_"]


def test_a_look_up_by_id_finds_what_a_scan_finds(things: Documents) -> None:
    ids: list[Any] = [1, "1", None, 2.5, {"a": 1}, datetime(2025, 10, 26), ObjectId(), Int64(7)]
    things.insert_many([{"_id": value, "same": value} for value in ids])
    queries = [*ids, "none", 1.0, {"$in": [2.5, 1, 1, "x"]}, {"$eq": 7}, {"$in": []}]
    queries += [{"$in": ["1", None], "$ne": None}, {"$gt": 1}, Regex("^1")]
    for query in queries:
        scanned = [d["_id"] for d in things.find({"same": query}).sort("_id")]
        assert [d["_id"] for d in things.find({"_id": query}).sort("_id")] == scanned
    assert things.count_documents({"_id": 1, "same": "other"}) == 0


def test_a_ttl_index_removes_what_has_expired(things: Documents) -> None:
    now = datetime.now(UTC)
    things.create_index("at", expireAfterSeconds=60)
    things.insert_many(
        [{"_id": 1, "at": now - timedelta(hours=1)}, {"_id": 2, "at": now}, {"_id": 3, "at": "x"}]
    )
    assert [d["_id"] for d in things.find()] == [2, 3]


def test_collections_and_databases(client: Client) -> None:
    database = client["test"]
    database.create_collection("empty")
    database["full"].insert_one({})
    assert sorted(database.list_collection_names()) == ["empty", "full"]
    assert database.list_collection_names(filter={"name": {"$regex": "^e"}}) == ["empty"]
    assert next(database.list_collections())["idIndex"]["name"] == "_id_"
    assert "test" in client.list_database_names()
    database["full"].delete_many({})
    assert "full" in database.list_collection_names()
    database["full"].drop()
    assert database.list_collection_names() == ["empty"]
    with pytest.raises(OperationFailure) as caught:
        database.create_collection("empty", check_exists=False)
    assert caught.value.code == 48
    client.drop_database("test")
    assert "test" not in client.list_database_names()
