"""From pandas to Arrow and back, without losing a bit: what a frame may hold, and what not.

A missing value is NULL: `pd.NA` or None. NaN is refused, because nobody can tell whether it means
"nothing to know" or "the computation failed".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api import types

from feature_store.definitions import TIME, TYPES, Feature, FeatureSet, check_name
from feature_store.errors import BadFeatures

FRAME_TYPES = {
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
}
OWN_COLUMNS = ("event_time", "created")


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A pandas frame whose types know a missing value from any other."""
    return table.to_pandas(types_mapper=FRAME_TYPES.get)


def features_of(frame: pd.DataFrame, key: str) -> tuple[Feature, ...]:
    """The features that the columns of `frame` are, with their types; BadFeatures if they can't."""
    if not isinstance(frame, pd.DataFrame):
        raise BadFeatures(f"features come as a pandas DataFrame, not as {type(frame).__name__}.")
    for column in (key, "event_time"):
        if column not in frame.columns:
            raise BadFeatures(
                f"the frame has no column {column!r}: {key} says whose the values are, event_time "
                f"from when on they hold. It has: {', '.join(map(str, frame.columns))}."
            )
    if not frame.columns.is_unique:
        raise BadFeatures("the frame has a column twice: name each column once.")
    names = [name for name in frame.columns if name not in (key, *OWN_COLUMNS)]
    if not names:
        raise BadFeatures(f"the frame has no feature: only {', '.join(frame.columns)}.")
    return tuple(
        Feature(check_name(name, "a feature"), type_of(frame[name], name)) for name in names
    )


def type_of(column: pd.Series, name: str) -> str:
    """The type of the feature that holds `column`; BadFeatures if none does."""
    dtype = column.dtype
    if types.is_bool_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        return "boolean"
    if types.is_integer_dtype(dtype):
        return "bigint"
    if types.is_float_dtype(dtype):
        return "double precision"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return TIME
    if types.is_datetime64_dtype(dtype):
        raise BadFeatures(
            f"{name} has times without a time zone: say which, e.g. .dt.tz_localize('UTC')."
        )
    if isinstance(dtype, pd.StringDtype) or types.infer_dtype(column, skipna=True) == "string":
        return "text"
    raise BadFeatures(
        f"{name} has the type {dtype}, which a feature can't have. Whole numbers, floats, "
        "booleans, text and times with a zone can be kept: convert it, e.g. .astype('Float64')."
    )


def to_arrow(frame: pd.DataFrame, features: FeatureSet) -> pa.Table:
    """The rows as Arrow: entity_id, event_time, created where given, then the features.

    Raises BadFeatures for values that would not come back as they are.
    """
    columns: dict[str, pa.Array] = {"entity_id": entity_ids(frame, features.key)}
    for name in OWN_COLUMNS:
        if name in frame.columns:
            columns[name] = values(frame[name], name, TIME)
            if columns[name].null_count:
                raise BadFeatures(f"{name} is missing in {columns[name].null_count} rows.")
    for feature in features.features:
        columns[feature.name] = values(frame[feature.name], feature.name, feature.type)
    table = pa.table(columns)
    times = [name for name in OWN_COLUMNS if name in columns]
    refuse_duplicates(table.select(["entity_id", *times]), features.key)
    return table


def entity_ids(frame: pd.DataFrame, key: str) -> pa.Array:
    """The column of ids: whole numbers, none missing."""
    if key not in frame.columns:
        raise BadFeatures(f"the frame has no column {key!r}, which says whose the values are.")
    if not types.is_integer_dtype(frame[key].dtype):
        raise BadFeatures(
            f"{key} has the type {frame[key].dtype}: ids are whole numbers, e.g. .astype('int64')."
        )
    ids = values(frame[key], key, "bigint")
    if ids.null_count:
        raise BadFeatures(f"{key} is missing in {ids.null_count} rows: nobody's features.")
    return ids


def values(column: pd.Series, name: str, type_: str) -> pa.Array:
    """The values of a column as Arrow holds them; BadFeatures for those that can't be kept."""
    found = type_of(column, name)
    if found != type_:
        raise BadFeatures(f"{name} must be {type_}, but the frame has {found}.")
    if type_ == "double precision":
        refuse_nan(column, name)
    try:
        array = pa.array(column, from_pandas=True).cast(TYPES[type_])
    except pa.ArrowInvalid as error:
        raise BadFeatures(f"{name} does not fit into {type_}: {error}.") from None
    except UnicodeEncodeError:
        raise BadFeatures(f"{name} has half a character (a lone surrogate) in it.") from None
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if type_ == "text" and pc.any(pc.match_substring(array, "\0")).as_py():
        raise BadFeatures(f"{name} has a zero byte in it, which PostgreSQL can't keep in text.")
    if type_ == TIME:
        refuse_far_times(array, name)
    return array


def refuse_nan(column: pd.Series, name: str) -> None:
    """Raise BadFeatures for NaN and infinity; a missing value is NA."""
    plain = isinstance(column.dtype, np.dtype)
    numbers = column.to_numpy() if plain else column.to_numpy(dtype="float64", na_value=0.0)
    nan = int(np.isnan(numbers).sum())
    if nan:
        raise BadFeatures(
            f"{name} has NaN in {nan} rows. If a value is missing there, say so with NULL "
            "(.astype('Float64') makes NaN to NA); if a computation failed, mend it."
        )
    infinite = int(np.isinf(numbers).sum())
    if infinite:
        raise BadFeatures(f"{name} is infinite in {infinite} rows: mend the computation.")


def refuse_far_times(array: pa.Array, name: str) -> None:
    """Raise BadFeatures for years that are not written with four digits."""
    ends: Any = pc.min_max(pc.year(array)).as_py()
    if ends["min"] is not None and not 1 <= ends["min"] <= ends["max"] <= 9999:
        raise BadFeatures(f"{name} has years outside of 1 to 9999.")


def refuse_duplicates(keys: pa.Table, key: str) -> None:
    """Raise BadFeatures if two rows say when the same entity had which values."""
    counts = keys.group_by(keys.column_names).aggregate([([], "count_all")])
    clashing = counts.filter(pc.greater(counts["count_all"], 1))
    if clashing.num_rows:
        first = clashing.slice(0, 1).to_pylist()[0]
        raise BadFeatures(
            f"{clashing.num_rows} pairs of {key} and time stand in the frame more than once, "
            f"e.g. {key} {first['entity_id']} at {first['event_time']}: which row is right?"
        )


def asked(entities: pd.DataFrame, key: str) -> pa.Table:
    """The rows of `entities` as (n, entity_id, at): their number, whose values, and as of when."""
    if not isinstance(entities, pd.DataFrame) or "at" not in entities.columns:
        raise BadFeatures(
            f"entities must be a DataFrame with the columns {key} and at (the moment that each row "
            "is about)."
        )
    ids = entity_ids(entities, key)
    moments = values(entities["at"], "at", TIME)
    if moments.null_count:
        raise BadFeatures(f"at is missing in {moments.null_count} rows.")
    return pa.table({"n": pa.array(np.arange(len(ids))), "entity_id": ids, "at": moments})


def with_features(entities: pd.DataFrame, found: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    """`entities` with the features beside them; `found` has a row for each, in their order."""
    clash = [name for name in names if name in entities.columns]
    if clash:
        raise BadFeatures(f"entities has columns named like features: {', '.join(clash)}.")
    own = entities.reset_index(drop=True)
    return pd.concat([own, to_frame(found.select(list(names)))], axis=1)
