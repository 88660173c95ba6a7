"""The feature store: one place that training and serving ask.

    with FeatureStore() as store:
        features = store.compute_customer_features()
        store.save_features("customer", features)
        training = store.get_training_dataset("customer", ["recency_days", "frequency"])
        store.materialise("customer")
        online = store.get_features("customer", [1, 2, 3])

Frames are checked in frames.py, history is kept by offline.py, and served by online.py.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from operator import index
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from course import connect, settings
from feature_store import checks, compute, frames, parquet
from feature_store.definitions import Feature, FeatureSet, check_moment, check_name
from feature_store.errors import BadFeatures, FeatureStoreError, UnknownFeature
from feature_store.offline import OfflineStore
from feature_store.online import OnlineStore, Value, answer

Engine = Literal["postgres", "duckdb"]
DAY = timedelta(days=1)
NOT_GIVEN: Any = object()
NOT_ONLINE = (
    "nothing of {0!r} is online yet, so PostgreSQL answers, which is right but slow: "
    "materialise({0!r}) brings it to Redis."
)


def end_of_today() -> datetime:
    """The present of the course: the end of its last day. Yours is `lambda: datetime.now(UTC)`."""
    return datetime.combine(settings.TODAY + DAY, time(), UTC)


@dataclass(frozen=True)
class Saved:
    """What save_features did: the version and the run it wrote, and how many rows were new."""

    version: int
    run_id: int
    rows: int
    new: int


class FeatureStore:
    """Features by entity and time: offline in PostgreSQL, online in Redis.

    `connection_string` is PostgreSQL's URL and `redis_url` Redis's; without them the course's
    services are used. Everything stands in the schema `name` and under keys that begin with it.
    `clock` tells the present.
    """

    def __init__(
        self,
        connection_string: str | None = None,
        *,
        redis_url: str | None = None,
        name: str = "feature_store",
        clock: Callable[[], datetime] = end_of_today,
        parquet_folder: Path | None = None,
    ) -> None:
        self.name = check_name(name, "a feature store")
        self.clock = clock
        self.offline = OfflineStore(lambda: connection_string or connect.url("postgres"), name)
        self.online = OnlineStore(lambda: redis_url or connect.url("redis"), name)
        self.parquet_folder = parquet_folder or settings.OUTPUT_DIR / name
        self._duck: duckdb.DuckDBPyConnection | None = None
        self._served: dict[tuple[str, int | None], FeatureSet] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End the connections; the next call would open new ones."""
        self.offline.close()
        self.online.close()
        if self._duck is not None:
            self._duck.close()
            self._duck = None

    def _duckdb(self) -> duckdb.DuckDBPyConnection:
        """The connection of the Parquet engine, opened when it is needed."""
        self._duck = self._duck or duckdb.connect()
        return self._duck

    def now(self) -> datetime:
        """The present by the store's clock, in UTC."""
        return check_moment(self.clock(), "the clock's answer")

    # Compute -------------------------------------------------------------------------------------

    def compute_customer_features(
        self, as_of: date | None = None, definition: str | None = None
    ) -> pd.DataFrame:
        """Features of every customer at the end of `as_of` (the last whole day by default).

        A row for each customer: customer_id, event_time, and the features of customer_v1.sql, or
        those of another `definition` in SQL.
        """
        return self._compute("customer", as_of, definition)

    def compute_product_features(
        self, as_of: date | None = None, definition: str | None = None
    ) -> pd.DataFrame:
        """Features of every product at the end of `as_of`: sales, price, popularity, series."""
        return self._compute("product", as_of, definition)

    def _compute(self, entity_type: str, as_of: date | None, sql: str | None) -> pd.DataFrame:
        as_of = (self.now() - DAY).date() if as_of is None else as_of
        if isinstance(as_of, datetime) or not isinstance(as_of, date):
            raise BadFeatures(f"as_of is a day, such as date(2025, 6, 30), not {as_of!r}.")
        sql = sql or compute.definition(entity_type)
        with self.offline.transaction() as cursor:
            connection = cursor.connection
        return compute.compute(connection, entity_type, as_of, sql)

    # Save ----------------------------------------------------------------------------------------

    def define(self, entity_type: str, key: str, ttl: timedelta | None = None) -> None:
        """Make an entity type whose ids stand in the column `key`, or change the TTL of one.

        A value may be used until `ttl` after its event_time; for ever without.
        """
        if ttl is not None and ttl < timedelta(0):
            raise BadFeatures(f"a TTL of {ttl} would let every value die before it is born.")
        self.offline.define(check_name(entity_type, "an entity"), check_name(key, "a key"), ttl)

    def save_features(
        self, entity_type: str, frame: pd.DataFrame, version: int | None = None
    ) -> Saved:
        """Add the rows of `frame` to the history, all or none.

        `frame` has the entity's key, event_time (from when on the values hold, with a time zone),
        the features, and optionally `created` (when they became known; the clock's present by
        default). The same rows again change nothing. Other features than before need a new
        version: the next number. Raises BadFeatures, UnknownFeature, StoreUnavailable.
        """
        key, ttl = self.offline.entity(entity_type)
        features = frames.features_of(frame, key)
        known = self._versions(entity_type)
        newest = known[-1].version if known else 0
        version = max(newest, 1) if version is None else version
        wanted = FeatureSet(entity_type, version, key, features, ttl)
        if version <= newest:
            wanted = same_features(known[version - 1], wanted) if version > 0 else wanted
        elif version != newest + 1:
            raise BadFeatures(f"the next version of {entity_type} is {newest + 1}, not {version}.")
        if version < 1:
            raise BadFeatures(f"versions are 1, 2, 3 and so on, not {version!r}.")
        rows = frames.to_arrow(frame, wanted)
        if version > newest:
            self.offline.add_version(wanted)
        run_id, new = self.offline.save(wanted, rows, self.now(), compute.lineage(frame))
        return Saved(version, run_id, rows.num_rows, new)

    def _versions(self, entity_type: str) -> list[FeatureSet]:
        try:
            newest = self.offline.feature_set(entity_type)
        except UnknownFeature:
            return []
        older = [self.offline.feature_set(entity_type, n) for n in range(1, newest.version)]
        return [*older, newest]

    # Train ---------------------------------------------------------------------------------------

    def get_training_dataset(
        self,
        entity_type: str = "customer",
        feature_names: Sequence[str] | None = None,
        entities: pd.DataFrame | None = None,
        *,
        version: int | None = None,
        ttl: timedelta | None = NOT_GIVEN,
        late_rows: bool = False,
        engine: Engine = "postgres",
    ) -> pd.DataFrame:
        """Each row of `entities` with what was known about it at its moment.

        `entities` has the entity's key, `at` (a time with a zone), and whatever else, such as a
        label; without it everybody is asked about as of now. The answer has the same rows in the
        same order, and the features, which are NULL where nothing was known. Values older than
        `ttl` don't count (the entity's by default). `late_rows` also counts what was written after
        the moment: for a new feature that has no past yet, when you vouch for its SQL.
        `engine` "duckdb" joins through a Parquet file, for large sets; the answer is the same.
        """
        features = self.offline.feature_set(entity_type, version)
        wanted = features.pick(feature_names)
        entities = self._everybody(features) if entities is None else entities
        asked = frames.asked(entities, features.key)
        ttl = features.ttl if ttl is NOT_GIVEN else ttl
        if engine == "postgres":
            found = self.offline.as_of(features, asked, wanted, ttl, late_rows)
        elif engine == "duckdb":
            file = self._export(features)
            found = parquet.as_of(self._duckdb(), file, asked, wanted, ttl, late_rows)
        else:
            raise FeatureStoreError(f"engine is 'postgres' or 'duckdb', not {engine!r}.")
        return frames.with_features(entities, found, [feature.name for feature in wanted])

    def _everybody(self, features: FeatureSet) -> pd.DataFrame:
        ids = self.offline.entity_ids(features)
        at = pd.Series(pd.to_datetime([self.now()] * len(ids), utc=True)).dt.as_unit("us")
        return pd.DataFrame({features.key: pd.Series(ids, dtype="int64"), "at": at})

    def export(self, entity_type: str, version: int | None = None) -> Path:
        """Write a version's history as Parquet, unless the file has everything; its path."""
        return self._export(self.offline.feature_set(entity_type, version))

    def _export(self, features: FeatureSet) -> Path:
        file = self.parquet_folder / f"{features.table}.parquet"
        # The run is asked for before the rows: should one come between, the file is made anew.
        newest = self.offline.newest_run(features)
        if parquet.run_of(file) != newest:
            parquet.write(self.offline.history(features), features, newest, file)
        return file

    # Serve ---------------------------------------------------------------------------------------

    def materialise(
        self, entity_type: str, at: datetime | None = None, version: int | None = None
    ) -> int:
        """Bring what is known at `at` (the present by default) online; how many entities have it.

        Doing it again changes nothing. If it dies on the way, each entity has its old values or
        its new ones; repeat it. Online values never go back in time.
        """
        features = self.offline.feature_set(entity_type, version)
        at = self.now() if at is None else check_moment(at, "at")
        with self.offline.turn(features):
            last = self.online.materialised(features)
            if last is not None and at < last:
                raise FeatureStoreError(
                    f"{entity_type} is online as of {last}: an older state, {at}, would take it "
                    "back in time."
                )
            self.online.begin(features)
            gone: list[int] = []
            written = self.online.write(features, self._newest(features, at, gone))
            self.online.remove(features, gone)
            self.online.finish(features, at, written)
        return written

    def _newest(
        self, features: FeatureSet, at: datetime, gone: list[int]
    ) -> Iterator[tuple[int, tuple]]:
        """(id, (event_time, created, values…)) of everybody; who has nothing goes to `gone`.

        It is the join that training uses, asked about one moment: so online equals offline.
        """
        ids = self.offline.entity_ids(features)
        moments = pa.array([at] * len(ids), pa.timestamp("us", "UTC"))
        asked = pa.table({"n": np.arange(len(ids)), "entity_id": ids, "at": moments})
        found = self.offline.as_of(features, asked, features.features, features.ttl, False, True)
        columns = [column.to_pylist() for column in found.columns]
        for id_, *row in zip(ids, *columns, strict=True):
            if row[0] is None:
                gone.append(id_)
            else:
                yield id_, tuple(row)

    def get_features(
        self,
        entity_type: str,
        ids: Sequence[int],
        feature_names: Sequence[str] | None = None,
        *,
        version: int | None = None,
    ) -> dict[int, dict[str, Value]]:
        """The present values, as {id: {feature: value}}: one question to Redis.

        None where nothing is known. Without `version` it is the newest that was online at the
        first call: a server keeps the version it began with until it begins anew. While nothing is
        online at all, PostgreSQL answers, with a warning.
        """
        try:
            numbers = [index(id_) for id_ in ids]
        except TypeError:
            raise BadFeatures(f"ids are whole numbers in a list, not {ids!r}.") from None
        features = self._served.get((entity_type, version)) or self._serve(entity_type, version)
        if features is None:
            return self._from_offline(entity_type, numbers, feature_names)
        wanted = features.pick(feature_names)
        rows = self.online.read(features, numbers) if numbers else []
        return answer(features, wanted, dict(zip(numbers, rows, strict=True)), self.now())

    def _serve(self, entity_type: str, version: int | None) -> FeatureSet | None:
        """What to serve, remembered; None if nothing of the entity is online."""
        number = self.online.current(entity_type) if version is None else version
        if number is None:
            return None
        features = self.online.feature_set(entity_type, number)
        self._served[entity_type, version] = features
        return features

    def _from_offline(
        self, entity_type: str, ids: list[int], names: Sequence[str] | None
    ) -> dict[int, dict[str, Value]]:
        features = self.offline.feature_set(entity_type)
        warnings.warn(NOT_ONLINE.format(entity_type), stacklevel=3)
        wanted: tuple[Feature, ...] = features.pick(names)
        moments = pa.array([self.now()] * len(ids), pa.timestamp("us", "UTC"))
        asked = pa.table({"n": np.arange(len(ids)), "entity_id": pa.array(ids, pa.int64()),
                          "at": moments})  # fmt: skip
        found = self.offline.as_of(features, asked, wanted, features.ttl, False)
        return dict(zip(ids, found.to_pylist(), strict=True))

    # Look after it -------------------------------------------------------------------------------

    def runs(self, entity_type: str) -> list[dict[str, Any]]:
        """The lineage, oldest first: version, rows, definition (SQL), sources, created …"""
        self.offline.entity(entity_type)
        return self.offline.runs(entity_type)

    def reproduce(self, entity_type: str, run_id: int) -> list[str]:
        """Run the SQL of a run again: what differs now, in words; an empty list if nothing does."""
        run = next((r for r in self.runs(entity_type) if r["run_id"] == run_id), None)
        if run is None or run["definition"] is None:
            raise UnknownFeature(f"{entity_type} has no run {run_id!r} that was made by SQL.")
        as_of = date.fromisoformat(run["parameters"]["as_of"])
        frame = self._compute(entity_type, as_of, run["definition"])
        features = self.offline.feature_set(entity_type, run["version"])
        sources = frame.attrs["lineage"]["sources"]
        changed = [name for name, was in run["sources"].items() if sources.get(name) != was]
        again = frames.to_arrow(frame, features).sort_by([("entity_id", "ascending")])
        stored = self.offline.rows_of_run(features, run_id)
        # Rows that an earlier run had written already are not among those of this one.
        again = again.filter(pc.is_in(again["entity_id"], stored["entity_id"].combine_chunks()))
        same = again.equals(stored)
        return [f"{name} has changed" for name in changed] + ([] if same else ["the values differ"])

    def check(
        self,
        entity_type: str,
        max_age: timedelta = 2 * DAY,
        max_null_rise: float = 0.05,
        max_nulls: Mapping[str, float] | None = None,
        version: int | None = None,
    ) -> list[checks.Finding]:
        """Are the online values fresh, and is the last run as whole as the one before it?

        `max_nulls` gives features a limit of their own, from 0 to 1.
        """
        features = self.offline.feature_set(entity_type, version)
        runs = [r["run_id"] for r in self.runs(entity_type) if r["version"] == features.version]
        rates = [
            checks.null_rates(self.offline.rows_of_run(features, run_id), features)
            for run_id in runs[-2:]
        ]
        age = checks.staleness(self.online.materialised(features), self.now(), max_age)
        before = rates[0] if len(rates) > 1 else dict.fromkeys(rates[-1], 1.0)
        return [age, *checks.nulls(rates[-1], before, max_null_rise, max_nulls or {})]


def same_features(known: FeatureSet, given: FeatureSet) -> FeatureSet:
    """`known` if `given` has its features, in whatever order; BadFeatures with the difference."""
    ours, theirs = ({f.name: f.type for f in each.features} for each in (known, given))
    if ours == theirs:
        return known
    differences = [
        *(f"{name} is missing" for name in ours if name not in theirs),
        *(f"{name} is new" for name in theirs if name not in ours),
        *(f"{name} is {theirs[name]} instead of {type_}" for name, type_ in ours.items()
          if name in theirs and theirs[name] != type_),
    ]  # fmt: skip
    raise BadFeatures(
        f"{known.entity_type} version {known.version} has other features: "
        f"{', '.join(differences)}. Mend the frame, or save it with version=<the next number>."
    )
