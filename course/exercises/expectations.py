"""What a check says: what was expected, what came, and a sentence that helps."""

import math
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

SHOWN = 300  # characters of a value
CLOSE = 1e-9  # floats that differ by less, relatively, are the same


class Mistake(Exception):  # noqa: N818
    """The student's code does something else than the task says."""

    def __init__(self, problem: Sequence[str], help: str = "") -> None:
        self.problem, self.help = list(problem), help
        super().__init__("; ".join([*problem, help]))


def expect(actual: Any, expected: Any, help: str = "") -> None:
    """Mistake unless `actual` equals `expected`; floats may differ in the last digits."""
    if same(actual, expected):
        return
    lines = [f"expected  {short(expected)}", f"got       {short(actual)}"]
    raise Mistake([*lines, *first_difference(actual, expected)], help)


def require(truth: object, problem: str, help: str = "") -> None:
    """Mistake with the sentence `problem` unless `truth` holds."""
    if not truth:
        raise Mistake([problem], help)


@contextmanager
def expect_error(kind: type[BaseException], help: str = "") -> Iterator[None]:
    """Mistake unless the block raises `kind`; another error is the student's and goes on."""
    try:
        yield
    except kind:
        return
    raise Mistake([f"expected  {kind.__name__}", "got       no error at all"], help)


class Counting:
    """A function that counts its calls: `counted = Counting(f)`, then `counted.calls`."""

    def __init__(self, function: Any) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return self.function(*args, **options)


def same(actual: Any, expected: Any) -> bool:
    """Whether two values are equal, but for the rounding of floats inside them."""
    if isinstance(expected, float) and isinstance(actual, int | float):
        return math.isclose(actual, expected, rel_tol=CLOSE, abs_tol=CLOSE) or (
            math.isnan(actual) and math.isnan(expected)
        )
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return actual.keys() == expected.keys() and all(
            same(actual[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list | tuple) and type(actual) is type(expected):
        return len(actual) == len(expected) and all(map(same, actual, expected))
    return bool(actual == expected)


def first_difference(actual: Any, expected: Any) -> list[str]:
    """Where two long lists or dictionaries begin to differ, in a line; nothing for short values."""
    if len(repr(expected)) < 60 or type(actual) is not type(expected):
        return []
    if isinstance(expected, list | tuple):
        for number, (came, wanted) in enumerate(zip(actual, expected, strict=False)):
            if not same(came, wanted):
                return [f"item {number} should be {short(wanted, 100)}, it is {short(came, 100)}"]
        return [f"expected {len(expected)} items, got {len(actual)}"]
    if isinstance(expected, Mapping):
        for key, wanted in expected.items():
            if key not in actual:
                return [f"the key {key!r} is missing"]
            if not same(actual[key], wanted):
                return [f"{key!r} should be {short(wanted, 100)}, it is {short(actual[key], 100)}"]
        return [f"the key {key!r} is too much" for key in actual if key not in expected][:1]
    return []


def short(value: Any, limit: int = SHOWN) -> str:
    """`repr(value)`, its middle left out where it is long."""
    try:
        text = repr(value)
    except Exception as error:  # a student's own __repr__
        text = f"<{type(value).__name__} whose repr() fails: {error}>"
    if len(text) <= limit:
        return text
    if isinstance(value, list | tuple | dict | set):
        shortener = reprlib.Repr()
        shortener.maxlist = shortener.maxdict = shortener.maxset = 4
        text = f"{shortener.repr(value)} ({len(value)} in all)"
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 4 :]}"


def count_calls(function: Callable[..., Any], *args: Any) -> int:
    """How many functions, Python's and built in ones, are called while `function(*args)` runs.

    A count says what a clock can't on a busy machine: whether the work grows with the rows.
    """
    calls = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
    return calls
