"""Filters and sorts against a few lines of plain Python that say what MongoDB means."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from bson import Regex
from hypothesis import given
from hypothesis import strategies as st
from mongomock.filtering import NOTHING, filter_applies

from course.stack.mongo_server.aggregation import Expression, correct_mongomock
from course.stack.mongo_server.queries import check_expression, check_filter
from course.stack.mongo_server.storage import Collection, Server

numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.0])
# No booleans beside numbers: to mongomock, True equals 1 (as the package's docstring says).
scalars = st.none() | numbers | st.sampled_from(["", "a", "b", "ab"])
values = scalars | st.lists(scalars, max_size=3)
documents = st.lists(
    st.fixed_dictionaries({}, optional={"a": values, "b": numbers, "c": scalars}), max_size=8
)
flags = st.none() | st.booleans() | st.sampled_from(["", "a"])
COMPARE = {
    "$gt": lambda left, right: left > right,
    "$gte": lambda left, right: left >= right,
    "$lt": lambda left, right: left < right,
    "$lte": lambda left, right: left <= right,
}


def kind(value: Any) -> str:
    """The type as MongoDB tells types apart: all numbers are one, booleans are another."""
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def same(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return kind(left) == kind(right) and left == right


def meant(document: dict[str, Any], field: str) -> list[Any]:
    """The field's value and, if it is an array, its elements; a missing one counts as null."""
    value = document.get(field)
    return [value, *value] if isinstance(value, list) else [value]


def found(document: dict[str, Any], field: str, operator: str, wanted: Any) -> bool:
    if operator == "$eq":
        return any(same(value, wanted) for value in meant(document, field))
    if operator == "$in":
        return any(found(document, field, "$eq", one) for one in wanted)
    if operator == "$exists":
        return (field in document) == wanted
    return any(
        kind(value) == kind(wanted) and COMPARE[operator](value, wanted)
        for value in meant(document, field)
    )


@pytest.fixture(scope="module", autouse=True)
def corrected() -> None:
    correct_mongomock()


