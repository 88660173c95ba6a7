"""What the embedded MongoDB's aggregation answers, and what it refuses and how."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from bson import Decimal128
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from tests.stack.mongo_process import running_server

Documents = Collection[dict[str, Any]]
ORDERS: list[dict[str, Any]] = [
    {"_id": 1, "city": "Kyiv", "channel": "web", "total": 10, "at": datetime(2025, 10, 1, 9)},
    {"_id": 2, "city": "Kyiv", "channel": "store", "total": 20, "at": datetime(2025, 10, 2, 9)},
    {"_id": 3, "city": "Lviv", "channel": "web", "total": 30, "at": datetime(2025, 11, 3, 9)},
    {"_id": 4, "city": "Kyiv", "channel": "web", "total": 40, "at": datetime(2025, 11, 4, 9)},
]
for order in ORDERS:
    order["items"] = [{"product": order["_id"], "quantity": 2}, {"product": 9, "quantity": 1}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server() as (_, address):
        yield address


@pytest.fixture(scope="module")
def orders(url: str) -> Iterator[Documents]:
    with MongoClient[dict[str, Any]](url) as client:
        database = client["test"]
        database["orders"].insert_many(ORDERS)
        database["products"].insert_many([{"_id": n, "name": f"p{n}"} for n in (1, 2, 9)])
        database["odd"].insert_many(
            [{"_id": 1, "flag": True, "n": 0}, {"_id": 2, "n": 2}, {"_id": 3, "flag": False}]
        )
        database["money"].insert_many(
            [{"_id": n, "price": Decimal128(p)} for n, p in enumerate(("0.10", "0.20", "19.90"))]
        )
        yield database["orders"]


PIPELINES: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = [
    (
        "orders",
        [
            {"$match": {"total": {"$gt": 10}}},
            {
                "$group": {
                    "_id": {"city": "$city", "channel": "$channel"},
                    "total": {"$sum": "$total"},
                    "orders": {"$sum": 1},
                    "best": {"$max": "$total"},
                    "average": {"$avg": "$total"},
                }
            },
            {"$sort": {"total": -1, "_id.city": 1}},
            {"$limit": 2},
        ],
        [
            {
                "_id": {"city": "Kyiv", "channel": "web"},
                "total": 40,
                "orders": 1,
                "best": 40,
                "average": 40.0,
            },
            {
                "_id": {"city": "Lviv", "channel": "web"},
                "total": 30,
                "orders": 1,
                "best": 30,
                "average": 30.0,
            },
        ],
    ),
    (
        "orders",
        [
            {"$unwind": "$items"},
            {"$match": {"items.product": {"$lt": 3}}},
            {
                "$lookup": {
                    "from": "products",
                    "localField": "items.product",
                    "foreignField": "_id",
                    "as": "product",
                }
            },
            {"$unwind": {"path": "$product", "preserveNullAndEmptyArrays": True}},
            {"$project": {"_id": 0, "name": "$product.name", "items.quantity": 1}},
        ],
        [
            {"items": {"quantity": 2}, "name": "p1"},
            {"items": {"quantity": 2}, "name": "p2"},
        ],
    ),
    (
        "orders",
        [
            {"$match": {"_id": 1}},
            {
                "$lookup": {
                    "from": "products",
                    "localField": "items.product",
                    "foreignField": "_id",
                    "as": "found",
                }
            },
            {"$project": {"found.name": 1}},
        ],
        [{"_id": 1, "found": [{"name": "p1"}, {"name": "p9"}]}],
    ),
    (
        "orders",
        [
            {
                "$facet": {
                    "cities": [
                        {"$group": {"_id": "$city", "count": {"$sum": 1}}},
                        {"$sort": {"count": -1}},
                    ],
                    "sizes": [
                        {"$bucket": {"groupBy": "$total", "boundaries": [0, 20, 50]}},
                    ],
                    "number": [{"$count": "orders"}],
                    "none": [{"$match": {"_id": 99}}, {"$count": "orders"}],
                }
            }
        ],
        [
            {
                "cities": [{"_id": "Kyiv", "count": 3}, {"_id": "Lviv", "count": 1}],
                "sizes": [{"_id": 0, "count": 1}, {"_id": 20, "count": 3}],
                "number": [{"orders": 4}],
                "none": [],
            }
        ],
    ),
    (
        "orders",
        [
            {"$group": {"_id": {"$dateToString": {"format": "%Y-%m", "date": "$at"}}}},
            {"$sort": {"_id": 1}},
        ],
        [{"_id": "2025-10"}, {"_id": "2025-11"}],
    ),
    (
        "odd",
        [
            {
                "$group": {
                    "_id": None,
                    "flags": {"$sum": "$flag"},
                    "first": {"$last": "$n"},
                    "set": {"$addToSet": "$n"},
                    "list": {"$push": {"n": "$n"}},
                }
            }
        ],
        [
            {
                "_id": None,
                "flags": 0,
                "first": None,
                "set": [0, 2],
                "list": [{"n": 0}, {"n": 2}, {}],
            }
        ],
    ),
    (
        "odd",
        [
            {
                "$project": {
                    "equal": {"$eq": ["$n", 2]},
                    "less": {"$lt": ["$n", 1]},
                    "not": {"$not": ["$flag"]},
                    "pair": ["$_id", "$n"],
                }
            }
        ],
        [
            {"_id": 1, "equal": False, "less": True, "not": False, "pair": [1, 0]},
            {"_id": 2, "equal": True, "less": False, "not": True, "pair": [2, 2]},
            {"_id": 3, "equal": False, "less": True, "not": True, "pair": [3, None]},
        ],
    ),
    (
        "money",
        [
            {
                "$group": {
                    "_id": None,
                    "sum": {"$sum": "$price"},
                    "max": {"$max": "$price"},
                    "net": {"$sum": {"$multiply": ["$price", 2]}},
                }
            },
            {"$project": {"_id": 0}},
        ],
        [{"sum": Decimal128("20.20"), "max": Decimal128("19.90"), "net": Decimal128("40.40")}],
    ),
    (
        "orders",
        [
            {"$match": {"_id": 1}},
            {"$set": {"pieces": {"$sum": "$items.quantity"}, "city": {"$toUpper": "$city"}}},
            {"$project": {"_id": 0, "items.quantity": 1, "pieces": 1, "city": 1}},
        ],
        [{"items": [{"quantity": 2}, {"quantity": 1}], "pieces": 3, "city": "KYIV"}],
    ),
    (
        "orders",
        [{"$match": {"$expr": {"$gt": ["$total", {"$multiply": ["$_id", 10]}]}}}],
        [],
    ),
    (
        "orders",
        [
            {"$match": {"_id": {"$lte": 2}}},
            {"$unwind": {"path": "$items", "includeArrayIndex": "place"}},
            {"$replaceRoot": {"newRoot": {"what": "$items.product", "place": "$place"}}},
            {"$skip": 1},
        ],
        [{"what": 9, "place": 1}, {"what": 2, "place": 0}, {"what": 9, "place": 1}],
    ),
    ("orders", [{"$match": {"_id": 99}}, {"$count": "orders"}], []),
    ("nothing", [{"$group": {"_id": None, "n": {"$sum": 1}}}], []),
]


@pytest.mark.parametrize(("collection", "pipeline", "expected"), PIPELINES)
def test_pipelines(
    orders: Documents,
    collection: str,
    pipeline: list[dict[str, Any]],
    expected: list[dict[str, Any]],
) -> None:
    assert list(orders.database[collection].aggregate(pipeline)) == expected


def test_pipelines_leave_the_stored_documents_alone(orders: Documents) -> None:
    assert list(orders.find()) == ORDERS


def test_sample_takes_that_many(orders: Documents) -> None:
    assert len({d["_id"] for d in orders.aggregate([{"$sample": {"size": 3}}])}) == 3


def in_transaction(collection: Documents) -> None:
    with collection.database.client.start_session() as session, session.start_transaction():
        collection.insert_one({}, session=session)


NOT_SUPPORTED: dict[str, tuple[int, Callable[[Documents], Any]]] = {
    "the command explain": (59, lambda c: c.find().explain()),
    "the command mapReduce": (
        59,
        lambda c: c.database.command("mapReduce", "orders", map="", reduce="", out="x"),
    ),
    "the command collMod": (59, lambda c: c.database.command("collMod", "orders", validator={})),
    "the option validator of create": (
        115,
        lambda c: c.database.create_collection("v", validator={"a": 1}),
    ),
    "the option capped of create": (
        115,
        lambda c: c.database.create_collection("v", capped=True, size=1000),
    ),
    "transactions": (20, in_transaction),
    "change streams": (40573, lambda c: c.watch()),
    "the query operator $text": (115, lambda c: c.find_one({"$text": {"$search": "x"}})),
    "the query operator $where": (115, lambda c: c.find_one({"$where": "true"})),
    "the query operator $jsonSchema": (115, lambda c: c.find_one({"$jsonSchema": {}})),
    "the query operator $geoWithin": (115, lambda c: c.find_one({"at": {"$geoWithin": {}}})),
    "the option collation of find": (
        115,
        lambda c: c.find_one({}, collation={"locale": "en"}),
    ),
    "a computed field in a projection": (115, lambda c: c.find_one({}, {"x": "$total"})),
    "the positional operator $ in a projection": (115, lambda c: c.find_one({}, {"items.$": 1})),
    "$slice in a projection": (115, lambda c: c.find_one({}, {"items": {"$slice": 1}})),
    "the option arrayFilters of a write": (
        115,
        lambda c: c.update_one({}, {"$set": {"items.$[i].x": 1}}, array_filters=[{"i.product": 1}]),
    ),
    "the array operators $[]": (115, lambda c: c.update_one({}, {"$set": {"items.$[].x": 1}})),
    "the positional operator $ for several arrays": (
        115,
        lambda c: c.update_one({"a": 1, "b": 1}, {"$set": {"a.$": 2, "b.$": 2}}),
    ),
    "an upsert whose filter has $and": (
        115,
        lambda c: c.update_one({"$and": [{"a": 1}]}, {"$set": {"b": 2}}, upsert=True),
    ),
    "$addToSet with": (
        2,
        lambda c: c.update_one({}, {"$addToSet": {"t": {"$each": [1, 1]}}}),
    ),
    "the update operator $mul": (115, lambda c: c.update_one({}, {"$mul": {"total": 2}})),
    "$gte with None": (2, lambda c: c.find_one({"total": {"$gte": None}})),
    "$type with 'int'": (2, lambda c: c.find_one({"total": {"$type": "int"}})),
    "the query operator $mod": (115, lambda c: c.find_one({"total": {"$mod": [2, 0]}})),
    "the update operator $bit": (115, lambda c: c.update_one({}, {"$bit": {"n": {"or": 1}}})),
    "text indexes": (115, lambda c: c.create_index([("city", "text")])),
    "2dsphere indexes": (115, lambda c: c.create_index([("at", "2dsphere")])),
    "wildcard indexes": (115, lambda c: c.create_index("$**")),
    "the index option collation": (
        115,
        lambda c: c.create_index("city", collation={"locale": "en"}),
    ),
    "the pipeline stage $setWindowFields": (
        40324,
        lambda c: c.aggregate([{"$setWindowFields": {}}]),
    ),
    "the pipeline stage $merge": (40324, lambda c: c.aggregate([{"$merge": {"into": "x"}}])),
    "the pipeline stage $out": (40324, lambda c: c.aggregate([{"$out": "x"}])),
    "the pipeline stage $unset": (40324, lambda c: c.aggregate([{"$unset": "x"}])),
    "the pipeline stage $sortByCount": (40324, lambda c: c.aggregate([{"$sortByCount": "$x"}])),
    "the pipeline stage $graphLookup": (40324, lambda c: c.aggregate([{"$graphLookup": {}}])),
    "computing a dotted field": (115, lambda c: c.aggregate([{"$set": {"a.b": "$total"}}])),
    "an embedded document for a": (
        115,
        lambda c: c.aggregate([{"$project": {"a": {"b": 1}}}]),
    ),
    "the aggregation operator $round": (
        168,
        lambda c: c.aggregate([{"$set": {"x": {"$round": ["$total", 1]}}}]),
    ),
    "the aggregation operator $toString": (
        168,
        lambda c: c.aggregate([{"$set": {"x": {"$toString": "$at"}}}]),
    ),
    "the pipeline stage $unionWith": (40324, lambda c: c.aggregate([{"$unionWith": "x"}])),
    "the aggregation operator $dateTrunc": (
        168,
        lambda c: c.aggregate([{"$project": {"x": {"$dateTrunc": {}}}}]),
    ),
    "$lookup with let or pipeline": (
        115,
        lambda c: c.aggregate([{"$lookup": {"from": "x", "pipeline": [], "as": "y"}}]),
    ),
    "the accumulator $percentile": (
        15952,
        lambda c: c.aggregate([{"$group": {"_id": None, "x": {"$percentile": {}}}}]),
    ),
    "the date format %H:%M:%S.%L": (
        115,
        lambda c: c.aggregate(
            [{"$project": {"x": {"$dateToString": {"date": "$at", "format": "%H:%M:%S.%L"}}}}]
        ),
    ),
    "$dateToString with anything but date and format": (
        115,
        lambda c: c.aggregate([{"$project": {"x": {"$dateToString": {"date": "$at"}}}}]),
    ),
    "the variable $$NOW": (115, lambda c: c.aggregate([{"$project": {"x": "$$NOW"}}])),
}


@pytest.mark.parametrize("what", NOT_SUPPORTED)
def test_what_it_cannot_do_it_refuses_by_name(orders: Documents, what: str) -> None:
    code, attempt = NOT_SUPPORTED[what]
    with pytest.raises(OperationFailure) as caught:
        attempt(orders)
    assert caught.value.code == code
    message = str(caught.value)
    assert message.startswith("the embedded MongoDB of this course (mongomock) does not support")
    assert what in message
    assert "use a real MongoDB: docker compose up -d" in message


@pytest.mark.parametrize("what", ["the pipeline stage $merge", "the query operator $text"])
def test_a_refusal_does_not_depend_on_the_data(orders: Documents, what: str) -> None:
    with pytest.raises(OperationFailure):
        NOT_SUPPORTED[what][1](orders.database["nothing"])
