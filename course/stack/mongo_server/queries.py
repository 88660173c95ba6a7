"""What is let through to mongomock: filters, sorts, projections, pipelines and expressions.

The lists hold what mongomock answers as MongoDB does. What is not on them is refused, whatever the
documents are: mongomock passes over much that it does not know.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from bson.regex import Regex

from course.stack.mongo_server.aggregation import ACCUMULATORS
from course.stack.mongo_server.errors import CommandError, unsupported
from course.stack.mongo_server.wire import words


def _is_plain(value: Any) -> bool:
    return not isinstance(value, Regex)


def _has_an_order(value: Any) -> bool:
    return value is not None and not isinstance(value, dict | list | Regex)


def _is_flat_list(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, list) for item in value)


TYPE_NAMES = frozenset({"array", "bool", "date", "double", "object", "objectId", "string"})
CONDITIONS: dict[str, Callable[[Any], bool]] = {
    "$all": lambda wanted: _is_flat_list(wanted) and bool(wanted) and None not in wanted,
    "$elemMatch": lambda wanted: isinstance(wanted, dict),
    "$eq": _is_plain,
    "$exists": lambda wanted: True,
    "$gt": _has_an_order,
    "$gte": _has_an_order,
    "$in": _is_flat_list,
    "$lt": _has_an_order,
    "$lte": _has_an_order,
    "$ne": _is_plain,
    "$nin": _is_flat_list,
    "$not": lambda wanted: isinstance(wanted, dict | Regex),
    "$options": lambda wanted: isinstance(wanted, str) and set(wanted) <= set("imsx"),
    "$regex": lambda wanted: isinstance(wanted, str | Regex),
    "$size": lambda wanted: isinstance(wanted, int) and wanted >= 0,
    "$type": lambda wanted: isinstance(wanted, str) and wanted in TYPE_NAMES,
}


def check_filter(query: Any) -> None:
    """Refuse a filter that mongomock would answer wrongly or not at all.

    Raises:
        CommandError: with MongoDB's code for the reason.
    """
    if not isinstance(query, dict):
        raise CommandError(14, "a filter must be a document")
    for path, wanted in query.items():
        if path in ("$and", "$or", "$nor"):
            if not isinstance(wanted, list) or not wanted:
                raise CommandError(2, f"{path} must be a nonempty array")
            for part in wanted:
                check_filter(part)
        elif path == "$expr":
            check_expression(wanted)
        elif path.startswith("$") and path != "$comment":
            raise unsupported(f"the query operator {path}")
        else:
            check_condition(wanted)


def check_condition(wanted: Any) -> None:
    """Refuse conditions on one field; a value that is no operator is fine."""
    if not isinstance(wanted, dict) or not any(name.startswith("$") for name in wanted):
        return
    for name, operand in wanted.items():
        if name not in CONDITIONS:
            raise unsupported(f"the query operator {name}")
        if not CONDITIONS[name](operand):
            raise unsupported(f"{name} with {operand!r}", code=2)
        if name == "$elemMatch":
            check_element(operand)
        for condition in operand if name == "$all" else [operand] if name == "$not" else []:
            check_condition(condition)


def check_element(condition: Any) -> None:
    """Refuse what is asked of an array's element: a condition on itself or on its fields."""
    if isinstance(condition, dict) and not set(condition) & set(CONDITIONS):
        check_filter(condition)
    check_condition(condition)


def check_sort(sort: Any) -> None:
    """Refuse a sort that is not a document of 1 and -1."""
    if not isinstance(sort, dict) or any(way not in (1, -1) for way in sort.values()):
        raise CommandError(15975, "a sort must be a document of fields with 1 or -1")


def check_projection(projection: Any) -> None:
    """Refuse projections that do more than include or exclude fields."""
    if not isinstance(projection, dict):
        raise CommandError(9, "a projection must be a document")
    for path, value in projection.items():
        if path.endswith(".$"):
            raise unsupported("the positional operator $ in a projection")
        if not isinstance(value, bool | int | float):
            what = next(iter(value), "") if isinstance(value, dict) else "a computed field"
            raise unsupported(f"{what} in a projection")


STAGES = words(
    "$addFields $bucket $count $facet $group $limit $lookup $match $project $replaceRoot $sample "
    "$set $skip $sort $unwind"
)
UPDATE_STAGES = frozenset({"$addFields", "$project", "$replaceRoot", "$set"})
OPERATORS = frozenset(ACCUMULATORS) | words(
    "$abs $add $and $arrayElemAt $arrayToObject $ceil $concat $concatArrays $cond $dateToString "
    "$dayOfMonth $dayOfWeek $dayOfYear $divide $eq $exp $filter $floor $gt $gte $hour $ifNull $in "
    "$isArray $isNumber $let $literal $ln $log10 $lt $lte $map $millisecond $minute $mod $month "
    "$multiply $ne $not $objectToArray $or $pow $regexMatch $second $setUnion $size $slice $split "
    "$sqrt $subtract $switch $toInt $toLong $toLower $toUpper $trunc $week $year"
)
# Names that must be there; mongomock takes an expression without them for a missing field.
REQUIRED = {
    "$bucket": {"groupBy", "boundaries"},
    "$cond": {"if", "then", "else"},
    "$filter": {"input", "cond"},
    "$group": {"_id"},
    "$let": {"vars", "in"},
    "$lookup": {"from", "localField", "foreignField", "as"},
    "$map": {"input", "in"},
    "$replaceRoot": {"newRoot"},
    "$sample": {"size"},
    "$switch": {"branches"},
}
OPTION_TYPES: dict[str, Any] = {
    "$count": str,
    "$limit": int,
    "$skip": int,
    "$unwind": str | dict,
}
DATE_FORMAT = re.compile("([^%]|%[YmdHMSjGVu%])*")
VARIABLE = re.compile(r"\$\$(ROOT|CURRENT|[a-z]\w*)(\.|$)")


