"""What a feature view is: whose features, which ones in which order, and how long they hold.

A view is written down once, here and in the files beside. Training's join, Feast's definitions,
the packed values in Redis and the service's reader all follow it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEAD = struct.Struct("<dd")  # as_of and written, seconds since 1970


class View(NamedTuple):
    """One feature view.

    `columns` are the features in their packed order; `ttl` is how old a row may be at a flight's
    departure; `categories` maps a column of text to the words its packed number counts through.
    """

    name: str
    entity: str
    columns: tuple[str, ...]
    ttl: timedelta
    categories: Mapping[str, tuple[str, ...]]


class Packed(NamedTuple):
    """One row of a view as it lies in Redis; `as_of` and `written` are seconds since 1970.

    `as_of` is the event time of the values, `written` when they were stored.
    """

    as_of: float
    written: float
    values: NDArray[np.float32]


def key(prefix: str, view: View, entity: str) -> str:
    """The Redis key of one entity's row: `flight:route:JFK-LAX`."""
    return f"{prefix}:{view.name}:{entity}"


def numbers(view: View, row: Mapping[str, Any]) -> NDArray[np.float32]:
    """The values of `row` in the view's order (columns), text as its place among the categories.

    What is missing, None or none of the categories becomes NaN.
    """
    values = np.full(len(view.columns), np.nan, dtype=np.float32)
    for place, column in enumerate(view.columns):
        value = row.get(column)
        words = view.categories.get(column)
        if words is not None:
            values[place] = words.index(value) if value in words else np.nan
        elif value is not None:
            values[place] = value
    return values


def pack(view: View, row: Mapping[str, Any], as_of: float, written: float) -> bytes:
    """`row` as bytes: two float64 for the times, then float32 for each column, little endian."""
    return HEAD.pack(as_of, written) + numbers(view, row).astype("<f4").tobytes()


def unpack(view: View, value: bytes) -> Packed:
    """The row in `value`.

    Raises:
        ValueError: the length isn't that of this view, as after a column was added: materialise.
    """
    if len(value) != HEAD.size + 4 * len(view.columns):
        raise ValueError(
            f"A packed row of view {view.name} has {len(value)} bytes, not "
            f"{HEAD.size + 4 * len(view.columns)}: its columns have changed since it was written. "
            "Run `python src/materialize.py`."
        )
    as_of, written = HEAD.unpack_from(value)
    return Packed(as_of, written, np.frombuffer(value, dtype="<f4", offset=HEAD.size))


def word(view: View, column: str, number: float) -> str:
    """The category behind a packed number; empty for NaN."""
    return "" if np.isnan(number) else view.categories[column][int(number)]
