"""The types of path parameters: each turns a segment into a value, or says None, "not mine"."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

Converter = Callable[[str], Any]
MOST_DIGITS = 18  # fits into 64 bits


def whole(segment: str) -> int | None:
    """`42`: digits only, since int() would take `4_2`, ` 42` and the digits of other scripts."""
    fits = len(segment) <= MOST_DIGITS and segment.isascii() and segment.isdigit()
    return int(segment) if fits else None


def decimal(segment: str) -> float | None:
    """`4.2`, not `4`, `.2`, `inf` or `1e999`."""
    before, _, after = segment.partition(".")
    return float(segment) if whole(before) is not None and whole(after) is not None else None


def identifier(segment: str) -> UUID | None:
    """A UUID in its usual spelling."""
    try:
        return UUID(segment) if len(segment) == 36 else None
    except ValueError:
        return None


def name(segment: str) -> str | None:
    """Any one segment that isn't empty and doesn't mean a folder."""
    return None if segment in ("", ".", "..") else segment


def rest(path: str) -> str | None:
    """All segments that are left; none may lead up or out."""
    safe = "\\" not in path and all(name(segment) for segment in path.split("/"))
    return path if safe else None


# Tried in this order, so that `/{number:int}` comes before `/{word}`.
CONVERTERS: dict[str, Converter] = {"int": whole, "float": decimal, "uuid": identifier, "str": name}
