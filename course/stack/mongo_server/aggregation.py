"""Pipelines: mongomock's stages in a row, and the places where mongomock has to be corrected.

Each correction replaces a function of mongomock by a few lines. They are here because lessons need
the right answer; whatever would need more than that is refused (see `queries`).
"""

import copy
import operator
from collections.abc import Callable, Iterator
from numbers import Number
from typing import Any

import mongomock
from mongomock import aggregate, collection, filtering
from mongomock.filtering import NOTHING, BsonComparable, bson_compare, iter_key_candidates

from course.stack.mongo_server.wire import Document, words

# The MongoDB whose protocol the server speaks and whose rules mongomock follows.
MIMICS = "5.0.0"
STAGES: dict[str, Any] = aggregate._PIPELINE_HANDLERS
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    **filtering.SORTING_OPERATOR_MAP,
}
ONE_OPERAND = words(
    "$abs $arrayToObject $avg $ceil $dayOfMonth $dayOfWeek $dayOfYear $exp $floor $hour $isArray "
    "$isNumber $ln $log10 $max $millisecond $min $minute $month $not $objectToArray $second "
    "$size $sqrt $sum $toInt $toLong $toLower $toUpper $trunc $week $year"
)


def run(documents: list[Document], database: Any, pipeline: list[Document]) -> list[Document]:
    """The documents after a checked pipeline; they are not changed themselves."""
    for stage in pipeline:
        ((name, options),) = stage.items()
        if name == "$match":  # mongomock would copy what passes, whole
            documents = [one for one in documents if filtering.filter_applies(options, one)]
        elif name == "$facet":
            documents = [{field: run(documents, database, one) for field, one in options.items()}]
        elif name == "$lookup":
            documents = [looked_up(document, database, options) for document in documents]
        elif name == "$group":
            documents = grouped(documents, options)
        elif name == "$unwind":
            options = options if isinstance(options, dict) else {"path": options}
            documents = [one for document in documents for one in unwound(document, options)]
        elif documents:  # mongomock counts nothing as one document
            options = dict(options) if isinstance(options, dict) else options
            if name in ("$addFields", "$set") and any("." in field for field in options):
                documents = copy.deepcopy(documents)  # mongomock writes into what others may hold
            documents = list(STAGES[name](documents, database, options))
    return documents


def grouped(documents: list[Document], options: Document) -> list[Document]:
    """The documents after `$group`; mongomock sorts them first, which takes five times as long."""
    groups: dict[Any, tuple[Any, list[Document]]] = {}
    for document in documents:
        parser = Expression(document, ignore_missing_keys=True)
        key = _or_null(parser._parse_or_nothing(options["_id"]))
        groups.setdefault(frozen(key), (key, []))[1].append(document)
    return [accumulated(options, members) | {"_id": key} for key, members in groups.values()]


def frozen(value: Any) -> Any:
    """A hashable stand-in for a value; unlike Python, it keeps True and 1 apart."""
    if isinstance(value, dict):
        return tuple((name, frozen(item)) for name, item in value.items())
    if isinstance(value, list):
        return (list, *(frozen(item) for item in value))
    return (bool, value) if isinstance(value, bool) else value


def unwound(document: Document, options: Document) -> Iterator[Document]:
    """A document for each element of an array; mongomock copies everything for each of them."""
    path, place = options["path"][1:].split("."), options.get("includeArrayIndex")
    value: Any = document
    for name in path:
        value = value.get(name, NOTHING) if isinstance(value, dict) else NOTHING
    elements: list[tuple[int | None, Any]] = [(None, NOTHING if value == [] else value)]
    if isinstance(value, list) and value:
        elements = list(enumerate(value))
    elif value in (NOTHING, None, []) and not options.get("preserveNullAndEmptyArrays"):
        return
    for number, element in elements:
        one = document if element is value else with_field(document, path, element)
        yield with_field(one, place.split("."), number) if place else one


def with_field(document: Document, path: list[str], value: Any) -> Document:
    """The document with another value at a path, or with none there if it is NOTHING."""
    name, *rest = path
    if rest:
        inner = document.get(name)
        value = with_field(inner if isinstance(inner, dict) else {}, rest, value)
    if value is NOTHING:
        return {field: kept for field, kept in document.items() if field != name}
    return {**document, name: value}


def looked_up(document: Document, database: Any, options: Document) -> Document:
    """The document after `$lookup`; mongomock doesn't look into arrays of documents."""
    wanted: list[Any] = []
    for value in candidates(options["localField"], document):
        wanted += value if isinstance(value, list) else [None if value is NOTHING else value]
    query = {options["foreignField"]: {"$in": wanted}}
    return {**document, options["as"]: list(database[options["from"]].documents(query))}


