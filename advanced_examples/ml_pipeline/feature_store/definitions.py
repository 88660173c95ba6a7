"""What a feature set is: an entity, a version, and features with types."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import pyarrow as pa

from feature_store.errors import BadFeatures, UnknownFeature

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# PostgreSQL's name for each type of feature, and Arrow's, in which frames come and go.
TIME = "timestamptz"
TYPES: dict[str, pa.DataType] = {
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    TIME: pa.timestamp("us", "UTC"),
}
NAME = re.compile(r"[a-z][a-z0-9_]{0,57}")
# Columns that every table, or every answer, has besides the features.
RESERVED = {"entity_id", "event_time", "created", "run_id", "at", "n"}


@dataclass(frozen=True)
class Feature:
    """A named value of an entity; `type` is a key of TYPES."""

    name: str
    type: str


@dataclass(frozen=True)
class FeatureSet:
    """One version of an entity's features. A version never changes: new features are a new one."""

    entity_type: str
    version: int
    key: str
    features: tuple[Feature, ...]
    ttl: timedelta | None = None

    @property
    def table(self) -> str:
        """The name of the table with its history."""
        return f"{self.entity_type}_v{self.version}"

    @cached_property
    def places(self) -> dict[Feature, int]:
        """Where each feature stands, from 0."""
        return {feature: place for place, feature in enumerate(self.features)}

    def pick(self, names: Sequence[str] | None) -> tuple[Feature, ...]:
        """The features of these names in this order, all for None; UnknownFeature otherwise."""
        if names is None:
            return self.features
        if isinstance(names, str) or not names:
            raise UnknownFeature(
                f"feature_names must be a list with at least one name, not {names!r}."
            )
        known = {feature.name: feature for feature in self.features}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UnknownFeature(
                f"{self.entity_type} version {self.version} has no feature "
                f"{', '.join(map(repr, unknown))}. It has: {', '.join(known)}."
            )
        if len(set(names)) < len(names):
            raise UnknownFeature("feature_names has a name twice: name each feature once.")
        return tuple(known[name] for name in names)


def check_name(name: object, what: str) -> str:
    """`name` if it can be a column or a table; BadFeatures otherwise."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise BadFeatures(
            f"{name!r} can't be the name of {what}: use small letters, digits and _, begin with a "
            f"letter, 58 signs at most, and none of {', '.join(sorted(RESERVED))}."
        )
    return name


def microseconds(moment: datetime) -> int:
    """Whole microseconds from 1970 on; `moment` must know its time zone."""
    return (moment - EPOCH) // MICROSECOND


def check_moment(moment: object, name: str) -> datetime:
    """`moment` in UTC if it is a datetime with a time zone; BadFeatures otherwise."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise BadFeatures(
            f"{name} must be a datetime with a time zone, such as datetime.now(UTC), "
            f"not {moment!r}."
        )
    return moment.astimezone(UTC)
