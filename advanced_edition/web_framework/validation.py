"""`@validate`: the body becomes an object of a dataclass, or 422 with everything that was wrong.

    @dataclass
    class NewProduct:
        name: Annotated[str, Between(1, 80)]
        price: Annotated[float, Between(0, 10_000)]
        tags: list[str] = field(default_factory=list)

    @app.route("/products", methods=["POST"])
    @validate(NewProduct)
    def add(body): ...

All problems at once: a form that complains of one field at a time is filled in five times.
"""

import dataclasses
import types
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from web_framework.errors import HttpError, SetupError
from web_framework.onion import Call, Handler, around
from web_framework.request import Request
from web_framework.response import Response

KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Between(NamedTuple):
    """Bounds, both included: of a number itself, of a text or list by its length."""

    low: float
    high: float

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, None if nothing is."""
        size = len(value) if isinstance(value, str | list) else value
        if self.low <= size <= self.high:
            return None
        what = "its length" if isinstance(value, str | list) else "it"
        return f"{what} must be between {self.low:,} and {self.high:,}"


def validate(model: type) -> Callable[[Handler], Handler]:
    """Give a handler the parameter `body`: the JSON it was sent, as an object of `model`."""
    if not (isinstance(model, type) and dataclasses.is_dataclass(model)):
        raise SetupError(f"{model!r} is no dataclass")
    hints = get_type_hints(model, include_extras=True)
    for hint in hints.values():
        _check_known(hint)

    def layer(request: Request, call_next: Call) -> Response:
        request.values["body"] = make(model, hints, request.json())
        return call_next(request)

    return around(layer, gives=["body"])


def make(model: type, hints: dict[str, Any], data: Any) -> Any:
    """An object of `model` from a JSON object. Raises HttpError 422 with all problems."""
    if not isinstance(data, dict):
        raise HttpError(422, "send a JSON object")
    problems = {}
    for field in dataclasses.fields(model):
        if field.name in data:
            problem = problem_of(data[field.name], hints[field.name])
        else:
            problem = "is missing" if _is_required(field) else None
        if problem:
            problems[field.name] = problem
    problems |= {name: "is not known" for name in list(data)[:20] if name not in hints}
    if problems:
        raise HttpError(422, "some fields are wrong", problems=problems)
    try:
        return model(**data)
    except ValueError as error:  # a rule of the dataclass's own, in __post_init__
        raise HttpError(422, str(error)) from None


def problem_of(value: Any, hint: Any) -> str | None:
    """What keeps `value` from being a `hint`, None if nothing does."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        kind, *rules = arguments
        problem = problem_of(value, kind)
        if problem or value is None:
            return problem
        return next(filter(None, (rule.problem(value) for rule in rules)), None)
    if origin is types.UnionType:
        return None if value is None else problem_of(value, _not_none(arguments))
    if origin is list:
        if not isinstance(value, list):
            return "must be a list"
        found = (problem_of(item, arguments[0]) for item in value)
        return next((f"has an item that {problem}" for problem in found if problem), None)
    fits = type(value) is hint or (hint is float and type(value) is int)
    return None if fits else f"must be {KINDS[hint]}"


def _check_known(hint: Any) -> None:
    """SetupError for a type that a field can't have: now, not in a request."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated or origin is list:
        _check_known(arguments[0])
    elif origin is types.UnionType and types.NoneType in arguments and len(arguments) == 2:
        _check_known(_not_none(arguments))
    elif hint not in KINDS:
        raise SetupError(f"{hint!r} is no type that a field can have here")


def _not_none(kinds: tuple) -> Any:
    return next(kind for kind in kinds if kind is not types.NoneType)


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING
