"""Schemas of their own for pipelines, and what must be true after every run."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from async_etl import Metrics, Settings
from async_etl.classroom import COMPARED
from psycopg2.sql import SQL, Composable, Identifier

QUICK = Settings(first_wait=0.01, longest_wait=0.05, open_for=0.05, store_patience=10)


class Tables:
    """The tables of a pipeline, seen from outside."""

    def __init__(self, url: str, schema: str) -> None:
        self.url, self.schema = url, schema

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query in the schema."""
        options = f"-c search_path={self.schema}"
        with (
            closing(psycopg2.connect(self.url, options=options)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query, values or None)
            return cursor.fetchall()

    def do(self, statement: str | Composable) -> None:
        """Execute a statement in the schema, and commit."""
        options = f"-c search_path={self.schema}"
        with (
            closing(psycopg2.connect(self.url, options=options)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            connection.commit()

    def drop(self) -> None:
        """Remove the schema with all that is in it."""
        assert self.schema.startswith("test_etl_"), f"{self.schema} is not ours to drop"
        self.do(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(self.schema)))

    def empty(self) -> None:
        """Remove the rows of all tables, where there are tables."""
        if self.rows("SELECT to_regclass('runs') IS NOT NULL") == [(True,)]:
            for table in (*COMPARED, "batches", "runs"):
                self.do(SQL("DELETE FROM {}").format(Identifier(table)))

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the tables that a rerun must leave as they are."""
        return {
            table: self.rows(f"SELECT {columns}::text FROM {table} ORDER BY 1, 2")
            for table, columns in COMPARED.items()
        }

    def check_account(self, metrics: Metrics | None = None) -> None:
        """What the database noted balances, and is what the run says of itself."""
        wrong = "SELECT * FROM account WHERE extracted <> loaded + dead_lettered + deduplicated"
        assert self.rows(wrong) == []
        if metrics:
            assert metrics.balanced
            noted = self.rows(
                "SELECT extracted, loaded, dead_lettered, deduplicated FROM account "
                "WHERE run_id = %s", metrics.run_id,
            )  # fmt: skip
            said = (metrics.extracted, metrics.loaded, metrics.quarantined, metrics.deduplicated)
            assert noted == [said]


@pytest.fixture
def tables(service: Callable[[str], str]) -> Iterator[Tables]:
    """A new schema, removed at the end."""
    made = Tables(service("postgres"), f"test_etl_{uuid.uuid4().hex[:12]}")
    yield made
    made.drop()