def compiled(query: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    check_filter(query)
    return lambda document: bool(filter_applies(query, document))


def stored_in(documents: list[dict[str, Any]]) -> Collection:
    collection = Server().get_database("test").get_collection("things")
    for document in documents:
        collection.add(document)
    return collection


@given(documents, st.sampled_from("abc"), st.sampled_from(["$eq", "$ne"]), values)
def test_equality(stored: list[dict[str, Any]], field: str, operator: str, wanted: Any) -> None:
    matches = compiled({field: {operator: wanted}})
    for document in stored:
        assert matches(document) == (found(document, field, "$eq", wanted) == (operator == "$eq"))


@given(st.lists(st.fixed_dictionaries({}, optional={"f": flags})), flags)
def test_equality_of_booleans(stored: list[dict[str, Any]], wanted: Any) -> None:
    for document in stored:
        assert compiled({"f": wanted})(document) == found(document, "f", "$eq", wanted)


@given(documents, st.sampled_from("abc"), st.sampled_from(sorted(COMPARE)), numbers)
def test_comparisons(stored: list[dict[str, Any]], field: str, operator: str, wanted: Any) -> None:
    matches = compiled({field: {operator: wanted}})
    for document in stored:
        assert matches(document) == found(document, field, operator, wanted)


@given(documents, st.sampled_from("abc"), st.lists(scalars, max_size=3), st.booleans())
def test_in_exists_and_their_combinations(
    stored: list[dict[str, Any]], field: str, wanted: list[Any], exists: bool
) -> None:
    choice, presence = {field: {"$in": wanted}}, {field: {"$exists": exists}}
    for document in stored:
        first = found(document, field, "$in", wanted)
        second = found(document, field, "$exists", exists)
        assert compiled({"$and": [choice, presence]})(document) == (first and second)
        assert compiled({"$or": [choice, presence]})(document) == (first or second)
        assert compiled({"$nor": [choice]})(document) == (not first)
        assert compiled({field: {"$not": {"$in": wanted}}})(document) == (not first)


@given(st.lists(st.fixed_dictionaries({"b": numbers, "c": numbers}), max_size=8))
def test_sorting_by_two_fields(stored: list[dict[str, Any]]) -> None:
    expected = sorted(stored, key=lambda document: (document["b"], -document["c"]))
    collection = stored_in([{"_id": n, **document} for n, document in enumerate(stored)])
    assert list(collection.documents({}, {"b": 1, "c": -1}, {"_id": 0})) == expected


def test_values_of_all_types_have_one_order() -> None:
    ascending = [None, -1, Decimal("0.5"), 1, 2.5, "a", "b", {"a": 1}, b"x", False, True]
    mixed = [{"v": value} for value in ascending[::2] + ascending[1::2]]
    assert [d["v"] for d in stored_in(mixed).documents({}, {"v": 1})] == ascending


@pytest.mark.parametrize(
    ("query", "document", "expected"),
    [
        ({"a.b": 1}, {"a": [{"b": 2}, {"b": 1}]}, True),
        ({"a.1.b": 1}, {"a": [{"b": 2}, {"b": 1}]}, True),
        ({"a.b": None}, {"a": {}}, True),
        ({"a": {"$elemMatch": {"b": 1, "c": 2}}}, {"a": [{"b": 1, "c": 3}, {"c": 2}]}, False),
        ({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, {"a": [0, 2, 5]}, True),
        ({"a": {"$all": ["x", "y"]}}, {"a": ["y", "x", "z"]}, True),
        ({"a": {"$size": 1}}, {"a": "x"}, False),
        ({"a": {"$size": 2}}, {"a": [1, 2]}, True),
        ({"a": {"$regex": "^K", "$options": "i"}}, {"a": "kyiv"}, True),
        ({"a": Regex("v$")}, {"a": ["Lviv"]}, True),
        ({"a": {"$in": [Regex("^x"), "b"]}}, {"a": "xyz"}, True),
        ({"a": {"$type": "string"}}, {"a": [1, "x"]}, True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, False),
        ({"$expr": {"$gt": ["$a", "$b"]}}, {"a": 2, "b": 1}, True),
        ({"a": {"$gt": Decimal("1.5")}}, {"a": 2}, True),
    ],
)
def test_matching(query: dict[str, Any], document: dict[str, Any], expected: bool) -> None:
    assert compiled(query)(document) is expected


EXPRESSIONS: list[tuple[Any, Any]] = [
    ("$a", 7),
    ("$none", NOTHING),
    ("$items.n", [1, 2]),
    ({"x": "$a", "y": "$none"}, {"x": 7}),
    ({"$add": ["$a", 1, 2.5]}, 10.5),
    ({"$subtract": ["$at", datetime(2025, 10, 26)]}, 12 * 3600 * 1000),
    ({"$multiply": ["$price", 3]}, Decimal("0.30")),
    ({"$divide": ["$a", 2]}, 3.5),
    ({"$mod": [-7, 3]}, -1),
    ({"$add": ["$a", "$none"]}, None),
    ({"$eq": ["$none", None]}, False),
    ({"$lt": ["$none", 0]}, True),
    ({"$not": [{"$eq": ["$a", 7]}]}, False),
    ({"$in": ["$a", [1, 7]]}, True),
    ({"$in": [7, ["$a", 1]]}, True),
    ({"$cond": [{"$gt": ["$a", 5]}, "big", "small"]}, "big"),
    ({"$ifNull": ["$none", "nobody"]}, "nobody"),
    ({"$filter": {"input": "$items.n", "cond": {"$gt": ["$$this", 1]}}}, [2]),
    ({"$map": {"input": "$items", "as": "i", "in": {"$multiply": ["$$i.n", "$a"]}}}, [7, 14]),
    ({"$let": {"vars": {"x": "$a"}, "in": {"$add": ["$$x", 1]}}}, 8),
    ({"$sum": "$items.n"}, 3),
    ({"$max": ["$a", "$none", 9]}, 9),
    ({"$first": "$items.n"}, 1),
    ({"$arrayElemAt": ["$items.n", -1]}, 2),
    ({"$arrayElemAt": ["$items.n", 5]}, NOTHING),
    ({"$size": "$items"}, 2),
    ({"$concat": ["$city", "!"]}, "Zürich!"),
    ({"$concat": ["$city", "$none"]}, None),
    ({"$isNumber": "$price"}, True),
    ({"$year": "$at"}, 2025),
    ({"$dayOfWeek": "$at"}, 1),
    ({"$dateToString": {"format": "%Y-%m-%d", "date": "$at"}}, "2025-10-26"),
    ({"$switch": {"branches": [{"case": False, "then": 1}], "default": 2}}, 2),
    ({"$literal": "$a"}, "$a"),
]


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=str)
def test_expressions(expression: Any, expected: Any) -> None:
    document = {
        "a": 7,
        "at": datetime(2025, 10, 26, 12),
        "price": Decimal("0.10"),
        "ratio": 2.345,
        "items": [{"n": 1}, {"n": 2}],
        "city": "Zürich",
    }
    check_expression(expression)
    value = Expression(document, ignore_missing_keys=True)._parse_or_nothing(expression)
    assert value == expected
    assert isinstance(value, bool) == isinstance(expected, bool)