class Expression(aggregate._Parser):
    """Mongomock's expressions, corrected."""

    def parse(self, expression: Any) -> Any:
        """A list is an expression as well, and one operand may stand in a list of its own."""
        if isinstance(expression, list):
            values = [self._parse_or_nothing(item) for item in expression]
            return [None if value is NOTHING else value for value in values]
        if isinstance(expression, dict) and len(expression) == 1:
            ((name, operand),) = expression.items()
            if name in ONE_OPERAND and isinstance(operand, list) and len(operand) == 1:
                expression = {name: operand[0]}
        return super().parse(expression)

    def _parse_basic_expression(self, expression: Any) -> Any:
        """A path through an array collects what some elements have; not all need to have it."""
        if not isinstance(expression, str) or not expression.startswith("$"):
            return expression
        root = self._doc_dict
        if expression.startswith("$$"):
            root = {"ROOT": root, "CURRENT": root, **self._user_vars}
        value = at_path(root, expression.lstrip("$").split("."))
        if value is NOTHING:
            raise KeyError(expression)
        return value

    def _handle_comparison_operator(self, name: str, operands: list[Any]) -> bool:
        """Values compare in BSON's order, and a missing one comes before all others."""
        left, right = (self._parse_or_nothing(operand) for operand in operands)
        if left is NOTHING or right is NOTHING:
            left, right = left is not NOTHING, right is not NOTHING
        return bool(bson_compare(COMPARISONS[name], left, right))

    def _handle_project_operator(self, name: str, operand: Any) -> Any:
        """`$sum` and its kin take any expression, not only a path or a list."""
        if name not in ACCUMULATORS:
            return super()._handle_project_operator(name, operand)
        values = self._parse_or_nothing(operand)
        return ACCUMULATORS[name](values if isinstance(values, list) else [values])


def at_path(value: Any, path: list[str]) -> Any:
    """What stands at a path, or NOTHING; for an array, what its elements have there."""
    for place, name in enumerate(path):
        if isinstance(value, list):
            found = (at_path(item, path[place:]) for item in value)
            return [item for item in found if item is not NOTHING]
        value = value.get(name, NOTHING) if isinstance(value, dict) else NOTHING
    return value


def accumulated(fields: Document, documents: list[Document]) -> Document:
    """The fields of one group; mongomock skips missing values and takes 0 for null in a set."""
    result: Document = {"_id": None}
    for field, accumulator in fields.items():
        if field != "_id":
            ((name, expression),) = accumulator.items()
            values = [
                Expression(one, None, True)._parse_or_nothing(expression) for one in documents
            ]
            result[field] = ACCUMULATORS[name](values)
    return result


def _numbers(values: list[Any]) -> list[Any]:
    """A boolean is no number, and Decimals are added up as they are."""
    return [v for v in values if isinstance(v, Number) and not isinstance(v, bool)]


def _average(values: list[Any]) -> Any:
    known = _numbers(values)
    return sum(known) / len(known) if known else None


def _extreme(choose: Callable[..., BsonComparable], values: list[Any]) -> Any:
    ranked = (BsonComparable(v) for v in values if v is not NOTHING and v is not None)
    return choose(ranked, default=BsonComparable(None)).obj


def _present(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not NOTHING]


def _or_null(value: Any) -> Any:
    return None if value is NOTHING else value


ACCUMULATORS: dict[str, Callable[[list[Any]], Any]] = {
    "$addToSet": lambda values: list({frozen(v): v for v in _present(values)}.values()),
    "$avg": _average,
    "$first": lambda values: _or_null(values[0]) if values else None,
    "$last": lambda values: _or_null(values[-1]) if values else None,
    "$max": lambda values: _extreme(max, values),
    "$min": lambda values: _extreme(min, values),
    "$push": _present,
    "$sum": lambda values: sum(_numbers(values)),
}


def candidates(path: str, value: Any) -> Any:
    """What a filter finds at a path; a plain value has nothing inside, which counts as null."""
    if path and not isinstance(value, dict | list):
        return [NOTHING]
    return iter_key_candidates(path, value)


def element_matches(value: Any, condition: Document) -> bool:
    """`$elemMatch`: only documents can meet conditions on fields."""
    if isinstance(value, list) and not any(name.startswith("$") for name in condition):
        value = [item for item in value if isinstance(item, dict | list)]
    return bool(filtering._filterer_inst._elem_match_op(value, condition))


def correct_mongomock() -> None:
    """Put the corrections into mongomock; once more does no harm."""
    mongomock.SERVER_VERSION = MIMICS  # else taken from the environment
    vars(collection).update(BSON=None)  # it would check once more what arrived as BSON
    vars(aggregate).update(_Parser=Expression, _accumulate_group=accumulated)
    vars(filtering).update(iter_key_candidates=candidates)
    filtering._filterer_inst._operator_map |= {
        "$elemMatch": element_matches,
        "$size": lambda value, size: isinstance(value, list) and len(value) == size,
    }
