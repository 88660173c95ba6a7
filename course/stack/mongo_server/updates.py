"""What is let through to mongomock: updates, and the documents that they may be applied to."""

from collections.abc import Callable
from numbers import Number
from typing import Any

from bson.regex import Regex

from course.stack.mongo_server.errors import CommandError, unsupported
from course.stack.mongo_server.queries import (
    UPDATE_STAGES,
    check_element,
    check_filter,
    check_pipeline,
)
from course.stack.mongo_server.wire import Document


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_anything(value: Any) -> bool:
    return True


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _is_push(value: Any) -> bool:
    """A value, or `$each` with its modifiers; mongomock sorts by one field only."""
    if not isinstance(value, dict) or not any(name.startswith("$") for name in value):
        return True
    sort = value.get("$sort", 1)
    known = set(value) <= {"$each", "$position", "$slice", "$sort"}
    return known and _is_list(value.get("$each")) and (_is_scalar(sort) or len(sort) == 1)


def _is_new_members(value: Any) -> bool:
    """A value, or `$each` with distinct ones; mongomock would add the same value twice."""
    if not isinstance(value, dict) or "$each" not in value:
        return True
    each = value["$each"]
    return len(value) == 1 and _is_list(each) and all(each.count(item) == 1 for item in each)


# What each operator takes.
OPERANDS: dict[str, Callable[[Any], bool]] = {
    "$addToSet": _is_new_members,
    "$currentDate": lambda value: value in (True, {"$type": "date"}),
    "$inc": _is_number,
    "$max": _is_scalar,
    "$min": _is_scalar,
    "$pop": lambda value: value in (1, -1),
    "$pull": lambda value: not isinstance(value, list | Regex),
    "$pullAll": _is_list,
    "$push": _is_push,
    "$rename": lambda value: isinstance(value, str) and "." not in value,
    "$set": _is_anything,
    "$setOnInsert": _is_anything,
    "$unset": _is_anything,
}
# What a field must hold, if it is there, for an operator to work on it; and the code if not.
TARGETS = {"$inc": (_is_number, 14)} | dict.fromkeys(
    ("$addToSet", "$pop", "$pull", "$pullAll", "$push"), (_is_list, 2)
)
POSITIONAL = frozenset({"$inc", "$set", "$unset"})
NUMBERED = frozenset({"$inc", "$set"})


def check_update(update: Any, query: Document, upsert: bool = False) -> None:
    """Refuse an update that mongomock would carry out wrongly or not at all.

    Raises:
        CommandError: with MongoDB's code for the reason.
    """
    check_filter(query)
    if upsert and "$and" in query:
        raise unsupported("an upsert whose filter has $and")
    if isinstance(update, list):
        return check_pipeline(update, UPDATE_STAGES)
    if not isinstance(update, dict):
        raise CommandError(9, "an update must be a document or a pipeline")
    paths: list[str] = []
    for name, fields in update.items() if is_replacement(update) is False else ():
        if name not in OPERANDS:
            raise unsupported(f"the update operator {name}")
        if not isinstance(fields, dict):
            raise CommandError(9, f"{name} needs a document")
        for path, value in fields.items():
            _check_change(name, path, value, query)
        paths += fields
    _check_conflicts(paths)
    return None


def is_replacement(update: Any) -> bool:
    """Whether an update is a whole document."""
    return isinstance(update, dict) and not any(name.startswith("$") for name in update)


def _check_change(name: str, path: str, value: Any, query: Document) -> None:
    parts = path.split(".")
    if "$[" in path:
        raise unsupported("the array operators $[] and $[name]")
    if "$" in parts and (name not in POSITIONAL or parts.count("$") > 1):
        raise unsupported(f"the positional operator $ in {name} of {path}")
    array = path.partition(".$")[0]
    if "$" in parts and not any(f"{field}.".startswith(f"{array}.") for field in query):
        message = "The positional operator did not find the match needed from the query"
        raise CommandError(2, message)
    if name not in NUMBERED and any(part.isdigit() for part in parts):
        raise unsupported(f"the number of an array element in {name} of {path}")
    if not OPERANDS[name](value):
        raise unsupported(f"{name} with {value!r}", code=14 if name == "$inc" else 2)
    if name == "$pull":
        check_element(value)


def _check_conflicts(paths: list[str]) -> None:
    """No path twice or inside another one, and `$` for one array; mongomock looks at neither."""
    for place, path in enumerate(paths):
        for other in paths[:place]:
            if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
                message = f"Updating the path '{path}' would create a conflict at '{other}'"
                raise CommandError(40, message)
    if len({path.partition(".$")[0] for path in paths if ".$" in path}) > 1:
        raise unsupported("the positional operator $ for several arrays")


def check_targets(document: Document, update: Document) -> None:
    """Refuse changes that a document cannot take; mongomock passes over most of them.

    Raises:
        CommandError: 28 for a path through a plain value, 14 or 2 for a field of another kind.
    """
    for name in set(update) & set(OPERANDS) - {"$rename", "$unset"}:
        fits, code = TARGETS.get(name, (_is_anything, 2))
        for path in update[name]:
            place, (*parents, last) = document, path.split(".")
            for part in parents if "$" not in parents else ():
                place = _inside(place, part)
            if isinstance(place, list) and not last.isdigit() and "$" not in path:
                raise CommandError(28, f"Cannot create field '{last}' in an array")
            if isinstance(place, dict) and last in place and not fits(place[last]):
                raise CommandError(code, f"Cannot apply {name} to the field '{path}'")


def _inside(place: Any, part: str) -> Any:
    if isinstance(place, list) and part.isdigit():
        inner = place[int(part)] if int(part) < len(place) else {}
    else:
        inner = place.get(part, {}) if isinstance(place, dict) else None
    if not isinstance(inner, dict | list):
        raise CommandError(28, f"Cannot create a field in element {part}, which holds a value")
    return inner