def check_pipeline(pipeline: Any, stages: frozenset[str] = STAGES) -> None:
    """Refuse stages and options that mongomock lacks or takes for something else.

    Raises:
        CommandError: with MongoDB's code for the reason.
    """
    if not isinstance(pipeline, list):
        raise CommandError(14, "'pipeline' must be an array")
    for stage in pipeline:
        if not isinstance(stage, dict) or len(stage) != 1:
            raise CommandError(40323, "a pipeline stage must be an object with exactly one field")
        ((name, options),) = stage.items()
        if name == "$changeStream":
            raise unsupported("change streams ($changeStream)", code=40573)
        if name not in stages:
            raise unsupported(f"the pipeline stage {name}", code=40324)
        if not isinstance(options, OPTION_TYPES.get(name, dict)):
            raise CommandError(14, f"{name} cannot take {options!r}")
        if name == "$lookup" and {"let", "pipeline"} & set(options):
            raise unsupported("$lookup with let or pipeline")
        _check_names(name, options)
        _check_stage(name, options)


def _check_stage(name: str, options: Any) -> None:
    if name == "$match":
        check_filter(options)
    elif name == "$facet":
        for pipeline in options.values():
            check_pipeline(pipeline, STAGES - {"$facet"})
    elif name == "$sort":
        check_sort(options)
    elif name == "$unwind":
        _check_unwind(options if isinstance(options, dict) else {"path": options})
    elif name in ("$limit", "$skip") and options < (name == "$limit"):
        raise CommandError(15957, f"{name} needs a number of documents")
    else:
        if name in ("$addFields", "$set", "$project"):
            _check_fields(options)
        if name in ("$group", "$bucket"):
            _check_accumulators(options if name == "$group" else options.get("output", {}))
        check_expression(options)


def _check_unwind(options: dict[str, Any]) -> None:
    unknown = set(options) - {"path", "includeArrayIndex", "preserveNullAndEmptyArrays"}
    if unknown:
        raise CommandError(28811, f"unrecognized option to $unwind stage: {min(unknown)}")
    if "path" not in options:
        raise CommandError(28812, "no path specified to $unwind stage")
    path = options["path"]
    if not isinstance(path, str) or not path.startswith("$"):
        message = f"path option to $unwind stage should be prefixed with a '$': {path}"
        raise CommandError(28818, message)


def _check_fields(options: dict[str, Any]) -> None:
    """Mongomock stores computed dotted fields wrongly, and takes a 1 inside a field for a value."""
    for field, value in options.items():
        if "." in field and not isinstance(value, int | float):
            raise unsupported(f"computing a dotted field ({field})")
        if isinstance(value, dict) and not any(name.startswith("$") for name in value):
            raise unsupported(f"an embedded document for {field}")


def _check_accumulators(fields: dict[str, Any]) -> None:
    for field, value in fields.items():
        name = next(iter(value), None) if isinstance(value, dict) and len(value) == 1 else None
        if field != "_id" and name not in ACCUMULATORS:
            raise unsupported(f"the accumulator {name} for {field}", code=15952)


def check_expression(expression: Any) -> None:
    """Refuse operators and variables that mongomock lacks or takes for something else."""
    for name, operand in _parts(expression):
        if name.startswith("$$") and not VARIABLE.match(name):
            raise unsupported(f"the variable {name}")
        if name.startswith("$") and any(part.isdigit() for part in name.split(".")):
            raise unsupported(f"the number of an array element in {name}")
        if operand is None:
            continue
        if name not in OPERATORS:
            raise unsupported(f"the aggregation operator {name}", code=168)
        _check_names(name, operand)
        if name == "$dateToString":
            _check_date_format(operand)


def _parts(expression: Any) -> Iterator[tuple[str, Any]]:
    """Every operator in an expression with what it is applied to, every path with None."""
    if isinstance(expression, str) and expression.startswith("$"):
        yield expression, None
    elif isinstance(expression, list):
        for item in expression:
            yield from _parts(item)
    elif isinstance(expression, dict):
        for name, operand in expression.items():
            if name.startswith("$"):
                yield name, [] if operand is None else operand
            if name != "$literal":
                yield from _parts(operand)


def _check_names(name: str, options: Any) -> None:
    missing = REQUIRED.get(name, set()) - set(options) if isinstance(options, dict) else None
    if missing:
        raise CommandError(9, f"{name} needs {', '.join(sorted(missing))}")


def _check_date_format(operand: Any) -> None:
    if not isinstance(operand, dict) or set(operand) != {"date", "format"}:
        raise unsupported("$dateToString with anything but date and format")
    if not DATE_FORMAT.fullmatch(str(operand["format"])):
        raise unsupported(f"the date format {operand['format']}")
