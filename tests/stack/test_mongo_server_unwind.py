"""`$unwind` on the embedded MongoDB: what real ones answer, and nothing shared between facets."""

from typing import Any

import pytest
from mongomock import aggregate
from pymongo.errors import OperationFailure

from course.measure import seconds
from course.stack.mongo_server.aggregation import unwound
from tests.stack.mongo_process import Documents

KEEP = {"preserveNullAndEmptyArrays": True}
# one document, the stage's options, what comes out of it; `_id` is left out
CASES: list[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]] = [
    ({"a": [1, 2], "b": 0}, {"path": "$a"}, [{"a": 1, "b": 0}, {"a": 2, "b": 0}]),
    ({"a": 7}, {"path": "$a"}, [{"a": 7}]),
    ({"a": [None, []]}, {"path": "$a"}, [{"a": None}, {"a": []}]),
    ({"a": []}, {"path": "$a"}, []),
    ({"a": None}, {"path": "$a"}, []),
    ({"b": 1}, {"path": "$a"}, []),
    ({"a": [], "b": 1}, {"path": "$a", **KEEP}, [{"b": 1}]),
    ({"a": None}, {"path": "$a", **KEEP}, [{"a": None}]),
    ({"b": 1}, {"path": "$a", **KEEP}, [{"b": 1}]),
    ({"b": 1}, {"path": "$a.c", **KEEP}, [{"b": 1}]),
    ({"a": {"c": [1, 2], "d": 3}}, {"path": "$a.c"}, [{"a": {"c": n, "d": 3}} for n in (1, 2)]),
    ({"a": {"c": [], "d": 3}}, {"path": "$a.c", **KEEP}, [{"a": {"d": 3}}]),
    ({"a": [{"c": [1]}]}, {"path": "$a.c"}, []),
    (
        {"a": ["x", "y"]},
        {"path": "$a", "includeArrayIndex": "n"},
        [{"a": "x", "n": 0}, {"a": "y", "n": 1}],
    ),
    ({"a": 7}, {"path": "$a", "includeArrayIndex": "n"}, [{"a": 7, "n": None}]),
    ({"a": []}, {"path": "$a", "includeArrayIndex": "n", **KEEP}, [{"n": None}]),
    ({"a": [7], "p": 1}, {"path": "$a", "includeArrayIndex": "q.n"},
     [{"a": 7, "p": 1, "q": {"n": 0}}]),
]  # fmt: skip


@pytest.mark.parametrize(("document", "options", "expected"), CASES)
def test_unwind(
    things: Documents,
    document: dict[str, Any],
    options: dict[str, Any],
    expected: list[dict[str, Any]],
) -> None:
    things.insert_one({"_id": 1, **document})
    found = list(things.aggregate([{"$unwind": options}]))
    assert found == [{"_id": 1, **one} for one in expected]
    assert list(things.find()) == [{"_id": 1, **document}]


@pytest.mark.parametrize(
    ("options", "code"),
    [("a", 28818), ({"path": "a"}, 28818), ({"includeArrayIndex": "n"}, 28812),
     ({"path": "$a", "preserve": True}, 28811), (7, 14)],
)  # fmt: skip
def test_wrong_options_are_refused(things: Documents, options: Any, code: int) -> None:
    with pytest.raises(OperationFailure) as caught:
        things.aggregate([{"$unwind": options}])
    assert caught.value.code == code


def test_one_facet_does_not_see_what_another_sets(things: Documents) -> None:
    things.insert_one({"_id": 1, "a": [1, 2], "b": {"c": 0}})
    unwind, only_first = {"$unwind": "$a"}, {"$match": {"a": 1}}
    facets = {"set": [unwind, only_first, {"$set": {"b.c": 5}}], "plain": [unwind]}
    (found,) = things.aggregate([{"$facet": facets}])
    assert found["set"] == [{"_id": 1, "a": 1, "b": {"c": 5}}]
    assert found["plain"] == [{"_id": 1, "a": n, "b": {"c": 0}} for n in (1, 2)]
    assert things.find_one() == {"_id": 1, "a": [1, 2], "b": {"c": 0}}


def test_a_long_array_is_not_copied_for_each_of_its_elements() -> None:
    numbers = [{"n": number, "text": "x"} for number in range(500)]
    document = {"_id": 1, "a": numbers, "b": numbers}
    ours, theirs = (
        seconds(lambda: list(unwound(document, {"path": "$a"}))),
        seconds(lambda: aggregate._handle_unwind_stage([document], None, {"path": "$a"})),
    )
    assert ours * 20 < theirs
