"""The offline store: every value there ever was, in PostgreSQL.

History is only ever added to. A correction is a new row with a later `created`, so that what was
known on any day can be told for ever.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.sql import SQL, Composed, Identifier
from pyarrow import csv

from feature_store.definitions import TIME, TYPES, Feature, FeatureSet
from feature_store.errors import BadFeatures, StoreUnavailable, UnknownFeature

FILES = Path(__file__).parent / "sql"
# Times are in UTC, whatever the server's zone. With a small question the compiler costs more than
# it saves.
SESSION = "-c timezone=UTC -c jit=off"
BUILT_IN = {"customer": "customer_id", "product": "product_id"}


def sql_file(name: str) -> str:
    """The text of one of our SQL files."""
    return (FILES / name).read_text(encoding="utf-8")


class OfflineStore:
    """The history of all features in one schema; one connection, opened when it is needed."""

    def __init__(self, url: Callable[[], str], schema: str) -> None:
        self._url, self.schema = url, schema
        self._connection: Connection | None = None

    def close(self) -> None:
        """End the connection; the next call would open a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor; what it does is kept at the end of the block. May raise StoreUnavailable."""
        try:
            with self.connection() as connection, connection.cursor() as cursor:
                yield cursor
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            self.close()
            raise StoreUnavailable(
                f"PostgreSQL does not answer: {first_line(error)}. What was not finished left no "
                "trace. Bring it back (python3 learn.py up) and repeat the call."
            ) from None

    def connection(self) -> Connection:
        """The connection, opened anew if it was lost; the tables are made on first use."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg2.connect(self._url(), options=SESSION, connect_timeout=10)
            with self._connection, self._connection.cursor() as cursor:
                # Two that begin at once would both try to make the schema.
                lock = f"tables of {self.schema}"
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (lock,))
                cursor.execute("SET LOCAL client_min_messages = warning")
                cursor.execute(SQL(sql_file("tables.sql")).format(schema=Identifier(self.schema)))
                for entity_type, key in BUILT_IN.items():
                    self._add_entity(cursor, entity_type, key, None)
        return self._connection

    @contextmanager
    def turn(self, features: FeatureSet) -> Iterator[None]:
        """While the block runs, no other process brings this version online.

        The lock belongs to the connection: who dies gives it back.
        """
        lock = f"{self.schema}.{features.table}"
        with self.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (lock,))
        try:
            yield
        finally:
            with self.transaction() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", (lock,))

    def _table(self, name: str) -> Identifier:
        return Identifier(self.schema, name)

    # Entities and versions ---------------------------------------------------------------------

    def _add_entity(self, cursor: Cursor, name: str, key: str, ttl: timedelta | None) -> None:
        query = SQL("INSERT INTO {} VALUES (%s, %s, %s) ON CONFLICT DO NOTHING")
        cursor.execute(query.format(self._table("entities")), (name, key, ttl))

    def define(self, entity_type: str, key: str, ttl: timedelta | None) -> None:
        """Make an entity type, or change the TTL of one; its key must stay."""
        with self.transaction() as cursor:
            self._add_entity(cursor, entity_type, key, ttl)
            query = SQL("UPDATE {} SET ttl = %s WHERE entity_type = %s RETURNING key")
            cursor.execute(query.format(self._table("entities")), (ttl, entity_type))
            if cursor.fetchone() != (key,):
                raise BadFeatures(f"the entity type {entity_type!r} exists with another key.")

    def entity(self, entity_type: str) -> tuple[str, timedelta | None]:
        """(key, TTL) of an entity type; UnknownFeature if there is none."""
        with self.transaction() as cursor:
            cursor.execute(SQL("SELECT entity_type, key, ttl FROM {} ORDER BY 1").format(
                self._table("entities")))  # fmt: skip
            known = {name: (key, ttl) for name, key, ttl in cursor.fetchall()}
        if entity_type not in known:
            raise UnknownFeature(
                f"unknown entity type {entity_type!r}. There are: {', '.join(known)}. "
                "define(entity_type, key) makes a new one."
            )
        return known[entity_type]

    def feature_set(self, entity_type: str, version: int | None = None) -> FeatureSet:
        """A version of an entity's features, by default the newest; may raise UnknownFeature."""
        key, ttl = self.entity(entity_type)
        with self.transaction() as cursor:
            query = SQL("SELECT version, features FROM {} WHERE entity_type = %s ORDER BY 1")
            cursor.execute(query.format(self._table("feature_sets")), (entity_type,))
            known = dict(cursor.fetchall())
        if not known:
            raise UnknownFeature(
                f"nothing is saved for {entity_type!r} yet: save_features({entity_type!r}, frame)."
            )
        version = max(known) if version is None else version
        if version not in known:
            raise UnknownFeature(
                f"{entity_type} has no version {version!r}. It has: {', '.join(map(str, known))}."
            )
        features = tuple(Feature(*pair) for pair in known[version])
        return FeatureSet(entity_type, version, key, features, ttl)

    def add_version(self, features: FeatureSet) -> None:
        """Make the table of a new version; whoever comes second finds it made."""
        pairs = json.dumps([[feature.name, feature.type] for feature in features.features])
        columns = SQL(", ").join(
            SQL("{} " + feature.type).format(Identifier(feature.name))
            for feature in features.features
        )
        with self.transaction() as cursor:
            query = SQL("INSERT INTO {} VALUES (%s, %s, %s) ON CONFLICT DO NOTHING")
            values = (features.entity_type, features.version, pairs)
            cursor.execute(query.format(self._table("feature_sets")), values)
            if cursor.rowcount:
                cursor.execute(SQL(sql_file("history.sql")).format(
                    table=self._table(features.table), schema=Identifier(self.schema),
                    columns=columns))  # fmt: skip

    # Rows in -------------------------------------------------------------------------------------

    def save(
        self, features: FeatureSet, rows: pa.Table, created: datetime, origin: tuple
    ) -> tuple[int, int]:
        """(number of the run, how many of `rows` are new). All of them or, on an error, none."""
        with self.transaction() as cursor:
            self._refuse_other_sql(cursor, features, origin[0])
            query = SQL(
                "INSERT INTO {} (entity_type, version, row_count, definition, parameters, sources,"
                " created) VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING run_id"
            ).format(self._table("runs"))
            cursor.execute(query, (features.entity_type, features.version, rows.num_rows,
                                   *origin, created))  # fmt: skip
            (run_id,) = cursor.fetchone()
            if "created" not in rows.column_names:
                rows = rows.append_column("created", pa.array([created] * len(rows), TYPES[TIME]))
            names = columns_of("entity_id", "event_time", "created", *names_of(features))
            places = {"table": self._table(features.table), "names": names}
            cursor.execute(SQL(
                "CREATE TEMP TABLE staged ON COMMIT DROP AS SELECT {names} FROM {table} LIMIT 0"
            ).format(**places))  # fmt: skip
            order = ["entity_id", "event_time", "created", *names_of(features)]
            copy_in(cursor, "staged", rows.select(order))
            self._refuse_changes(cursor, features)
            cursor.execute(SQL(
                "INSERT INTO {table} (run_id, {names}) SELECT %s, {names} FROM staged"
                " ON CONFLICT DO NOTHING"
            ).format(**places), (run_id,))  # fmt: skip
            new: int = cursor.rowcount
            if not new:
                # A run that wrote nothing is no part of the history.
                cursor.execute(SQL("DELETE FROM {} WHERE run_id = %s").format(
                    self._table("runs")), (run_id,))  # fmt: skip
                return self._newest_run(cursor, features), 0
            cursor.execute(SQL("ANALYZE {table}").format(**places))
        return run_id, new

    def _refuse_other_sql(
        self, cursor: Cursor, features: FeatureSet, definition: str | None
    ) -> None:
        """Raise BadFeatures if a version was made by another SQL until now."""
        query = SQL(
            "SELECT run_id FROM {} WHERE (entity_type, version) = (%s, %s)"
            " AND definition <> %s LIMIT 1"
        ).format(self._table("runs"))
        cursor.execute(query, (features.entity_type, features.version, definition))
        if cursor.fetchone():
            raise BadFeatures(
                f"{features.entity_type} version {features.version} was made by another SQL: the "
                "same names would mean something else. Save it as the next version."
            )

    def _refuse_changes(self, cursor: Cursor, features: FeatureSet) -> None:
        """Raise BadFeatures if a row is there already with other values."""
        both = columns_of(*names_of(features))
        cursor.execute(SQL(
            "SELECT entity_id, event_time, created FROM staged JOIN {table} AS history"
            " USING (entity_id, event_time, created)"
            " WHERE ROW({ours}) IS DISTINCT FROM ROW({theirs}) ORDER BY 1, 2 LIMIT 1"
        ).format(table=self._table(features.table), ours=of("staged", both),
                 theirs=of("history", both)))  # fmt: skip
        clash = cursor.fetchone()
        if clash:
            raise BadFeatures(
                f"{features.key} {clash[0]} at {clash[1]}, created {clash[2]}, is there with other "
                "values. History does not change: save the correction with a later created."
            )

    # Rows out ------------------------------------------------------------------------------------

    def as_of(
        self,
        features: FeatureSet,
        asked: pa.Table,
        wanted: tuple[Feature, ...],
        ttl: timedelta | None,
        late_rows: bool,
        times: bool = False,
    ) -> pa.Table:
        """What was known: a row for each of `asked` (n, entity_id, at), in their order.

        Its columns are the `wanted` features, before them with `times` event_time and created.
        """
        with self.transaction() as cursor:
            cursor.execute(
                "CREATE TEMP TABLE asked (n integer, entity_id bigint, at timestamptz)"
                " ON COMMIT DROP"
            )
            copy_in(cursor, "asked", asked)
            query = self.point_in_time(cursor, features, wanted, ttl, late_rows, times)
            own = {"event_time": TYPES[TIME], "created": TYPES[TIME]} if times else {}
            types = {"n": pa.int64(), **own, **{f.name: TYPES[f.type] for f in wanted}}
            found = copy_out(cursor, query, types)
        places = np.argsort(found["n"].to_numpy())
        return found.take(pa.array(places)).drop_columns(["n"])

    def point_in_time(
        self, cursor: Cursor, features: FeatureSet, wanted: tuple[Feature, ...],
        ttl: timedelta | None, late_rows: bool, times: bool = False,
    ) -> str:  # fmt: skip
        """The join of point_in_time.sql for these features, ready to run."""
        names = [f.name for f in wanted]
        found = [*(["event_time", "created"] if times else []), *names]
        query = SQL(sql_file("point_in_time.sql")).format(
            table=self._table(features.table), features=columns_of(*names),
            found=of("found", columns_of(*found)),
        )  # fmt: skip
        return cursor.mogrify(query, {"ttl": ttl, "late_rows": late_rows}).decode()

    def history(self, features: FeatureSet) -> pa.Table:
        """All rows of a version: entity_id, event_time, created, then the features."""
        types = {"entity_id": pa.int64(), "event_time": TYPES[TIME], "created": TYPES[TIME]}
        types |= {feature.name: TYPES[feature.type] for feature in features.features}
        query = SQL("SELECT {} FROM {}").format(columns_of(*types), self._table(features.table))
        with self.transaction() as cursor:
            return copy_out(cursor, query.as_string(cursor), types)

    def entity_ids(self, features: FeatureSet) -> list[int]:
        """Everybody who has a history, in order."""
        query = SQL("SELECT DISTINCT entity_id FROM {} ORDER BY 1")
        with self.transaction() as cursor:
            cursor.execute(query.format(self._table(features.table)))
            return [row[0] for row in cursor.fetchall()]

    def newest_run(self, features: FeatureSet) -> int:
        """The number of the last run that wrote to a version, 0 without any."""
        with self.transaction() as cursor:
            return self._newest_run(cursor, features)

    def _newest_run(self, cursor: Cursor, features: FeatureSet) -> int:
        query = SQL(
            "SELECT coalesce(max(run_id), 0) FROM {} WHERE (entity_type, version) = (%s, %s)"
        )
        values = (features.entity_type, features.version)
        cursor.execute(query.format(self._table("runs")), values)
        return cursor.fetchone()[0]

    def runs(self, entity_type: str) -> list[dict[str, Any]]:
        """The lineage of an entity, oldest first."""
        query = SQL("SELECT * FROM {} WHERE entity_type = %s ORDER BY run_id")
        with self.transaction() as cursor:
            cursor.execute(query.format(self._table("runs")), (entity_type,))
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def rows_of_run(self, features: FeatureSet, run_id: int) -> pa.Table:
        """What a run wrote: entity_id, event_time, then the features, by entity."""
        types = {"entity_id": pa.int64(), "event_time": TYPES[TIME]}
        types |= {feature.name: TYPES[feature.type] for feature in features.features}
        query = SQL("SELECT {} FROM {} WHERE run_id = %s ORDER BY 1, 2")
        with self.transaction() as cursor:
            text = query.format(columns_of(*types), self._table(features.table))
            return copy_out(cursor, cursor.mogrify(text, (run_id,)).decode(), types)


def names_of(features: FeatureSet) -> list[str]:
    """The names of the features."""
    return [feature.name for feature in features.features]


def columns_of(*names: str) -> Composed:
    """Column names for a query, quoted and with commas between."""
    return SQL(", ").join(map(Identifier, names))


def of(table: str, columns: Composed) -> Composed:
    """The same columns, said to be those of `table`."""
    parts = [part for part in columns.seq if isinstance(part, Identifier)]
    return SQL(", ").join(Identifier(table, part.string) for part in parts)


def copy_in(cursor: Cursor, table: str, rows: pa.Table) -> None:
    """COPY Arrow rows into a table. Text is quoted, so that '' and NULL stay different."""
    file = io.BytesIO()
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    csv.write_csv(rows, file, options)
    file.seek(0)
    cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT csv)", file, size=2**20)


def copy_out(cursor: Cursor, query: str, types: dict[str, pa.DataType]) -> pa.Table:
    """The answer of `query` as Arrow. PostgreSQL writes floats so that they read back exactly."""
    file = io.BytesIO()
    cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv)", file)
    file.seek(0)
    if not file.getbuffer().nbytes:
        return pa.table({name: pa.array([], type_) for name, type_ in types.items()})
    return csv.read_csv(
        file,
        csv.ReadOptions(column_names=list(types)),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=types, null_values=[""], true_values=["t"], false_values=["f"],
            strings_can_be_null=True, quoted_strings_can_be_null=False,
        ),
    )  # fmt: skip


def first_line(error: BaseException) -> str:
    """What an error says, without the lines that follow."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
